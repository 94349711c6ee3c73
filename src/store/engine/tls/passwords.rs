//! libpq's file of passwords, `~/.pgpass`: libpq looks for the host that it connects to, which is a socket of this process
//! where there is TLS. <https://www.postgresql.org/docs/current/libpq-pgpass.html>

use std::os::unix::fs::MetadataExt as _;

use super::handshake::Place;
use super::parameters::{Parameters, Surroundings};
use super::refusal::Unusable;

/// The password for `places`, where the URL has none and the file has one.
///
/// # Errors
/// The file has several, for several places.
pub(super) fn find(places: &[Place], of: &Parameters, around: &Surroundings<'_>) -> Result<Option<String>, Unusable> {
    if of.or_variable("password", "PGPASSWORD", around).is_some() {
        return Ok(None);
    }
    let named = of.or_variable("passfile", "PGPASSFILE", around).map(Into::into);
    let Some(path) = named.or_else(|| around.default_file(".pgpass")) else { return Ok(None) };
    // One that others can read is not used, which libpq says on its standard error.
    if std::fs::metadata(&path).map_or(true, |about| !about.is_file() || about.mode() & 0o077 != 0) {
        return Ok(None);
    }
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
    let user = of.or_variable("user", "PGUSER", around).or_else(|| (around.variable)("USER")).unwrap_or_default();
    let database = of.or_variable("dbname", "PGDATABASE", around).unwrap_or_else(|| user.clone());
    let mut found =
        places.iter().map(|place| password(&text, &[&place.host, &place.port.to_string(), &database, &user]));
    let first = found.next().flatten();
    if found.any(|other| other != first) {
        let reason =
            "has not one password for all hosts of the URL, which with TLS it must: put the password into the URL";
        return Err(Unusable::of("passfile", reason));
    }
    Ok(first)
}

fn password(file: &str, wanted: &[&str; 4]) -> Option<String> {
    file.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let (said, password) = (fields.get(..4)?, fields.get(4)?);
        let fits = said.iter().zip(wanted).all(|((said, is_star), wanted)| *is_star || said == wanted);
        fits.then(|| password.0.clone()).filter(|password| !password.is_empty())
    })
}

/// The parts between the colons, and whether each is a bare star. A backslash takes the next character as it is.
fn fields(line: &str) -> Vec<(String, bool)> {
    let mut fields = vec![(String::new(), String::new())];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        let Some((read, raw)) = fields.last_mut() else { break };
        match letter {
            ':' => fields.push((String::new(), String::new())),
            '\\' => {
                read.extend(letters.next());
                raw.push(letter);
            }
            _ => {
                read.push(letter);
                raw.push(letter);
            }
        }
    }
    fields.into_iter().map(|(read, raw)| (read, raw == "*")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let file = "# comment:5432:v:u:no\nother:5432:v:u:no\ndb:*:v:u:a\\:b\\\\c\n*:*:*:*:rest\n";
        for (host, user, expected) in [("db", "u", "a:b\\c"), ("db", "x", "rest"), ("elsewhere", "u", "rest")] {
            assert_eq!(password(file, &[host, "5432", "v", user]).as_deref(), Some(expected), "{host} {user}");
        }
        assert_eq!(password("db:5432:v:u:a", &["db", "5433", "v", "u"]), None);
        assert_eq!(password("\\*:5432:v:u:a", &["db", "5432", "v", "u"]), None, "an escaped star is a star");
    }
}
