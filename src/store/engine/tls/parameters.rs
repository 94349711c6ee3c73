//! Connection parameters of libpq: read from a URL as libpq reads it, looked up as libpq does, and written again.

use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::refusal::Unusable;

/// What stands outside the URL: variables of the environment, and files below the home folder.
pub(super) struct Surroundings<'a> {
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    pub(super) home: Option<PathBuf>,
}

impl Surroundings<'_> {
    /// A file that libpq reads if it is there.
    pub(super) fn default_file(&self, name: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(name)).filter(|path| path.exists())
    }
}

/// The parameters that a URL names, each once: the last one counts.
#[derive(Clone, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `postgres://user:password@host:port,host:port/database?name=value&…`. The grammar is libpq's, which takes several hosts
    /// and a socket's folder as a host: <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>.
    ///
    /// # Errors
    /// libpq would not read it either.
    pub(super) fn parse(url: &str) -> Result<Self, Unusable> {
        let (_, rest) = url.split_once("://").ok_or_else(|| Unusable::of("url", "is not an address"))?;
        let mut found = Self::default();
        // A slash ends the part that may name a user.
        let (before, after) = rest.split_at(rest.find(['@', '/']).unwrap_or(rest.len()));
        let rest = match after.strip_prefix('@') {
            None => rest,
            Some(after) => {
                let (user, password) = before.split_once(':').unwrap_or((before, ""));
                found.decode("user", user)?;
                found.decode("password", password)?;
                after
            }
        };
        let rest = found.hosts(rest)?;
        let (database, query) = rest.split_once('?').unwrap_or((rest, ""));
        found.decode("dbname", database.strip_prefix('/').unwrap_or(database))?;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair
                .split_once('=')
                .filter(|(_, value)| !value.contains('='))
                .ok_or_else(|| Unusable::of("url", "has a parameter that is not name=value"))?;
            match (decoded(name)?.as_str(), decoded(value)?) {
                ("ssl", value) if value == "true" => found.set("sslmode", "require"),
                ("requiressl", value) if value.starts_with('1') => found.set("sslmode", "require"),
                ("requiressl", _) => found.set("sslmode", "prefer"),
                (name, value) => found.set(name, &value),
            }
        }
        Ok(found)
    }

    /// Reads `host:port,[address]:port…`; answers what follows.
    fn hosts<'a>(&mut self, text: &'a str) -> Result<&'a str, Unusable> {
        let (mut hosts, mut ports) = (Vec::new(), Vec::new());
        let mut rest = text;
        loop {
            let (host, after) = match rest.strip_prefix('[') {
                Some(inside) => inside.split_once(']').ok_or_else(|| Unusable::of("url", "has a [ without a ]"))?,
                None => rest.split_at(rest.find([':', '/', '?', ',']).unwrap_or(rest.len())),
            };
            let (port, after) = match after.strip_prefix(':') {
                Some(after) => after.split_at(after.find(['/', '?', ',']).unwrap_or(after.len())),
                None => ("", after),
            };
            hosts.push(host);
            ports.push(port);
            match after.strip_prefix(',') {
                Some(more) => rest = more,
                None if after.is_empty() || after.starts_with(['/', '?']) => {
                    self.decode("host", &hosts.join(","))?;
                    if ports.iter().any(|port| !port.is_empty()) {
                        self.decode("port", &ports.join(","))?;
                    }
                    return Ok(after);
                }
                None => return Err(Unusable::of("url", "has something between a host and its port")),
            }
        }
    }

    fn decode(&mut self, name: &str, text: &str) -> Result<(), Unusable> {
        if !text.is_empty() {
            self.set(name, &decoded(text)?);
        }
        Ok(())
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Sets a parameter that the URL does not name.
    pub(super) fn set_default(&mut self, name: &str, value: &str) {
        if self.get(name).is_none() {
            self.set(name, value);
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What the URL says, else what the variable of libpq says; an empty value counts as none.
    pub(super) fn or_variable(&self, name: &str, variable: &str, around: &Surroundings<'_>) -> Option<String> {
        let said = self.get(name).map(str::to_owned).or_else(|| (around.variable)(variable));
        said.filter(|value| !value.is_empty())
    }

    /// As libpq takes it. It may hold a password.
    pub(super) fn to_url(&self) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        // An underscore is in the names of parameters, and needs no encoding.
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        format!("postgresql://?{}", pairs.join("&"))
    }
}

/// One entry of a list that libpq separates by commas.
pub(super) fn entries(list: Option<&str>) -> Vec<String> {
    list.filter(|list| !list.is_empty()).map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default()
}

/// Whether libpq takes a host for the folder of a Unix socket.
pub(super) fn is_socket(host: &str) -> bool {
    host.is_empty() || host.starts_with(['/', '@'])
}

/// A file that the settings name.
pub(super) fn named_file(parameter: &'static str, path: &str) -> Result<PathBuf, Unusable> {
    let path = Path::new(path);
    if !path.exists() {
        return Err(Unusable::of(parameter, &format!("{} does not exist", path.display())));
    }
    if !path.is_file() {
        return Err(Unusable::of(parameter, &format!("{} is not a file", path.display())));
    }
    Ok(path.to_owned())
}

fn decoded(text: &str) -> Result<String, Unusable> {
    let unreadable = || Unusable::of("url", "has a percent sign that encodes nothing, or no UTF-8");
    let text = text.trim_matches(' ');
    let mut after = text.split('%').skip(1);
    let is_digit = |byte: u8| byte.is_ascii_hexdigit();
    if !after.all(|after| after.as_bytes().get(..2).is_some_and(|pair| pair.iter().copied().all(is_digit))) {
        return Err(unreadable());
    }
    let decoded = percent_decode_str(text).decode_utf8().ok().ok_or_else(unreadable)?;
    if decoded.contains('\0') {
        return Err(unreadable());
    }
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Vec<(String, String)> {
        let mut found = Parameters::parse(url).unwrap().0;
        found.sort();
        found
    }

    #[test]
    fn a_url_is_read_as_libpq_reads_it() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("postgres://", &[]),
            ("postgres:///volley", &[("dbname", "volley")]),
            (
                "postgresql://u:p%40ss@db:5433/v?sslmode=require",
                &[
                    ("dbname", "v"),
                    ("host", "db"),
                    ("password", "p@ss"),
                    ("port", "5433"),
                    ("sslmode", "require"),
                    ("user", "u"),
                ],
            ),
            ("postgres://u@a:1,b,[::1]:3/v", &[("dbname", "v"), ("host", "a,b,::1"), ("port", "1,,3"), ("user", "u")]),
            ("postgres://%2Fvar%2Frun/v", &[("dbname", "v"), ("host", "/var/run")]),
            ("postgres://?host=/tmp&port=7", &[("host", "/tmp"), ("port", "7")]),
            ("postgres://db?ssl=true", &[("host", "db"), ("sslmode", "require")]),
            ("postgres://db?requiressl=1&sslmode=disable", &[("host", "db"), ("sslmode", "disable")]),
            ("postgres://db/v?host=other&user=x", &[("dbname", "v"), ("host", "other"), ("user", "x")]),
        ];
        for (url, expected) in cases {
            let expected: Vec<(String, String)> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(read(url), expected, "{url}");
            let written = Parameters::parse(url).unwrap().to_url();
            assert_eq!(read(&written), expected, "{written}");
        }
    }

    #[test]
    fn what_libpq_cannot_read_is_refused_without_its_secrets() {
        for url in [
            "postgres://u:s3cret%zz@db",
            "postgres://[::1",
            "postgres://db?s3cret",
            "postgres://db?a=s3cret=c",
            "postgres://[::1]x/v",
        ] {
            let error = Parameters::parse(url).err().unwrap().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
