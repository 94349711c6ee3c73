//! How a request has travelled, and whether it comes from a page of ours.

use actix_web::HttpRequest;
use actix_web::http::Uri;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::web;

use crate::config::proxies::Proxies;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Headers by which proxies say that they are there.
const SIGNS_OF_A_PROXY: [&str; 5] = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "via"];

/// How a request has travelled from the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Transport {
    /// Encrypted, up to a proxy that is trusted.
    Https,
    /// It has not left this machine.
    Loopback,
    /// Others may have read it.
    Plain,
}

impl Transport {
    /// How `request` has travelled.
    pub(in crate::http) fn of(request: &HttpRequest) -> Self {
        let none = Proxies::default();
        let proxies = request.app_data::<web::Data<Proxies>>().map_or(&none, |proxies| proxies.as_ref());
        let Some(peer) = request.peer_addr().map(|peer| peer.ip()) else { return Self::Plain };
        let headers = request.headers();
        if proxies.contains(peer) {
            let protocol = headers.get(X_FORWARDED_PROTO).and_then(|value| value.to_str().ok());
            return if protocol.is_some_and(|name| name.eq_ignore_ascii_case("https")) {
                Self::Https
            } else {
                Self::Plain
            };
        }
        let is_proxied = SIGNS_OF_A_PROXY.iter().any(|name| headers.contains_key(*name));
        // A proxy on this machine may leave no sign of itself but the page that its browser was on.
        let is_from_here =
            !headers.contains_key(header::ORIGIN) || origin(headers).is_some_and(|host| is_loopback(&host));
        let asks_here = host(headers).is_some_and(|host| is_loopback(&host));
        let is_local = peer.to_canonical().is_loopback() && asks_here && is_from_here;
        if is_local && !is_proxied { Self::Loopback } else { Self::Plain }
    }
}

/// Whether a change was asked for by a page of this very origin. A browser says so itself; one that does not says where the page
/// is from.
pub(in crate::http) fn is_own(headers: &HeaderMap) -> bool {
    match headers.get(SEC_FETCH_SITE) {
        Some(site) => site == "same-origin",
        None => {
            let origin = origin(headers);
            origin.is_some() && origin == host(headers)
        }
    }
}

/// Whether a browser says where its request comes from. It does so over encrypted ways and to its own machine only.
pub(in crate::http) fn has_metadata(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_FETCH_SITE)
}

/// The host of the page that a request comes from, with its port, in lower case.
fn origin(headers: &HeaderMap) -> Option<String> {
    let uri: Uri = headers.get(header::ORIGIN)?.to_str().ok()?.parse().ok()?;
    let is_web = uri.scheme_str().is_some_and(|scheme| scheme == "http" || scheme == "https");
    uri.authority().filter(|_| is_web).map(|authority| authority.as_str().to_ascii_lowercase())
}

/// Whether a browser says that it follows a link of another site. It sends no strict cookie with that.
pub(in crate::http) fn is_link_of_another_site(headers: &HeaderMap) -> bool {
    headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site" || site == "same-site")
}

/// The host that was asked for, with its port, in lower case.
pub(in crate::http) fn host(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let is_harmless =
        |host: &&str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]_".contains(&b));
    Some(host).filter(is_harmless).map(str::to_ascii_lowercase)
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn transport(peer: &str, host: &str, more: &[(&'static str, &str)], trusted: &str) -> Transport {
        let proxies: Proxies = serde_json::from_value(serde_json::json!(trusted)).unwrap();
        let request = TestRequest::default().peer_addr(peer.parse().unwrap()).insert_header((header::HOST, host));
        let request = more.iter().fold(request, |request, header| request.insert_header(*header));
        Transport::of(&request.app_data(web::Data::new(proxies)).to_http_request())
    }

    #[test]
    fn only_a_trusted_proxy_says_that_the_way_was_encrypted() {
        let https = [("x-forwarded-proto", "https")];
        assert_eq!(transport("10.0.0.1:4000", "volley.example.com", &https, "10.0.0.1"), Transport::Https);
        assert_eq!(transport("10.0.0.1:4000", "volley.example.com", &https, "10.0.0.2"), Transport::Plain);
        let http = [("x-forwarded-proto", "http")];
        assert_eq!(transport("10.0.0.1:4000", "volley.example.com", &http, "10.0.0.1"), Transport::Plain);
        assert_eq!(transport("127.0.0.1:4000", "127.0.0.1", &[], "127.0.0.1"), Transport::Plain);
    }

    #[test]
    fn a_request_that_has_not_left_the_machine_asks_for_a_name_of_the_machine_itself() {
        for host in ["127.0.0.1:8080", "localhost:8080", "localhost", "[::1]:8080"] {
            assert_eq!(transport("127.0.0.1:4000", host, &[], ""), Transport::Loopback, "{host}");
            assert_eq!(transport("192.0.2.1:4000", host, &[], ""), Transport::Plain, "{host}");
        }
        assert_eq!(transport("127.0.0.1:4000", "volley.example.com", &[], ""), Transport::Plain);
        assert_eq!(transport("127.0.0.1:4000", "localhost", &[("via", "1.1 proxy")], ""), Transport::Plain);
        let elsewhere = [("origin", "https://volley.example.com")];
        assert_eq!(transport("127.0.0.1:4000", "127.0.0.1:8080", &elsewhere, ""), Transport::Plain);
        let hidden = [("origin", "null")];
        assert_eq!(transport("127.0.0.1:4000", "127.0.0.1:8080", &hidden, ""), Transport::Plain);
        let here = [("origin", "http://127.0.0.1:8080")];
        assert_eq!(transport("127.0.0.1:4000", "127.0.0.1:8080", &here, ""), Transport::Loopback);
    }

    #[test]
    fn a_change_is_asked_for_by_a_page_of_this_origin() {
        let own = |headers: &[(&'static str, &str)]| {
            let request = headers.iter().fold(TestRequest::default(), |request, header| request.insert_header(*header));
            is_own(request.to_http_request().headers())
        };
        let host = ("host", "volley.example.com:8080");
        assert!(own(&[("sec-fetch-site", "same-origin")]));
        for site in ["cross-site", "same-site", "none"] {
            let same = ("origin", "http://volley.example.com:8080");
            assert!(!own(&[host, same, ("sec-fetch-site", site)]), "{site}");
        }
        assert!(own(&[host, ("origin", "https://Volley.example.com:8080")]));
        for origin in ["https://volley.example.com", "https://other.example.com:8080", "null", ""] {
            assert!(!own(&[host, ("origin", origin)]), "{origin}");
        }
        assert!(!own(&[host]), "who says nothing is nobody of ours");
    }
}
