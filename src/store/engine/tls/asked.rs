//! What TLS a URL asks for, by the parameters of libpq, its variables and its default files:
//! <https://www.postgresql.org/docs/current/libpq-ssl.html>. What is not supported is refused here, and never weaker instead.

use std::path::PathBuf;

use super::parameters::{Parameters, Surroundings, named_file};
use super::refusal::Unusable;

/// `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// `sslrootcert`: whose signature makes a server's certificate trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// Nobody's: the certificate is not looked at.
    None,
    File(PathBuf),
    System,
}

/// TLS as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) mode: Mode,
    pub(super) roots: Roots,
    /// The client's certificate and its key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
    pub(super) has_tls12: bool,
    pub(super) has_tls13: bool,
    /// Whether the server is told the name that it is reached by.
    pub(super) sni: bool,
    /// `sslnegotiation=direct`: the handshake comes first, and no question before it.
    pub(super) direct: bool,
}

impl Mode {
    /// `sslmode`, as the URL or the environment has it.
    ///
    /// # Errors
    /// It has no such value.
    pub(super) fn find(of: &Parameters, around: &Surroundings<'_>) -> Result<Self, Unusable> {
        let required = || (around.variable)("PGREQUIRESSL").filter(|value| value.starts_with('1'));
        let said = of.get("sslmode").map(str::to_owned).or_else(|| (around.variable)("PGSSLMODE"));
        let is_system = root_name(of, around).as_deref() == Some("system");
        Ok(match said.or_else(|| required().map(|_| "require".to_owned())).as_deref() {
            Some("disable") => Self::Disable,
            Some("allow") => Self::Allow,
            Some("prefer") => Self::Prefer,
            Some("require") => Self::Require,
            Some("verify-ca") => Self::VerifyCa,
            Some("verify-full") => Self::VerifyFull,
            None if is_system => Self::VerifyFull,
            None => Self::Prefer,
            Some(_) => {
                let known = "is none of disable, allow, prefer, require, verify-ca, verify-full";
                return Err(Unusable::of("sslmode", known));
            }
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

fn root_name(of: &Parameters, around: &Surroundings<'_>) -> Option<String> {
    of.or_variable("sslrootcert", "PGSSLROOTCERT", around)
}

impl Asked {
    /// What `of` asks for; `mode` is not `disable`.
    ///
    /// # Errors
    /// A parameter has no such value, is not supported, or names a file that is not there.
    pub(super) fn find(mode: Mode, of: &Parameters, around: &Surroundings<'_>) -> Result<Self, Unusable> {
        let roots = roots(mode, of, around)?;
        refuse_unsupported(of, around, roots != Roots::None)?;
        let direct = match of.or_variable("sslnegotiation", "PGSSLNEGOTIATION", around).as_deref() {
            None | Some("postgres") => false,
            Some("direct") if mode >= Mode::Require => true,
            Some("direct") => {
                return Err(Unusable::of("sslnegotiation", "direct needs sslmode=require or a stronger one"));
            }
            Some(_) => return Err(Unusable::of("sslnegotiation", "is neither postgres nor direct")),
        };
        let (has_tls12, has_tls13) = versions(of, around)?;
        Ok(Self {
            mode,
            roots,
            client: client(of, around)?,
            has_tls12,
            has_tls13,
            sni: of.or_variable("sslsni", "PGSSLSNI", around).is_none_or(|value| value.starts_with('1')),
            direct,
        })
    }
}

fn roots(mode: Mode, of: &Parameters, around: &Surroundings<'_>) -> Result<Roots, Unusable> {
    let found = match root_name(of, around).as_deref() {
        Some("system") if mode == Mode::VerifyFull => Roots::System,
        Some("system") => {
            let weak = format!(
                "system needs sslmode=verify-full: anybody may have a certificate for a name that is not \
                                compared, and sslmode is {}",
                mode.name()
            );
            return Err(Unusable::of("sslrootcert", &weak));
        }
        Some(path) => Roots::File(named_file("sslrootcert", path)?),
        None => around.default_file(".postgresql/root.crt").map_or(Roots::None, Roots::File),
    };
    if found == Roots::None && mode >= Mode::VerifyCa {
        let reason = format!(
            "sslmode={} needs the certificates of the authorities that it trusts: name a file, give \
             sslrootcert=system, or put them into ~/.postgresql/root.crt",
            mode.name()
        );
        return Err(Unusable::of("sslrootcert", &reason));
    }
    Ok(found)
}

fn client(of: &Parameters, around: &Surroundings<'_>) -> Result<Option<(PathBuf, PathBuf)>, Unusable> {
    match of.or_variable("sslcertmode", "PGSSLCERTMODE", around).as_deref() {
        Some("disable") => return Ok(None),
        None | Some("allow") => {}
        Some("require") => {
            let reason = "require is not supported: the server alone says whether it wants a client's certificate";
            return Err(Unusable::of("sslcertmode", reason));
        }
        Some(_) => return Err(Unusable::of("sslcertmode", "is none of disable, allow, require")),
    }
    let certificate = match of.or_variable("sslcert", "PGSSLCERT", around) {
        Some(path) => named_file("sslcert", &path)?,
        None => match around.default_file(".postgresql/postgresql.crt") {
            Some(path) => path,
            None => return Ok(None),
        },
    };
    let key = match of.or_variable("sslkey", "PGSSLKEY", around) {
        Some(path) => named_file("sslkey", &path)?,
        None => around
            .default_file(".postgresql/postgresql.key")
            .ok_or_else(|| Unusable::of("sslkey", "there is a client's certificate and no key for it"))?,
    };
    Ok(Some((certificate, key)))
}

/// Whether TLS 1.2 and TLS 1.3 may be spoken.
fn versions(of: &Parameters, around: &Surroundings<'_>) -> Result<(bool, bool), Unusable> {
    const LOWEST: &str = "ssl_min_protocol_version";
    const HIGHEST: &str = "ssl_max_protocol_version";
    let number = |name, text: &str| match text {
        "TLSv1" => Ok(0),
        "TLSv1.1" => Ok(1),
        "TLSv1.2" => Ok(2),
        "TLSv1.3" => Ok(3),
        _ => Err(Unusable::of(name, "is none of TLSv1.2, TLSv1.3")),
    };
    let lowest = of.or_variable(LOWEST, "PGSSLMINPROTOCOLVERSION", around);
    let lowest = lowest.as_deref().map_or(Ok(2), |text| number(LOWEST, text))?;
    let highest = of.or_variable(HIGHEST, "PGSSLMAXPROTOCOLVERSION", around);
    let highest = highest.as_deref().map_or(Ok(3), |text| number(HIGHEST, text))?;
    if highest < 2 {
        return Err(Unusable::of(HIGHEST, "versions before TLSv1.2 are not safe, and not spoken"));
    }
    if lowest > highest {
        return Err(Unusable::of(LOWEST, "is above ssl_max_protocol_version"));
    }
    Ok((lowest <= 2, highest >= 3))
}

fn refuse_unsupported(of: &Parameters, around: &Surroundings<'_>, verifies: bool) -> Result<(), Unusable> {
    if of.or_variable("channel_binding", "PGCHANNELBINDING", around).as_deref() == Some("require") {
        let reason = "require is not supported; sslmode=verify-full keeps others from standing between as well";
        return Err(Unusable::of("channel_binding", reason));
    }
    let unsupported = [
        ("sslpassword", "", "keys with a password are not supported: give a key without one in a file of mode 0600"),
        ("sslcrl", "PGSSLCRL", "lists of revoked certificates are not supported"),
        ("sslcrldir", "PGSSLCRLDIR", "lists of revoked certificates are not supported"),
        ("sslkeylogfile", "", "keys of connections are not written anywhere"),
    ];
    for (name, variable, reason) in unsupported {
        if of.or_variable(name, variable, around).is_some() {
            return Err(Unusable::of(name, reason));
        }
    }
    if verifies && around.default_file(".postgresql/root.crl").is_some() {
        let reason = "lists of revoked certificates are not supported, and there is a file ~/.postgresql/root.crl";
        return Err(Unusable::of("sslcrl", reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a URL beside variables and a home folder with files.
    fn find(url: &str, variables: &[(&str, &str)], files: &[&str]) -> Result<Asked, String> {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".postgresql")).unwrap();
        for name in files {
            std::fs::write(home.path().join(".postgresql").join(name), "").unwrap();
        }
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let around = Surroundings { variable: &variable, home: Some(home.path().to_owned()) };
        let of = Parameters::parse(url).unwrap();
        let found = Mode::find(&of, &around).and_then(|mode| Asked::find(mode, &of, &around));
        found.map_err(|error| error.to_string())
    }

    #[test]
    fn the_mode_is_the_urls_else_the_environments_else_prefer() {
        let mode = |url, variables| find(url, variables, &["root.crt"]).unwrap().mode;
        assert_eq!(mode("postgres://db", &[]), Mode::Prefer);
        assert_eq!(mode("postgres://db?sslmode=require", &[("PGSSLMODE", "allow")]), Mode::Require);
        assert_eq!(mode("postgres://db", &[("PGSSLMODE", "allow"), ("PGREQUIRESSL", "1")]), Mode::Allow);
        assert_eq!(mode("postgres://db", &[("PGREQUIRESSL", "1")]), Mode::Require);
        assert_eq!(mode("postgres://db?ssl=true", &[]), Mode::Require);
        assert_eq!(mode("postgres://db?sslrootcert=system", &[]), Mode::VerifyFull);
        assert!(find("postgres://db?sslmode=yes", &[], &[]).unwrap_err().starts_with("sslmode: "));
    }

    #[test]
    fn a_root_file_that_is_there_is_used_in_every_mode_and_verifying_needs_one() {
        for mode in ["prefer", "require", "verify-ca", "verify-full"] {
            let url = format!("postgres://db?sslmode={mode}");
            let found = find(&url, &[], &["root.crt"]).unwrap();
            assert!(matches!(found.roots, Roots::File(_)), "{mode}");
            let without = find(&url, &[], &[]);
            if mode.starts_with("verify") {
                assert!(without.unwrap_err().starts_with("sslrootcert: "), "{mode}");
            } else {
                assert_eq!(without.unwrap().roots, Roots::None, "{mode}");
            }
        }
        let error = find("postgres://db?sslmode=require&sslrootcert=system", &[], &[]).unwrap_err();
        assert!(error.starts_with("sslrootcert: ") && error.contains("verify-full"), "{error}");
        let error = find("postgres://db?sslmode=require", &[("PGSSLROOTCERT", "/not/there")], &[]).unwrap_err();
        assert_eq!(error, "sslrootcert: /not/there does not exist");
    }

    #[test]
    fn a_client_certificate_comes_with_its_key_or_not_at_all() {
        assert_eq!(find("postgres://db", &[], &[]).unwrap().client, None);
        assert!(find("postgres://db", &[], &["postgresql.crt", "postgresql.key"]).unwrap().client.is_some());
        let error = find("postgres://db", &[], &["postgresql.crt"]).unwrap_err();
        assert!(error.starts_with("sslkey: "), "{error}");
        assert_eq!(find("postgres://db?sslcertmode=disable", &[], &["postgresql.crt"]).unwrap().client, None);
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for (query, variables, name) in [
            ("channel_binding=require", &[][..], "channel_binding"),
            ("", &[("PGCHANNELBINDING", "require")][..], "channel_binding"),
            ("sslpassword=x", &[], "sslpassword"),
            ("sslcrl=x", &[], "sslcrl"),
            ("", &[("PGSSLCRLDIR", "x")], "sslcrldir"),
            ("sslcertmode=require", &[], "sslcertmode"),
            ("ssl_max_protocol_version=TLSv1.1", &[], "ssl_max_protocol_version"),
            ("ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2", &[], "ssl_min_protocol_version"),
            ("sslnegotiation=direct", &[], "sslnegotiation"),
            ("sslkeylogfile=x", &[], "sslkeylogfile"),
        ] {
            let error = find(&format!("postgres://db?{query}"), variables, &[]).unwrap_err();
            assert!(error.starts_with(&format!("{name}: ")), "{error}");
        }
        let error = find("postgres://db", &[], &["root.crt", "root.crl"]).unwrap_err();
        assert!(error.starts_with("sslcrl: ") && error.contains("root.crl"), "{error}");
        assert!(find("postgres://db", &[], &["root.crl"]).is_ok(), "nothing is verified that could be revoked");
    }

    #[test]
    fn old_versions_are_left_out_and_tls_1_3_can_be_asked_for() {
        let of = |query: &str| {
            let found = find(&format!("postgres://db?{query}"), &[], &[]).unwrap();
            (found.has_tls12, found.has_tls13)
        };
        assert_eq!(of(""), (true, true));
        assert_eq!(of("ssl_min_protocol_version=TLSv1"), (true, true));
        assert_eq!(of("ssl_min_protocol_version=TLSv1.3"), (false, true));
        assert_eq!(of("ssl_max_protocol_version=TLSv1.2"), (true, false));
    }
}
