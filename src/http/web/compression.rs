//! Which answers are compressed: whole ones of some size, and exports. `Compress` stands between the two functions of this file:
//! it leaves alone what has a `Content-Encoding`, and has no other way to be told so.

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ACCEPT_ENCODING, AcceptEncoding, CONTENT_ENCODING, Encoding, HeaderValue, VARY};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};

use super::head::Unsent;

/// The least bytes that are compressed. Fewer fit into one packet as they are.
const LEAST: u64 = 1024;

/// An answer that is left as it is.
struct AsItIs {
    /// It stands for one that depends on what the client takes: the answer to GET, or the one that the client has.
    varies: bool,
}

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
    let unsent = response.response().extensions().get::<Unsent>().map(|unsent| unsent.0);
    let is_small = match unsent.unwrap_or_else(|| response.response().body().size()) {
        BodySize::None => true,
        BodySize::Sized(bytes) => bytes < LEAST,
        BodySize::Stream => false,
    };
    let status = response.status();
    let has_its_own = response.headers().contains_key(CONTENT_ENCODING);
    if (is_head || is_small || !status.is_success()) && !has_its_own {
        // RFC 9110 9.3.2 and 15.4.5: both say what the whole answer would.
        let varies = status == StatusCode::NOT_MODIFIED || (is_head && !is_small && status.is_success());
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
        response.response_mut().extensions_mut().insert(AsItIs { varies });
    }
    Ok(response)
}

/// Stands outside of `Compress`: takes the marks away, which no client needs to see, and says of what could have been compressed
/// that it depends on what the client takes.
///
/// # Errors
/// Those of the route.
pub(in crate::http) async fn unmark<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    pass_over_what_nothing_fits(&mut request);
    let mut response = next.call(request).await?;
    let mark = response.response_mut().extensions_mut().remove::<AsItIs>();
    if mark.is_some() {
        response.headers_mut().remove(CONTENT_ENCODING);
    }
    let varies = match mark {
        Some(mark) => mark.varies,
        None => !response.headers().contains_key(CONTENT_ENCODING),
    };
    if varies {
        response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    }
    Ok(response)
}

/// `identity;q=0` and no coding that there is: `Compress` would refuse that with 406, also where nothing is sent but an error. RFC 9110 12.5.3
/// lets a server answer as if nothing was asked for, and small answers have no coding in any case.
fn pass_over_what_nothing_fits(request: &mut ServiceRequest) {
    let codings = [Encoding::identity(), Encoding::gzip(), Encoding::deflate()];
    let asked = request.get_header::<AcceptEncoding>();
    if asked.is_some_and(|asked| asked.negotiate(codings.iter()).is_none()) {
        request.headers_mut().remove(ACCEPT_ENCODING);
    }
}
