//! `/v1/dead-letters`: messages of the broker that could not be read.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::actors::replicas::broker_link::{DeadLetter, DeadLetterError, DeadLetters};
use crate::domain::access::audit::{Action, Object};
use crate::http::state::AppState;
use crate::http::web::extract::{Nothing, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::services::audit::{self, Line};

/// Messages that could not be read.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct DeadLetterList {
    /// The oldest hundred.
    data: Vec<DeadLetter>,
}

/// Messages of the broker that could not be read, oldest first.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "operations",
    responses((status = 200, body = DeadLetterList), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(in crate::http) async fn dead_letters(
    state: web::Data<AppState>,
    _: Query<()>,
) -> Result<web::Json<DeadLetterList>, ApiError> {
    let data = letters(&state)?.list().await.map_err(unreachable)?;
    Ok(web::Json(DeadLetterList { data }))
}

/// Publishes such a message again to its exchange, and removes it from the list.
#[utoipa::path(post, path = "/v1/dead-letters/{id}/replay", tag = "operations", params(("id" = String, Path)),
    responses((status = 200, body = DeadLetter), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(in crate::http) async fn replay(
    state: web::Data<AppState>,
    id: web::Path<String>,
    _: Query<()>,
    by: By,
    _: crate::http::web::extract::Hashed<Nothing>,
) -> Result<HttpResponse, ApiError> {
    let letters = letters(&state)?;
    audit::announce(&state.store, &by, Line::of(Action::Replayed, Object::DeadLetter, &id)).await?;
    let letter = letters.replay(&id).await.map_err(unreachable)?;
    Ok(HttpResponse::Ok().json(letter))
}

/// Removes such a message, and shows it a last time.
#[utoipa::path(delete, path = "/v1/dead-letters/{id}", tag = "operations", params(("id" = String, Path)),
    responses((status = 200, body = DeadLetter), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(in crate::http) async fn discard(
    state: web::Data<AppState>,
    id: web::Path<String>,
    _: Query<()>,
    by: By,
    _: crate::http::web::extract::Hashed<Nothing>,
) -> Result<HttpResponse, ApiError> {
    let letters = letters(&state)?;
    audit::announce(&state.store, &by, Line::of(Action::Deleted, Object::DeadLetter, &id)).await?;
    let letter = letters.discard(&id).await.map_err(unreachable)?;
    Ok(HttpResponse::Ok().json(letter))
}

fn letters(state: &AppState) -> Result<&DeadLetters, ApiError> {
    state.dead_letters.as_ref().ok_or_else(|| ApiError::Conflict {
        code: "no_broker",
        detail: "no broker is configured: broker.url is not set".to_owned(),
        ids: Vec::new(),
    })
}

fn unreachable(error: DeadLetterError) -> ApiError {
    match error {
        DeadLetterError::NotFound(id) => ApiError::no_such("dead_letter", &id),
        DeadLetterError::Broker(detail) => ApiError::Unavailable { code: "broker_unavailable", detail },
    }
}
