//! Requests that show a user and a password (RFC 7617), where a provider signs nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use super::{Incoming, Unverified, hash};

/// What a secret of this kind looks like.
pub(super) fn check_secret(secret: &str) -> Result<(), &'static str> {
    let is_long = |password: &str| password.len() >= 16;
    let fits = secret.split_once(':').is_some_and(|(user, password)| !user.is_empty() && is_long(password));
    if fits { Ok(()) } else { Err("the secret is USER:PASSWORD, with a password of 16 characters at least") }
}

/// Repetitions share the hash of their body.
pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[&str]) -> Result<String, Unverified> {
    verify_head(incoming, secrets).map(|()| hash(incoming.body))
}

/// User and password stand in the head of a request.
pub(super) fn verify_head(incoming: &Incoming<'_>, secrets: &[&str]) -> Result<(), Unverified> {
    let header = incoming.header("authorization").ok_or(Unverified)?;
    let (scheme, given) = header.split_once(' ').ok_or(Unverified)?;
    let given = STANDARD.decode(given.trim()).map_err(|_no_base64| Unverified)?;
    let is_one_of_them = secrets
        .iter()
        .filter(|secret| check_secret(secret).is_ok())
        .fold(subtle::Choice::from(0), |found, secret| found | secret.as_bytes().ct_eq(&given));
    if scheme.eq_ignore_ascii_case("basic") && bool::from(is_one_of_them) { Ok(()) } else { Err(Unverified) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::instant::UtcInstant;

    const SECRET: &str = "postmark:0123456789abcdef";

    fn verified(header: &str, secrets: &[&str]) -> bool {
        let headers = [("authorization".to_owned(), header.to_owned())];
        verify(&Incoming { headers: &headers, body: b"{}", now: UtcInstant(0) }, secrets).is_ok()
    }

    #[test]
    fn only_user_and_password_open() {
        let header = |scheme: &str, text: &str| format!("{scheme} {}", STANDARD.encode(text));
        assert!(verified(&header("Basic", SECRET), &[SECRET]));
        assert!(verified(&header("basic", SECRET), &["old:0123456789abcdef", SECRET]));
        for (scheme, text) in
            [("Basic", "postmark:0123456789abcdeg"), ("Basic", "postmark:"), ("Basic", ""), ("Bearer", SECRET)]
        {
            assert!(!verified(&header(scheme, text), &[SECRET]), "{scheme} {text}");
        }
        assert!(!verified(SECRET, &[SECRET]));
        assert!(!verified(&header("Basic", ""), &[""]), "an empty secret opens nothing");
        assert!(!verified(&header("Basic", SECRET), &[]));
    }

    #[test]
    fn a_password_is_long() {
        assert!(check_secret(SECRET).is_ok());
        for secret in ["", "user", "user:short", ":0123456789abcdef"] {
            assert!(check_secret(secret).is_err(), "{secret}");
        }
    }
}
