//! `/v1/callbacks`: what providers reported and could not be understood.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::actors::callback_reader::Wake;
use crate::domain::ids::CallbackId;
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Hashed, Id, Nothing, Params, Query, bad_parameter};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::services::callbacks::replay as replaying;
use crate::store::Lane;
use crate::store::callbacks::{self, FailedCallback, Replayed};

/// The longest name of a pool.
const MAX_POOL: usize = 64;

/// A callback that could not be understood. What it says is not shown: it may be personal data.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Callback {
    id: CallbackId,
    /// Whose provider sent it.
    pool: String,
    /// How it was read.
    format: String,
    received_at: UtcInstant,
    /// How often it was tried.
    attempts: i32,
    /// Why it was not understood.
    error: Option<String>,
}

impl From<FailedCallback> for Callback {
    fn from(row: FailedCallback) -> Self {
        let FailedCallback { id, pool, format, received_at, attempts, error } = row;
        Self { id, pool, format, received_at, attempts, error }
    }
}

/// A part of the callbacks that could not be understood, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Callbacks {
    data: Vec<Callback>,
    /// The next part: give it as `cursor`. `null` on the last one.
    next_cursor: Option<String>,
}

/// Which callbacks.
#[derive(Debug)]
pub(in crate::http) struct Which {
    pool: Option<String>,
    before: Option<CallbackId>,
    page_size: i64,
}

impl FromQuery for Which {
    const NAMES: &'static [&'static str] = &["pool", "cursor", "page_size"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let before = match params.text("cursor") {
            None => None,
            Some(text) => Some(
                text.strip_prefix("before-")
                    .and_then(|id| id.parse().ok())
                    .map(CallbackId)
                    .ok_or_else(|| bad_parameter("cursor", "cursor_invalid", "not a cursor of this list".to_owned()))?,
            ),
        };
        let page_size = params.integer("page_size", 1..=100)?.unwrap_or(20);
        Ok(Self { pool: params.short("pool", MAX_POOL)?, before, page_size })
    }
}

/// Callbacks that could not be understood, newest first. They are kept for `callbacks.keep_days`.
#[utoipa::path(get, path = "/v1/callbacks", tag = "callbacks",
    params(("pool" = Option<String>, Query), ("cursor" = Option<String>, Query), ("page_size" = Option<i64>, Query)),
    responses((status = 200, body = Callbacks), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(which): Query<Which>,
) -> Result<web::Json<Callbacks>, ApiError> {
    let Which { pool, before, page_size } = which;
    let read = move |conn: &mut _| callbacks::failed(conn, pool.as_deref(), before, page_size + 1);
    let mut rows = state.store.run(Lane::Read, "list callbacks", read).await?;
    let limit = usize::try_from(page_size).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| more).map(|row| row.id);
    let data = rows.into_iter().map(Callback::from).collect();
    Ok(web::Json(Callbacks { data, next_cursor: last.map(|id| format!("before-{id}")) }))
}

/// Reads a callback again that could not be understood, for example after an update of Volley.
#[utoipa::path(post, path = "/v1/callbacks/{id}/replay", tag = "callbacks", params(("id" = i64, Path)),
    responses((status = 202, body = Nothing), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn replay(
    state: web::Data<AppState>,
    Id(id): Id<CallbackId>,
    _: Query<()>,
    by: By,
    _: Hashed<Nothing>,
) -> Result<HttpResponse, ApiError> {
    match replaying::replay(&state.services, id, &by).await? {
        Replayed::Again => {}
        Replayed::NotFailed => {
            let detail = format!("callback {id} has not failed");
            return Err(ApiError::Conflict { code: "callback_not_failed", detail, ids: vec![id.0] });
        }
        Replayed::Unknown => return Err(ApiError::not_found("callback", id.0)),
    }
    if let Some(reader) = state.callbacks.get() {
        // A hint: the reader looks every second anyway.
        let _ = reader.try_send(Wake);
    }
    Ok(HttpResponse::Accepted().json(Nothing {}))
}
