//! Where a request comes from.

use std::net::IpAddr;

use actix_web::HttpRequest;

/// The address of the client.
pub(in crate::http) fn address(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|peer| peer.ip().to_canonical())
}
