//! Answers to HEAD: what GET would say, without its body and its length (RFC 9110 9.3.2).

use actix_web::Error;
use actix_web::body::{BodySize, BodyStream, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use futures_util::stream;

/// How much GET would have sent.
pub(super) struct Unsent(pub(super) BodySize);

/// Lets the body go that nobody will read. An endless one would keep the connection; and with requests behind one another the server may take the
/// HEAD for another one, and write what it should leave out.
///
/// # Errors
/// Those of the route.
pub(in crate::http) async fn without_body(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = next.call(request).await?;
    let size = response.response().body().size();
    response.response_mut().extensions_mut().insert(Unsent(size));
    Ok(response.map_body(|_, _| BodyStream::new(stream::empty::<Result<Bytes, Error>>()).boxed()))
}
