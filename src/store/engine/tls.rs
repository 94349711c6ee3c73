//! Connections to PostgreSQL as a URL asks for them: plain ones by libpq alone, and those with TLS by rustls in front of it.
//!
//! libpq is compiled without OpenSSL. Where TLS may be spoken, it is given a socket of this process in place of the server, and
//! the file `tunnel` carries what it says. `docs/adr/0028-rustls-stands-before-libpq.md` says why, and what is different.

mod asked;
mod client;
mod handshake;
mod limits;
mod mechanisms;
mod parameters;
mod passwords;
mod refusal;
mod trust;
mod tunnel;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::{Connection, ConnectionError, ConnectionResult, PgConnection};
use rustls::pki_types::ServerName;

use asked::{Asked, Mode};
use handshake::Place;
use limits::Limits;
use parameters::{Parameters, Surroundings, entries, is_socket};
pub use refusal::Unusable;
use tunnel::{Manner, Tunnel};

/// What libpq is not to know of any more.
const OF_TLS: &[&str] = &[
    "sslmode",
    "sslnegotiation",
    "sslcompression",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcertmode",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "sslsni",
    "sslkeylogfile",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
];

/// A PostgreSQL server, or several of which one is right, as a URL names them.
pub struct Server {
    mode: Mode,
    /// For libpq alone. It may hold a password.
    plain: String,
    secure: Option<Secure>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("Server").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// How servers are reached with TLS.
struct Secure {
    parameters: Parameters,
    hosts: Vec<Host>,
    manner: Arc<Manner>,
    /// Opened by the first connection.
    tunnel: Mutex<Option<Arc<Way>>>,
}

/// An open tunnel, and the URL that leads libpq into it.
struct Way {
    tunnel: Tunnel,
    url: String,
}

/// An entry of the URL's list of hosts.
enum Host {
    /// A Unix socket, which has no TLS. Its folder, and its port.
    Socket(String, u16),
    Tcp(Place),
}

impl Server {
    /// Reads a URL, with the variables and files that libpq reads beside it.
    ///
    /// # Errors
    /// The URL cannot be read, or a connection as safe as it asks for cannot be made.
    #[allow(clippy::disallowed_methods, reason = "libpq reads its own variables wherever it is used")]
    pub fn new(url: &str) -> Result<Self, Unusable> {
        let unreadable = std::env::vars_os()
            .any(|(name, value)| name.to_str().is_some_and(|name| name.starts_with("PG")) && value.to_str().is_none());
        if unreadable {
            return Err(Unusable::of("environment", "has a variable of libpq (PG…) that is no UTF-8"));
        }
        let variable = |name: &str| std::env::var(name).ok();
        Self::read(url, &Surroundings { variable: &variable, home: std::env::home_dir() })
    }

    fn read(url: &str, around: &Surroundings<'_>) -> Result<Self, Unusable> {
        let mut of = Parameters::parse(url)?;
        limits::set_defaults(&mut of);
        if of.or_variable("service", "PGSERVICE", around).is_some() && of.get("sslmode") != Some("disable") {
            let reason = "what a service file says of TLS is not read: put its parameters into the URL, or \
                          sslmode=disable if there is to be no TLS";
            return Err(Unusable::of("service", reason));
        }
        let mode = Mode::find(&of, around)?;
        let plain = without_tls(of.clone()).to_url();
        let hosts = hosts(&of, around)?;
        if mode == Mode::Disable {
            return Ok(Self { mode, plain, secure: None });
        }
        let places: Vec<Place> = hosts.iter().filter_map(Host::place).cloned().collect();
        if places.is_empty() {
            return Ok(Self { mode, plain, secure: None });
        }
        let asked = Asked::find(mode, &of, around)?;
        for place in &places {
            if mode == Mode::VerifyFull && ServerName::try_from(place.host.as_str()).is_err() {
                let reason = "sslmode=verify-full compares it with the names in the server's certificate, and no \
                              certificate can have this one";
                return Err(Unusable::of("host", reason));
            }
            client::config(&asked, &place.host)?;
        }
        let mut parameters = without_tls(of.clone());
        if let Some(password) = passwords::find(&places, &of, around)? {
            if places.len() < hosts.len() {
                let reason = "has a password for a host with TLS, which would go to the Unix sockets beside it as well: \
                              put the password into the URL";
                return Err(Unusable::of("passfile", reason));
            }
            parameters.set("password", &password);
        }
        if of.or_variable("requirepeer", "PGREQUIREPEER", around).is_some() && places.len() < hosts.len() {
            return Err(Unusable::of("requirepeer", "cannot be used for Unix sockets beside hosts with TLS"));
        }
        parameters.set("requirepeer", "");
        let manner = Arc::new(Manner { asked, limits: Limits::of(&of) });
        let secure = Some(Secure { parameters, hosts, manner, tunnel: Mutex::new(None) });
        Ok(Self { mode, plain, secure })
    }

    /// Connects, which takes as long as `connect_timeout` says for each host.
    ///
    /// # Errors
    /// No server can be reached as was asked for.
    pub fn establish(&self) -> ConnectionResult<PgConnection> {
        let plain = || PgConnection::establish(&self.plain);
        match (&self.secure, self.mode) {
            (None, _) | (Some(_), Mode::Disable) => plain(),
            (Some(secure), Mode::Prefer) => either(|| secure.establish(), plain),
            (Some(secure), Mode::Allow) => either(plain, || secure.establish()),
            (Some(secure), Mode::Require | Mode::VerifyCa | Mode::VerifyFull) => secure.establish(),
        }
    }
}

/// What `allow` and `prefer` mean: the second way if the first one is refused.
fn either(
    first: impl FnOnce() -> ConnectionResult<PgConnection>,
    second: impl FnOnce() -> ConnectionResult<PgConnection>,
) -> ConnectionResult<PgConnection> {
    let refused = match first() {
        Ok(connection) => return Ok(connection),
        Err(refused) => refused.to_string(),
    };
    if !refusal::permits_other_way(&refused) {
        return Err(ConnectionError::BadConnection(refused));
    }
    second().map_err(|error| {
        // That `prefer` goes without TLS is no news.
        let is_news = !refused.contains(refusal::NO_TLS);
        ConnectionError::BadConnection(if is_news { format!("{refused}; then: {error}") } else { error.to_string() })
    })
}

impl Secure {
    fn establish(&self) -> ConnectionResult<PgConnection> {
        let way = self.way().map_err(|error| {
            ConnectionError::BadConnection(format!("no socket can be opened for connections with TLS: {error}"))
        })?;
        PgConnection::establish(&way.url).map_err(|error| {
            let mut words = error.to_string();
            for entrance in way.tunnel.entrances() {
                let Place { host, port, .. } = &entrance.place;
                let socket = format!("on socket \"{}/.s.PGSQL.{port}\"", entrance.name);
                words = words.replace(&socket, &format!("at \"{host}\", port {port}, with TLS"));
            }
            ConnectionError::BadConnection(words)
        })
    }

    fn way(&self) -> std::io::Result<Arc<Way>> {
        let mut kept = self.tunnel.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(way) = &*kept {
            return Ok(Arc::clone(way));
        }
        let places: Vec<Place> = self.hosts.iter().filter_map(Host::place).cloned().collect();
        let tunnel = Tunnel::open(&places, Arc::clone(&self.manner))?;
        let mut entrances = tunnel.entrances().iter();
        let (mut names, mut ports) = (Vec::new(), Vec::new());
        for host in &self.hosts {
            let (name, port) = match host {
                Host::Socket(folder, port) => (folder.as_str(), *port),
                Host::Tcp(place) => (entrances.next().map_or("", |entrance| entrance.name.as_str()), place.port),
            };
            names.push(name);
            ports.push(port.to_string());
        }
        let mut parameters = self.parameters.clone();
        parameters.set("host", &names.join(","));
        parameters.set("port", &ports.join(","));
        // Also against a variable.
        parameters.set("hostaddr", "");
        let way = Arc::new(Way { url: parameters.to_url(), tunnel });
        *kept = Some(Arc::clone(&way));
        Ok(way)
    }
}

impl Host {
    fn place(&self) -> Option<&Place> {
        match self {
            Self::Tcp(place) => Some(place),
            Self::Socket(..) => None,
        }
    }
}

/// Leaves libpq nothing to do about TLS, whatever the environment says.
fn without_tls(mut of: Parameters) -> Parameters {
    of.retain(|name| !OF_TLS.contains(&name));
    for (name, value) in
        [("sslmode", "disable"), ("sslnegotiation", "postgres"), ("sslcertmode", "disable"), ("sslrootcert", "")]
    {
        of.set(name, value);
    }
    of
}

fn hosts(of: &Parameters, around: &Surroundings<'_>) -> Result<Vec<Host>, Unusable> {
    let list = |name, variable| entries(of.or_variable(name, variable, around).as_deref());
    let (names, addresses) = (list("host", "PGHOST"), list("hostaddr", "PGHOSTADDR"));
    let ports = list("port", "PGPORT");
    let count = names.len().max(addresses.len()).max(1);
    if !addresses.is_empty() && !names.is_empty() && addresses.len() != names.len() {
        return Err(Unusable::of("hostaddr", "has another number of entries than host"));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(Unusable::of("port", "has another number of entries than host"));
    }
    (0..count)
        .map(|entry| {
            let of = |list: &[String]| list.get(entry).cloned().unwrap_or_default();
            let port = if ports.len() == 1 { ports.concat() } else { of(&ports) };
            let port = if port.is_empty() { Some(5432) } else { port.trim().parse().ok() };
            let port = port.ok_or_else(|| Unusable::of("port", "is no number from 1 to 65535"))?;
            let (host, address) = (of(&names), of(&addresses));
            let number = address.split('%').next().unwrap_or_default();
            if !number.is_empty() && number.parse::<IpAddr>().is_err() {
                return Err(Unusable::of("hostaddr", "is no IP address: no name is looked up for it"));
            }
            Ok(match (host.is_empty(), address.is_empty()) {
                (_, true) if is_socket(&host) => Host::Socket(host, port),
                (_, true) => Host::Tcp(Place { host, address: None, port }),
                (false, false) => Host::Tcp(Place { host, address: Some(address), port }),
                (true, false) => Host::Tcp(Place { host: address.clone(), address: Some(address), port }),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Server, Unusable> {
        Server::read(url, &Surroundings { variable: &|_| None, home: None })
    }

    #[test]
    fn only_tcp_can_have_tls() {
        for (url, is_secure) in [
            ("postgres://db/v", true),
            ("postgres://127.0.0.1/v?sslmode=require", true),
            ("postgres://db/v?sslmode=disable", false),
            ("postgres:///v", false),
            ("postgres:///v?host=/run/postgresql&sslmode=require", false),
            ("postgres://%2Frun/v", false),
            ("postgres:///v?host=/run,db", true),
            ("postgres:///v?hostaddr=10.0.0.1", true),
        ] {
            let server = read(url).unwrap();
            assert_eq!(server.secure.is_some(), is_secure, "{url}");
            // libpq refuses `require`, and would do nothing about `prefer`.
            assert!(server.plain.contains("sslmode=disable"), "{url}");
        }
    }

    #[test]
    fn each_host_gets_an_entrance_and_its_name_for_the_certificate() {
        let server = read("postgres://u:p@a:1,b/v?hostaddr=10.0.0.1,10.0.0.2&sslmode=require").unwrap();
        let secure = server.secure.unwrap();
        let way = secure.way().unwrap();
        let places: Vec<_> = way.tunnel.entrances().iter().map(|entrance| entrance.place.clone()).collect();
        let place = |host: &str, address: &str, port| Place { host: host.into(), address: Some(address.into()), port };
        assert_eq!(places, [place("a", "10.0.0.1", 1), place("b", "10.0.0.2", 5432)]);
        let url = Parameters::parse(&way.url).unwrap();
        assert_eq!(url.get("hostaddr"), Some(""));
        assert_eq!(url.get("port"), Some("1,5432"));
        assert!(url.get("host").unwrap().split(',').all(|host| host.starts_with("@volley-")), "{:?}", url.get("host"));
        assert_eq!((url.get("sslmode"), url.get("password")), (Some("disable"), Some("p")));
    }

    #[test]
    fn what_cannot_be_as_safe_as_asked_is_refused() {
        for (url, name) in [
            ("postgres:///v?service=x", "service"),
            ("postgres://a,b/v?hostaddr=10.0.0.1", "hostaddr"),
            ("postgres://a/v?hostaddr=b", "hostaddr"),
            ("postgres://u:pa/ss@db?sslmode=disable", "port"),
            ("postgres://a,b:1/v?port=1,2,3", "port"),
            ("postgres://db:zero/v", "port"),
            ("postgres:///v?host=/run,db&requirepeer=postgres", "requirepeer"),
            ("postgres://db/v?sslmode=verify-ca", "sslrootcert"),
        ] {
            let error = read(url).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}: ")), "{url}: {error}");
        }
        assert!(read("postgres:///v?service=x&sslmode=disable").is_ok());
    }
}
