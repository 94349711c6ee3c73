//! Where a request comes from.

use std::net::IpAddr;

use actix_web::http::header::HeaderName;
use actix_web::{HttpRequest, web};

use crate::config::proxies::Proxies;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client, by the settings' `http.trusted_proxies`. `None` where a request comes from no connection.
pub(in crate::http) fn address(request: &HttpRequest) -> Option<IpAddr> {
    match request.app_data::<web::Data<Proxies>>() {
        Some(proxies) => behind(request, proxies),
        None => behind(request, &Proxies::default()),
    }
}

/// The connection's address, unless that is a trusted proxy's, whose `X-Forwarded-For` is believed then.
fn behind(request: &HttpRequest, proxies: &Proxies) -> Option<IpAddr> {
    let forwarded: Vec<&str> =
        request.headers().get_all(X_FORWARDED_FOR).filter_map(|value| value.to_str().ok()).collect();
    request.peer_addr().map(|peer| proxies.client(peer.ip(), forwarded.into_iter()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_a_trusted_proxy_says_where_a_request_comes_from() {
        let request = TestRequest::default()
            .peer_addr("10.0.0.1:4000".parse().unwrap())
            .append_header((X_FORWARDED_FOR, "203.0.113.9, 198.51.100.7"))
            .to_http_request();
        let trusted: Proxies = serde_json::from_value(serde_json::json!(["10.0.0.1"])).unwrap();
        assert_eq!(behind(&request, &trusted), Some("198.51.100.7".parse().unwrap()));
        assert_eq!(behind(&request, &Proxies::default()), Some("10.0.0.1".parse().unwrap()));
    }
}
