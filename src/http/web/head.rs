//! Answers to HEAD: what GET would say, without its body (RFC 9110 9.3.2).

use actix_web::Error;
use actix_web::body::{BodySize, BodyStream, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use futures_util::stream;

/// Lets a stream go that nobody will read: an endless one would keep the connection. A body of a known length stays, and the server leaves it
/// out.
///
/// # Errors
/// Those of the route.
pub(in crate::http) async fn without_body(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| match body.size() {
        BodySize::None | BodySize::Sized(_) => body,
        BodySize::Stream => BodyStream::new(stream::empty::<Result<Bytes, Error>>()).boxed(),
    }))
}
