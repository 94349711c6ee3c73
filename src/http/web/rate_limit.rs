//! The headers by which a client knows how much it may still ask for.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::access::limit::Standing;

/// How the bucket stands.
pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// How large the bucket is.
pub(super) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Enters `RateLimit-Policy` and `RateLimit`.
pub(in crate::http) fn enter(standing: &Standing, headers: &mut HeaderMap) {
    for (name, value) in [(RATE_LIMIT_POLICY, standing.policy()), (RATE_LIMIT, standing.state())] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}
