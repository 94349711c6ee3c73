//! The outermost layer of every request: its id, its span, and problem documents for whatever failed further in.

use std::borrow::Cow;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest};
use tracing::Instrument;

use super::meter;
use super::problem::{ApiError, PROBLEM_JSON, Problem};
use crate::domain::trace::Trace;

/// The header with the id of a request.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest target of a request line.
const MAX_TARGET_BYTES: usize = 8 * 1024;

/// The most bytes of all header names and values together.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Names a request in answers and logs.
#[derive(Debug, Clone)]
pub(in crate::http) struct RequestId(pub(in crate::http) String);

impl RequestId {
    /// The client's own id where it is short and harmless, else a fresh one.
    fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
        let harmless = |id: &&str| {
            (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
        };
        Self(given.filter(harmless).map_or_else(|| uuid::Uuid::new_v4().to_string(), ToOwned::to_owned))
    }
}

/// The trace that the client names, if it names one.
fn trace_of(headers: &HeaderMap) -> Option<Trace> {
    let mut all = headers.get_all("traceparent");
    match (all.next(), all.next()) {
        (Some(only), None) => Trace::of_header(only.to_str().ok()?),
        (None | Some(_), _) => None,
    }
}

/// The id under which a request is served.
pub(in crate::http) fn request_id(request: &HttpRequest) -> Option<String> {
    request.extensions().get::<RequestId>().map(|id| id.0.clone())
}

/// Serves `request` under its id. Errors that have no problem document yet (no such route, method not allowed, what
/// actix refuses by itself) get one.
pub(in crate::http) async fn edge(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let began = Instant::now();
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let trace = trace_of(request.headers());
    if let Some(trace) = trace {
        request.extensions_mut().insert(trace);
    }
    let trace_id = trace.map(Trace::id);
    let span = tracing::info_span!("request", request.id = %id.0, trace.id = trace_id, http.method = %request.method());
    let response = next.call(request).instrument(span.clone()).await?.map_into_boxed_body();
    let response = span.in_scope(|| finish(response, &id));
    meter::count(&response, began.elapsed());
    Ok(response)
}

/// Refuses a head that no client of this API needs. Stands before the door of every route, and behind what says to pages of other origins
/// that they may read the refusal. What is larger still never gets here: actix answers it by itself.
///
/// # Errors
/// Those of the route.
pub(in crate::http) async fn small_head(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match check_head(&request) {
        Err(error) => Ok(request.error_response(error)),
        Ok(()) => Ok(next.call(request).await?.map_into_boxed_body()),
    }
}

fn check_head(request: &ServiceRequest) -> Result<(), ApiError> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > MAX_TARGET_BYTES {
        return Err(ApiError::TargetTooLong { limit: MAX_TARGET_BYTES });
    }
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > MAX_HEADER_BYTES {
        return Err(ApiError::HeadersTooLarge { limit: MAX_HEADER_BYTES });
    }
    Ok(())
}

fn finish(mut response: ServiceResponse, id: &RequestId) -> ServiceResponse {
    log_failure(&response);
    if response.status().is_client_error() || response.status().is_server_error() {
        let stored = response.response().extensions().get::<Problem>().cloned();
        let problem = match stored {
            Some(problem) => Some(problem),
            // A body that is JSON already (readiness, for one) or a page says more than a status in words.
            None if has_own_body(&response) => None,
            None => Some(plain(response.status())),
        };
        if let Some(mut problem) = problem {
            problem.request_id = Some(id.0.clone());
            let body = serde_json::to_vec(&problem).unwrap_or_default();
            response = response.map_body(|head, _| {
                head.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
                BoxBody::new(body)
            });
        }
    }
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

fn has_own_body(response: &ServiceResponse) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| ["application/json", PROBLEM_JSON, "text/html"].iter().any(|own| value.starts_with(own)))
}

/// The document of an error that actix made.
pub(in crate::http) fn plain(status: StatusCode) -> Problem {
    let (code, detail) = match status {
        StatusCode::NOT_FOUND => ("route_not_found", "there is no such route; see /openapi.json"),
        StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "the Allow header names the methods of this route"),
        StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "the body is too large"),
        _ if status.is_server_error() => ("internal_error", "the request could not be served"),
        _ => ("malformed", "the request cannot be read"),
    };
    let mut problem = Problem::of(status, Cow::Borrowed(code));
    problem.detail = Some(detail.to_owned());
    problem
}

/// Says in the log why a request has failed.
pub(in crate::http) fn log_failure(response: &ServiceResponse) {
    if !response.status().is_server_error() {
        return;
    }
    let Some(error) = response.response().error() else { return };
    match error.as_error::<ApiError>() {
        Some(error) => {
            let mut causes = String::new();
            let mut next = std::error::Error::source(error);
            while let Some(cause) = next {
                causes.push_str(": ");
                causes.push_str(&cause.to_string());
                next = cause.source();
            }
            tracing::error!(event = "http.request_failed", error = %error, causes, "a request has failed");
        }
        None => tracing::error!(event = "http.request_failed", error = %error, "a request has failed"),
    }
}
