//! Which answers are compressed: whole ones of some size, and exports. `Compress` stands between the two functions of this file:
//! it leaves alone what has a `Content-Encoding`, and has no other way to be told so.

use actix_web::Error;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_ENCODING, HeaderValue, VARY};
use actix_web::middleware::Next;

/// The least bytes that are compressed. Fewer fit into one packet as they are.
const LEAST: u64 = 1024;

/// An answer that is left as it is.
struct AsItIs;

/// Stands inside of `Compress`: marks what stays as it is. Answers to HEAD have no body; problems are written anew at the edge.
///
/// # Errors
/// Those of the route.
pub(in crate::http) async fn mark_small(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_head = request.method() == Method::HEAD;
    let mut response = next.call(request).await?;
    let is_small = match response.response().body().size() {
        BodySize::None => true,
        BodySize::Sized(bytes) => bytes < LEAST,
        BodySize::Stream => false,
    };
    let has_its_own = response.headers().contains_key(CONTENT_ENCODING);
    if (is_head || is_small || !response.status().is_success()) && !has_its_own {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
        response.response_mut().extensions_mut().insert(AsItIs);
    }
    Ok(response)
}

/// Stands outside of `Compress`: takes the marks away, which no client needs to see, and says of what could have been compressed
/// that it depends on what the client takes.
///
/// # Errors
/// Those of the route.
pub(in crate::http) async fn unmark<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let mut response = next.call(request).await?;
    let is_marked = response.response_mut().extensions_mut().remove::<AsItIs>().is_some();
    if is_marked {
        response.headers_mut().remove(CONTENT_ENCODING);
    } else if !response.headers().contains_key(CONTENT_ENCODING) {
        response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    }
    Ok(response)
}
