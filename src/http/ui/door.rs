//! The door of the pages: who has signed in, what changes something, and what every answer has in its head.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse};
use askama::Template;

use super::form::{is_own_path, see_other, sign_in};
use super::frame::page;
use super::{cookies, errors, live};
use crate::http::sessions;
use crate::http::state::AppState;
use crate::http::web::origin::Transport;
use crate::http::web::problem::ApiError;
use crate::http::web::{client, origin};

/// Our own scripts, styles and forms, and nothing from elsewhere.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                          frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The stream of an open page.
const LIVE: &str = "/ui/live";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// Serves everything below `/ui`: a change has to come from a page of this origin, and what goes wrong is a page.
pub(in crate::http) async fn door(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let transport = Transport::of(request.request());
    let response = if changes && !origin::is_own(request.headers()) {
        let detail =
            "the form does not come from a page of this server: load the page again here, and send it from there";
        request.error_response(ApiError::Forbidden { code: "foreign_form", detail: detail.to_owned() })
    } else {
        next.call(request).await?
    };
    let mut response = errors::as_page(response);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Nothing is told to other sites. Without any, a browser would not say either that a form comes from a page of ours.
        (header::REFERRER_POLICY, "same-origin"),
        (X_ROBOTS_TAG, "noindex, nofollow"),
        (RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A customer's mail, shown in a frame, brings a stricter one.
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    // A browser that cannot trust where an answer is from complains of this one.
    if transport != Transport::Plain {
        headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    }
    if transport == Transport::Https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

/// Lets a person pass who has signed in.
pub(in crate::http) async fn require_session(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match signed_in(request.request()).await {
        Ok(Some(person)) => {
            request.extensions_mut().insert(person.caller);
            request.extensions_mut().insert(person);
            next.call(request).await
        }
        Ok(None) => match to_sign_in(request.request()) {
            Some(way) => Ok(request.into_response(way)),
            None => Ok(request.error_response(ApiError::Unauthorized)),
        },
        Err(error) => Ok(request.error_response(error)),
    }
}

/// Notes who has signed in, and lets everybody pass.
pub(in crate::http) async fn identify(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Ok(Some(person)) = signed_in(request.request()).await {
        request.extensions_mut().insert(person);
    }
    next.call(request).await
}

/// Who has signed in, by the cookie of a request.
pub(super) async fn signed_in(request: &HttpRequest) -> Result<Option<sessions::SignedIn>, ApiError> {
    let state = AppState::of(request)?;
    let Some(secret) = cookies::session(request) else { return Ok(None) };
    let count = || state.limits.take_without_key(client::address(request));
    let found = sessions::find(&state, secret, count).await?;
    // An open page asks again by itself: that is no use.
    if let Some(person) = found.as_ref().filter(|_| request.path() != LIVE) {
        sessions::note_use(&state, person);
    }
    Ok(found)
}

/// Asks for the same page once more, from here: a browser that follows a link of another site leaves the cookie at home.
#[derive(Template)]
#[template(path = "ui/again.html")]
struct Again<'p> {
    here: &'p str,
}

fn once_more(request: &HttpRequest, here: &str) -> Option<HttpResponse> {
    let is_from_elsewhere = origin::is_link_of_another_site(request.headers());
    let again = || page(StatusCode::OK, &Again { here }).ok();
    (is_from_elsewhere && is_own_path(here)).then(again).flatten()
}

/// The way to the page for signing in, and back. `None`: what was sent would be lost on it.
fn to_sign_in(request: &HttpRequest) -> Option<HttpResponse> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    if request.path() == LIVE {
        return Some(live::leave());
    }
    let here = request.uri().path_and_query().map_or(super::UI, |path| path.as_str());
    if let Some(again) = once_more(request, here) {
        return Some(again);
    }
    Some(see_other(&sign_in(here)))
}
