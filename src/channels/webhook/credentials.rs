//! The user and password of an address, as HTTP wants them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use crate::channels::{Unusable, percent};

/// What goes into `Authorization` or `Proxy-Authorization`, where an address names a user (RFC 7617).
///
/// # Errors
/// [`Unusable`] that names `setting`, where the address is: the user or the password cannot be decoded.
pub(super) fn authorization(setting: &str, url: &Url) -> Result<Option<String>, Unusable> {
    let Some(login) = login(url) else { return Ok(None) };
    let reason = || Unusable::new(format!("{setting}: user or password is not percent-encoded UTF-8"));
    login.map(|login| Some(format!("Basic {}", STANDARD.encode(login)))).ok_or_else(reason)
}

/// `user:password` where the address names one; nothing within where it cannot be decoded.
fn login(url: &Url) -> Option<Option<String>> {
    let (user, password) = (url.username(), url.password().unwrap_or_default());
    if user.is_empty() && password.is_empty() {
        return None;
    }
    Some(percent::decode(user).zip(percent::decode(password)).map(|(user, password)| format!("{user}:{password}")))
}
