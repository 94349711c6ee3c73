//! Whether a pool's provider answers: a question, and what was found.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::form::{Form, fresh_key};
use super::frame::{Frame, Section, page};
use super::pools::one;
use super::words::{counted, curl};
use crate::http::api::replicas::checks::{self, Finding};
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::idempotency::Instead;
use crate::http::web::problem::ApiError;
use crate::services::By;

#[derive(Template)]
#[template(path = "ui/pool_check.html")]
struct CheckPage {
    frame: Frame,
    name: String,
    found: Option<Found>,
    key: String,
}

/// What was found.
struct Found {
    is_healthy: bool,
    took: String,
    findings: Vec<Finding>,
}

fn shown(frame: Frame, name: &str, found: Option<Found>) -> CheckPage {
    let path = format!("/v1/pools/{name}/check");
    let frame = frame.titled(&format!("Check pool {name}"));
    let frame = frame.same_as(&format!("POST {path}"), &curl("POST", &path, None));
    let frame = Frame { section: Some(Section::Delivery), up: Some(format!("/ui/pools/{name}")), ..frame };
    CheckPage { frame, name: name.to_owned(), found, key: fresh_key() }
}

/// Asks whether the provider shall be asked.
pub(in crate::http) async fn ask(
    state: web::Data<AppState>,
    frame: Frame,
    name: web::Path<String>,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let (pool, _) = one(&state, &name).await?;
    page(StatusCode::OK, &shown(frame, &pool.name, None))
}

/// Asks the provider. What it answered now is shown once: the same form again leads to the pool.
pub(in crate::http) async fn carry_out(
    state: web::Data<AppState>,
    frame: Frame,
    name: web::Path<String>,
    _: Query<()>,
    by: By,
    _: Form,
) -> Result<HttpResponse, ApiError> {
    let checked = checks::checked(&state, &name, &by).await?;
    let found = Found {
        is_healthy: checked.healthy,
        took: counted(checked.took_ms, "millisecond", "milliseconds"),
        findings: checked.findings,
    };
    let mut response = page(StatusCode::OK, &shown(frame, &name, Some(found)))?;
    response.extensions_mut().insert(Instead(format!("/ui/pools/{}", *name)));
    Ok(response)
}
