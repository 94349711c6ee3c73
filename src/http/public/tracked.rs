//! `/t/c/TOKEN/TARGET` and `/t/o/TOKEN`: a link that is followed, and a pixel that is loaded.
//!
//! Both are answered after a line on this instance's disk, and ask no database. No address of a client is kept.

use actix_web::http::header::{self, HeaderMap, USER_AGENT};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};

use super::{guessed, language, now, unserved};
use crate::domain::dispatch::delivery::DeliveryId;
use crate::domain::people::link::tracked::Tracked;
use crate::domain::readers::{Signs, reader_of};
use crate::http::AppState;
use crate::services::tracking::{Click, Noted};

/// A transparent picture of one pixel.
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\
                       \x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// Leads to the target of a link that was signed with it. Nothing else is a target.
pub(in crate::http) async fn follow(
    state: web::Data<AppState>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    let (token, segment) = path.into_inner();
    match state.services.links.open_tracked(&token, Some(&segment)).await {
        Ok(Some((Tracked::Click { campaign, contact, link }, url))) => {
            let click = Click { link, url: url.clone() };
            note(&state, &request, DeliveryId { campaign, contact }, Some(click));
            HttpResponse::Found()
                .insert_header((header::LOCATION, url))
                .insert_header((header::CACHE_CONTROL, "no-store"))
                .insert_header((header::REFERRER_POLICY, "no-referrer"))
                .insert_header(("x-robots-tag", "noindex, nofollow"))
                .finish()
        }
        Ok(Some((Tracked::Open { .. }, _)) | None) => guessed(&state, &request),
        Err(error) => unserved(&language(&state, &request, None), &error),
    }
}

/// Answers with the pixel.
pub(in crate::http) async fn open(
    state: web::Data<AppState>,
    request: HttpRequest,
    token: web::Path<String>,
) -> HttpResponse {
    match state.services.links.open_tracked(&token, None).await {
        Ok(Some((Tracked::Open { campaign, contact }, _))) => {
            note(&state, &request, DeliveryId { campaign, contact }, None);
            HttpResponse::build(StatusCode::OK)
                .insert_header((header::CONTENT_TYPE, "image/gif"))
                .insert_header((header::CACHE_CONTROL, "no-store"))
                .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .insert_header(("x-robots-tag", "noindex, nofollow"))
                .body(PIXEL)
        }
        Ok(Some((Tracked::Click { .. }, _)) | None) => guessed(&state, &request),
        Err(error) => unserved(&language(&state, &request, None), &error),
    }
}

fn note(state: &AppState, request: &HttpRequest, delivery: DeliveryId, click: Option<Click>) {
    let reader = reader_of(signs(request.method(), request.headers()));
    state.tracking.note(&Noted::new(delivery, click, reader, now()));
}

fn signs<'r>(method: &Method, headers: &'r HeaderMap) -> Signs<'r> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Signs {
        is_head: *method == Method::HEAD,
        agent: headers.get(USER_AGENT).and_then(|value| value.to_str().ok()),
        purposes: [text("sec-purpose"), text("purpose"), text("x-moz"), text("x-purpose")],
    }
}
