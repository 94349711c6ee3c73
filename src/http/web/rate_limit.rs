//! The headers by which a client knows how much it may still ask for.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::access::limit::Standing;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Enters `RateLimit-Policy` and `RateLimit`.
pub(in crate::http) fn enter(standing: &Standing, headers: &mut HeaderMap) {
    for (name, value) in [(RATELIMIT_POLICY, standing.policy()), (RATELIMIT, standing.state())] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}
