//! `/ui/keys`: what can be done by keyboard.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::frame::{Frame, page};
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;

#[derive(Template)]
#[template(path = "ui/keys.html")]
struct KeysPage {
    frame: Frame,
}

/// Shows the keys, and whether single letters are keys.
pub(in crate::http) async fn show(frame: Frame, _: Query<()>) -> Result<HttpResponse, ApiError> {
    page(StatusCode::OK, &KeysPage { frame: Frame { up: Some(super::UI.to_owned()), ..frame.titled("Keys") } })
}
