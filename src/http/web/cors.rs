//! Cross-origin resource sharing: which pages of other origins may call the API from a browser (`http.cors_origins`).

use actix_cors::Cors;
use actix_web::http::header::{
    AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
};
use actix_web::middleware::Condition;

use super::edge::X_REQUEST_ID;
use super::rate_limit::{RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::config::cors::CorsOrigins;

/// For how many seconds a browser may keep the answer to its question whether it may call.
const KEPT_FOR: usize = 3_600;

/// Answers what browsers ask before they call, ahead of the question for a key, and says to whose pages answers may be shown. Without
/// any origin it stands aside. A key travels in a header that the page sets itself, so that no credentials of the browser are asked for.
pub(in crate::http) fn cors(origins: &CorsOrigins) -> Condition<Cors> {
    let is_wanted = origins.iter().next().is_some();
    let named = origins.iter().fold(Cors::default(), Cors::allowed_origin);
    let cors = named
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH, X_REQUEST_ID])
        .allowed_headers(["idempotency-key", "last-event-id", "traceparent"].map(HeaderName::from_static))
        .expose_headers([CONTENT_DISPOSITION, ETAG, LOCATION, RETRY_AFTER, X_REQUEST_ID, RATE_LIMIT, RATE_LIMIT_POLICY])
        .max_age(KEPT_FOR);
    Condition::new(is_wanted, cors)
}
