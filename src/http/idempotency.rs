//! The `Idempotency-Key` header.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest, HttpResponse};

use super::extract::bad_parameter;
use super::problem::ApiError;
use crate::store::idempotency::{Answer, Key};

/// The name of the header.
const HEADER: &str = "Idempotency-Key";

/// The client's key, where it sent one: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(Option<String>);

impl IdempotencyKey {
    /// The key within `scope`, for a request with this hash.
    #[must_use]
    pub fn scoped(self, scope: &'static str, request_hash: &str) -> Option<Key> {
        self.0.map(|key| Key { scope, key, request_hash: request_hash.to_owned() })
    }
}

impl FromRequest for IdempotencyKey {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut all = request.headers().get_all(HEADER);
        ready(match (all.next(), all.next()) {
            (None, _) => Ok(Self(None)),
            (Some(only), None) => match only.to_str() {
                Ok(key) if (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) => {
                    Ok(Self(Some(key.to_owned())))
                }
                _ => Err(malformed()),
            },
            (Some(_), Some(_)) => Err(malformed()),
        })
    }
}

fn malformed() -> ApiError {
    let reason = "send it once: 1 to 255 visible ASCII characters".to_owned();
    bad_parameter(HEADER, "idempotency_key_malformed", reason)
}

/// The error for a key that was used for another request.
#[must_use]
pub fn reused() -> ApiError {
    ApiError::Conflict {
        code: "idempotency_key_reused",
        detail: "this Idempotency-Key was used for another request; take a new one".to_owned(),
        ids: Vec::new(),
    }
}

/// A stored or fresh answer as a response.
#[must_use]
pub fn respond(answer: Answer, location: Option<&str>) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    if let Some(location) = location {
        response.insert_header(("Location", location));
    }
    response.content_type("application/json").body(answer.body)
}
