//! Who is let in: the middleware of the door for programs, and of each of its routes.

use std::future::{Ready, ready};

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest};

use super::auth::Caller;
use super::sessions::SignedIn;
use super::state::AppState;
use super::web::extract::bad_parameter;
use super::web::problem::ApiError;
use super::web::{client, edge, rate_limit};
use crate::domain::access::Scope;
use crate::domain::access::audit::{Action, Object};
use crate::domain::access::limit::{Limit, Standing};
use crate::domain::trace::Trace;
use crate::services::{Asker, By};
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
        Some(own) => Some(ApiError::InsufficientScope { what: "this", asked, own }),
        None => Some(ApiError::Unauthorized),
    };
    match refused {
        None => next.call(request).await,
        Some(error) => {
            if let (Ok(state), Some(by)) = (AppState::of(request.request()), by(request.request())) {
                let route = format!("{} {}", request.method(), request.match_pattern().unwrap_or_default());
                state.gathered.note(by, Action::Denied, Object::Route, Some(route));
            }
            Ok(request.error_response(error))
        }
    }
}

/// Checks that a key allows what a field asks for beyond its route.
///
/// # Errors
/// [`ApiError::InsufficientScope`], which names the field.
pub(super) fn require_for(by: &By, asked: Scope, field: &'static str) -> Result<(), ApiError> {
    let own = by.rights.scope;
    if own.includes(asked) { Ok(()) } else { Err(ApiError::InsufficientScope { what: field, asked, own }) }
}

/// Notes a request that was shown personal data: of one `object` where it has an id of its own, else of contacts.
pub(super) async fn note_read(
    object: Object,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(request).await?;
    if response.status().is_success()
        && let (Ok(state), Some(by)) = (AppState::of(response.request()), by(response.request()))
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
    let address = client::address(request.request());
    state.auth.caller(&state.store, request.headers(), || state.limits.take_without_key(address)).await
}

/// Counts a request, and says in its answer how the bucket stands.
pub(super) async fn limited(
    limit: Limit,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match Charge(request.request().clone()).take(limit, 1) {
        Err(error) => Ok(request.error_response(error)),
        Ok(()) => {
            let mut response = next.call(request).await?;
            let standing = response.request().extensions().get::<Standing>().copied();
            if let Some(standing) = standing {
                rate_limit::enter(&standing, response.headers_mut());
            }
            Ok(response)
        }
    }
}

/// The right to take more than the one item that every request takes: for a handler that finds many in the body.
pub(super) struct Charge(HttpRequest);

impl Charge {
    /// Takes the items beyond the first one.
    ///
    /// # Errors
    /// The bucket does not have them. Nothing was taken.
    pub(super) fn rest(&self, limit: Limit, items: usize) -> Result<(), ApiError> {
        let rest = items.saturating_sub(1);
        if rest == 0 { Ok(()) } else { self.take(limit, rest) }
    }

    /// Takes items.
    ///
    /// # Errors
    /// The bucket does not have them. Nothing was taken.
    pub(super) fn take(&self, limit: Limit, items: usize) -> Result<(), ApiError> {
        let items = u32::try_from(items).unwrap_or(u32::MAX);
        let state = AppState::of(&self.0)?;
        let caller = self.0.extensions().get::<Caller>().copied().ok_or(ApiError::Unauthorized)?;
        if let Some(standing) = state.limits.take(caller, limit, items)? {
            self.0.extensions_mut().insert(standing);
        }
        Ok(())
    }
}

impl FromRequest for Charge {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.clone())))
    }
}

/// Who asks for what `request` asks for. `None`: it was not let in.
pub(super) fn by(request: &HttpRequest) -> Option<By> {
    let caller = request.extensions().get::<Caller>().copied()?;
    let asker = match caller {
        Caller::Root => Asker::RootKey,
        Caller::Key(id, _) => Asker::ApiKey(id),
    };
    let (client, request_id) = (client::address(request), edge::request_id(request));
    let trace = request.extensions().get::<Trace>().copied();
    let session = request.extensions().get::<SignedIn>().map(|person| person.session);
    Some(By { asker, rights: caller.rights(), client, request_id, trace, session })
}

impl FromRequest for By {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(by(request).ok_or(ApiError::Unauthorized))
    }
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
