//! What a browser keeps of a person's choices: the theme, and whether single letters are keys.

use actix_web::HttpResponse;
use actix_web::http::header::SET_COOKIE;

use super::cookies::{self, Theme};
use super::form::{Form, see_other};
use crate::http::web::problem::ApiError;

fn kept(form: &Form, cookie: &str) -> HttpResponse {
    let mut answer = see_other(form.next().unwrap_or(super::UI));
    if let Ok(cookie) = cookie.parse() {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

fn not_allowed(field: &'static str, allowed: &str) -> ApiError {
    ApiError::field(field, "not_allowed", format!("one of: {allowed}"))
}

/// Chooses a theme.
pub(in crate::http) async fn theme(form: Form) -> Result<HttpResponse, ApiError> {
    let theme = form.text("theme").and_then(Theme::named).ok_or_else(|| not_allowed("theme", "auto, light, dark"))?;
    Ok(kept(&form, &cookies::keep_theme(theme)))
}

/// Switches the keys of single letters on or off.
pub(in crate::http) async fn keys(form: Form) -> Result<HttpResponse, ApiError> {
    let on = match form.text("keys") {
        Some("on") => true,
        Some("off") => false,
        _ => return Err(not_allowed("keys", "on, off")),
    };
    Ok(kept(&form, &cookies::keep_keys(on)))
}
