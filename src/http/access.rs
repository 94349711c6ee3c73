//! Who is let in: the middleware of the door for programs, and of each of its routes.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};

use super::auth::{self, Caller};
use super::state::AppState;
use super::web::extract::bad_parameter;
use super::web::problem::ApiError;
use crate::domain::access::Scope;
use crate::domain::access::audit::{Action, Object};
use crate::store::access::api_keys;

/// Keys in an address end up in logs and histories.
fn refuse_key_in_query(query: &str) -> Result<(), ApiError> {
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let says_key =
            ["api_key", "apikey", "key", "token", "access_token"].contains(&name.to_ascii_lowercase().as_str());
        if says_key || value.starts_with(api_keys::KEY_PREFIX) {
            let reason = "send API keys in the Authorization header, never in the address".to_owned();
            return Err(bad_parameter("query", "key_in_query", reason));
        }
    }
    Ok(())
}

/// Lets a request with a valid key pass.
pub(super) async fn require_key<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    match authenticate(&request).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.call(request).await.map(ServiceResponse::map_into_left_body)
        }
        Err(error) => Ok(request.error_response(error).map_into_right_body()),
    }
}

/// Lets a request pass whose key allows what the route asks for. Nothing of the body has been read by then.
pub(super) async fn require_scope(
    asked: Scope,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let caller = request.extensions().get::<Caller>().copied();
    let refused = match caller.map(|caller| caller.rights().scope) {
        Some(own) if own.includes(asked) => None,
        Some(own) => Some(ApiError::InsufficientScope { asked, own }),
        None => Some(ApiError::Unauthorized),
    };
    match refused {
        None => next.call(request).await,
        Some(error) => {
            if let (Ok(state), Some(by)) = (AppState::of(request.request()), auth::by(request.request())) {
                let route = format!("{} {}", request.method(), request.match_pattern().unwrap_or_default());
                state.gathered.note(by, Action::Denied, Object::Route, Some(route));
            }
            Ok(request.error_response(error))
        }
    }
}

/// Notes a request that was shown personal data: of one `object` where it has an id of its own, else of contacts.
pub(super) async fn note_read(
    object: Object,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(request).await?;
    if response.status().is_success()
        && let (Ok(state), Some(by)) = (AppState::of(response.request()), auth::by(response.request()))
    {
        // Contacts are many: they are counted.
        let id = response.request().match_info().get("id").filter(|_| object != Object::Contact);
        state.gathered.note(by, Action::Read, object, id.map(ToOwned::to_owned));
    }
    Ok(response)
}

async fn authenticate(request: &ServiceRequest) -> Result<Caller, ApiError> {
    refuse_key_in_query(request.query_string())?;
    let state = AppState::of(request.request())?;
    state.auth.caller(&state.store, request.headers()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_address_is_refused() {
        assert!(refuse_key_in_query("api_key=1").is_err());
        assert!(refuse_key_in_query("search=vly_0123").is_err());
        assert!(refuse_key_in_query("page=1&search=ann").is_ok());
    }
}
