//! `/v1/callbacks/POOL`: what the provider of a pool reports. The sender shows by a signature that it is the provider.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::actors::callback_reader::Wake;
use crate::domain::callbacks::Incoming;
use crate::domain::instant::UtcInstant;
use crate::http::AppState;
use crate::http::web::client;
use crate::http::web::extract::{gather, refuse_content_encoding};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::callbacks::receive::{NotReceived, door, greet, receive};

/// What is said to who sends something else to a pool that takes mail.
const NO_MAIL: &str = "this pool takes mail that comes back: send Content-Type: message/rfc822";

/// Takes what a provider reports of messages. It is verified first, then stored, then answered, and read afterwards. A repetition is
/// answered in the same way and has no second effect.
#[utoipa::path(post, path = "/v1/callbacks/{pool}", tag = "callbacks", params(("pool" = String, Path)), security(()),
    request_body(description = "As the provider sends it: see docs/events.md. JSON of most providers, JSON as text of Amazon SNS, \
        and mail.", content((serde_json::Value = "application/json"), (String = "text/plain"), (String = "message/rfc822"))),
    responses((status = 200), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(in crate::http) async fn take(
    state: web::Data<AppState>,
    request: HttpRequest,
    pool: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let refused = |error: ApiError| state.limits.take_without_key(client::address(&request)).err().unwrap_or(error);
    let door = door(&state.services, &pool).ok_or_else(|| refused(ApiError::no_such("callbacks_pool", &pool)))?;
    refuse_content_encoding(&request)?;
    let headers = request.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let headers: Vec<(String, String)> = headers.collect();
    let now = || UtcInstant(jiff::Timestamp::now().as_millisecond());
    let head = Incoming { headers: &headers, body: &[], now: now() };
    greet(door, &head).map_err(|_unverified| refused(ApiError::Unsigned))?;
    let body = gather(payload.into_inner(), door.format.most_of_a_body()).await?;
    let incoming = Incoming { headers: &headers, body: &body, now: now() };
    let content_type = incoming.header("content-type").unwrap_or_default().to_owned();
    match receive(&state.services, &pool, door, &content_type, &incoming).await {
        Ok(_receipt) => {
            if let Some(reader) = state.callbacks.get() {
                // A hint: the reader looks every second anyway.
                let _ = reader.try_send(Wake);
            }
            Ok(HttpResponse::Ok().finish())
        }
        Err(NotReceived::Unverified(_)) => Err(refused(ApiError::Unsigned)),
        Err(NotReceived::NoMail) => Err(ApiError::UnsupportedMediaType(NO_MAIL)),
        Err(NotReceived::Unreachable(_)) => {
            let detail = "the provider has to be asked for its certificate or its confirmation, and does not answer";
            // Anybody can name a certificate that is nowhere.
            Err(refused(ApiError::Unavailable { code: "provider_unavailable", detail: detail.to_owned() }))
        }
        Err(NotReceived::Store(error)) => Err(error.into()),
    }
}
