//! How long requests take, by route.

use std::time::Duration;

use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, StatusCode};

/// What stands for a path that no route has: paths are not counted one by one, for anybody may ask for any.
const NO_ROUTE: &str = "none";

/// Counts an answer that took so long, up to its head: a stream goes on behind it.
pub(super) fn count(response: &ServiceResponse, took: Duration) {
    let request = response.request();
    let route = request.match_pattern().unwrap_or_else(|| NO_ROUTE.to_owned());
    let (method, status) = (method(request.method()), class(response.status()));
    metrics::histogram!("volley_http_request_seconds", "route" => route, "method" => method, "status" => status)
        .record(took.as_secs_f64());
}

fn method(method: &Method) -> String {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    if known.contains(method) { method.as_str().to_owned() } else { "other".to_owned() }
}

/// `2xx` for 204.
fn class(status: StatusCode) -> String {
    format!("{}xx", status.as_u16() / 100)
}
