//! The cookies of the pages: the session, and two choices.

use actix_web::HttpRequest;
use actix_web::http::header::{COOKIE, HeaderMap};

use crate::http::web::origin::{self, Transport};

/// The session, where the way is encrypted: a browser takes it from this very host only, and sends it nowhere else.
const SECURE: &str = "__Host-volley-session";

/// The session on a machine's own loopback, before the port: cookies know no ports, and several instances may listen there.
const LOCAL: &str = "volley-session";

/// The theme.
const THEME: &str = "volley-theme";

/// Whether single letters are keys.
const KEYS: &str = "volley-keys";

/// How long a choice is kept, in seconds: a year.
const CHOICE_LASTS: u32 = 31_536_000;

/// The colours of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theme {
    /// As the system says.
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// As the style sheet and the cookie have it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == name)
    }
}

/// The secret of the session.
pub(super) fn session(request: &HttpRequest) -> Option<&str> {
    value(request.headers(), &session_name(request))
}

fn session_name(request: &HttpRequest) -> String {
    match Transport::of(request) {
        Transport::Https => SECURE.to_owned(),
        Transport::Loopback | Transport::Plain => {
            let host = origin::host(request.headers()).unwrap_or_default();
            let port = host.rsplit_once(':').map_or("", |(_, port)| port);
            let port: String = port.chars().filter(char::is_ascii_digit).collect();
            if port.is_empty() { LOCAL.to_owned() } else { format!("{LOCAL}-{port}") }
        }
    }
}

/// The header that keeps a session in the browser until the browser is closed; the server ends it earlier. Without a secret: that
/// removes it.
pub(super) fn keep_session(request: &HttpRequest, secret: Option<&str>) -> String {
    let name = session_name(request);
    let secure = if name == SECURE { "; Secure" } else { "" };
    let (secret, end) = secret.map_or(("", "; Max-Age=0"), |secret| (secret, ""));
    format!("{name}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}{end}")
}

/// The theme that was chosen.
pub(super) fn theme(headers: &HeaderMap) -> Theme {
    value(headers, THEME).and_then(Theme::named).unwrap_or(Theme::Auto)
}

/// The header that keeps a theme.
pub(super) fn keep_theme(theme: Theme) -> String {
    choice(THEME, theme.as_str())
}

/// Whether single letters are keys.
pub(super) fn has_keys(headers: &HeaderMap) -> bool {
    value(headers, KEYS) != Some("off")
}

/// The header that keeps whether single letters are keys.
pub(super) fn keep_keys(on: bool) -> String {
    choice(KEYS, if on { "on" } else { "off" })
}

fn choice(name: &str, value: &str) -> String {
    format!("{name}={value}; Path=/ui; Max-Age={CHOICE_LASTS}; HttpOnly; SameSite=Lax")
}

fn value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(COOKIE).filter_map(|header| header.to_str().ok()).flat_map(|header| header.split(';'));
    all.filter_map(|pair| pair.trim().split_once('=')).find(|(known, _)| *known == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let headers = |text: &str| {
            let request = TestRequest::default().insert_header((COOKIE, text)).to_http_request();
            (theme(request.headers()), has_keys(request.headers()))
        };
        assert_eq!(headers("a=b; volley-theme=dark; volley-keys=off"), (Theme::Dark, false));
        assert_eq!(headers("xvolley-theme=dark;volley-theme=purple"), (Theme::Auto, true));
        assert_eq!(headers(""), (Theme::Auto, true));
    }

    #[test]
    fn the_cookie_of_a_session_is_for_this_host_and_no_script() {
        let local = TestRequest::default().peer_addr("127.0.0.1:1".parse().unwrap());
        let local = local.insert_header(("host", "127.0.0.1:8080")).to_http_request();
        assert_eq!(keep_session(&local, Some("s")), "volley-session-8080=s; Path=/; HttpOnly; SameSite=Strict");
        let proxies: crate::config::proxies::Proxies = serde_json::from_value(serde_json::json!("10.0.0.1")).unwrap();
        let secure = TestRequest::default().peer_addr("10.0.0.1:1".parse().unwrap());
        let secure = secure.insert_header(("x-forwarded-proto", "https"));
        let secure = secure.app_data(actix_web::web::Data::new(proxies)).to_http_request();
        assert_eq!(
            keep_session(&secure, None),
            "__Host-volley-session=; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=0"
        );
    }
}
