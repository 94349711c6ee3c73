//! Forms of the pages, and that each is done once.

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;

use crate::http::sessions::SignedIn;
use crate::http::web::extract::{bad_parameter, gather};
use crate::http::web::idempotency;
use crate::http::web::problem::ApiError;

/// The largest form of somebody who has not signed in, and of somebody who has: a message is up to 1 MiB of text and as much of HTML,
/// and a browser writes a character as up to three bytes for each of its own. In bytes.
const LARGEST: usize = 64 * 1024;
pub(super) const LARGEST_SIGNED_IN: usize = 8 * 1024 * 1024;

/// The field with the key under which a form is done once.
const KEY: &str = "idempotency_key";

/// The fields of a form, in their order.
#[derive(Debug, Clone)]
pub(in crate::http) struct Form(Vec<(String, String)>);

impl Form {
    fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    /// A form with these fields.
    pub(super) const fn of(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    /// The first field of this name, or nothing.
    pub(super) fn value(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// All fields of this name.
    pub(super) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Whether a field of this name has this value.
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.0.iter().any(|(field, given)| field == name && given == value)
    }

    /// The first field of this name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The page that the form wants to be followed by.
    pub(super) fn next(&self) -> Option<&str> {
        self.text("next").filter(|path| is_own_path(path))
    }
}

impl FromRequest for Form {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (is_form, largest) = (is_form(request), largest(request));
        let payload = payload.take();
        Box::pin(async move {
            is_form?;
            Ok(Self::parse(&gather(payload, largest).await?))
        })
    }
}

fn largest(request: &HttpRequest) -> usize {
    if request.extensions().contains::<SignedIn>() { LARGEST_SIGNED_IN } else { LARGEST }
}

fn is_form(request: &HttpRequest) -> Result<(), ApiError> {
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_form = media_type.split(';').next().is_some_and(|kind| kind.trim() == "application/x-www-form-urlencoded");
    if is_form { Ok(()) } else { Err(ApiError::UnsupportedMediaType("send a form of a browser")) }
}

/// Whether a path leads to one of these pages and nowhere else.
pub(super) fn is_own_path(path: &str) -> bool {
    let is_plain = path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') && !path.contains("//");
    let place = path.split('?').next().unwrap_or_default().to_ascii_lowercase();
    let is_plain = is_plain && !place.contains("..") && !place.contains("%2e");
    is_plain && path.strip_prefix("/ui").is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// Has the browser go to another page.
pub(super) fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path)).finish()
}

/// The page for signing in, from which the way leads back.
pub(super) fn sign_in(here: &str) -> String {
    let back: String = url::form_urlencoded::byte_serialize(here.as_bytes()).collect();
    format!("/ui/enter?next={back}")
}

/// A key for a form that is about to be shown.
pub(super) fn fresh_key() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Serves a form once: a second press, the way back and a second tab get the first answer.
pub(in crate::http) async fn once(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let largest = largest(request.request());
    let body = match is_form(request.request()) {
        Ok(()) => gather(request.take_payload(), largest).await,
        Err(error) => Err(error),
    };
    let keyed = body.and_then(|body| {
        let key = Form::parse(&body).text(KEY).filter(|key| idempotency::is_well_formed(key)).map(str::to_owned);
        let reason = || "this form has none: load its page again".to_owned();
        Ok((key.ok_or_else(|| bad_parameter(KEY, "idempotency_key_malformed", reason()))?, body))
    });
    match keyed {
        Err(error) => Ok(request.error_response(error)),
        Ok((key, body)) => {
            request.set_payload(Payload::from(body));
            idempotency::once_under(key, request, next, Some(largest)).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_to_our_own_pages_only() {
        for path in ["/ui", "/ui/", "/ui/campaigns/7", "/ui?x=1", "/ui/campaigns?status=sent&cursor=1.2"] {
            assert!(is_own_path(path), "{path}");
        }
        for path in [
            "",
            "/",
            "//example.com",
            "/uix",
            "/ui//example.com",
            "https://example.com/ui",
            "/ui\\x",
            "/v1/x",
            "/ui/\nx",
            "/ui/../v1/x",
            "/ui/%2E%2e/v1/x",
        ] {
            assert!(!is_own_path(path), "{path}");
        }
    }
}
