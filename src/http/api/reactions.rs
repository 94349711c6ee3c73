//! `/v1/reactions`: reactions that are not done yet.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::ids::{CampaignId, ContactId, ReactionId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::reactions::{ReactionKind, ReactionState};
use crate::http::state::AppState;
use crate::http::web::cursor;
use crate::http::web::extract::{FromQuery, Hashed, Id, Json, Nothing, Params, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::services::reactions::retry_reactions;
use crate::store::Lane;
use crate::store::reactions::over::{self, ReactionRow, Retried, Which};

/// Rows per page unless asked otherwise, and most of them.
const PAGE: (i64, i64) = (20, 100);

/// The longest name of a target.
const MAX_TARGET: usize = 64;

/// What the cursors are marked with.
const LIST: &str = "reactions";

/// A reaction that is not done yet.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Reaction {
    id: ReactionId,
    status: ReactionState,
    kind: ReactionKind,
    /// What it follows from, as in `segment.entered`.
    event: String,
    /// When that was.
    at: UtcInstant,
    /// Names what it follows from. Calls have it as their `webhook-id`.
    key: String,
    segment_id: Option<SegmentId>,
    contact_id: Option<ContactId>,
    campaign_id: Option<CampaignId>,
    /// Of a call: the name of the target.
    target: Option<String>,
    /// How many reactions led to it, one after the other.
    depth: i32,
    /// How often it was tried.
    attempts: i32,
    /// Of one that waits: from when on it is tried.
    due_at: Option<UtcInstant>,
    /// Why it is not done.
    error: Option<String>,
}

impl From<ReactionRow> for Reaction {
    fn from(row: ReactionRow) -> Self {
        Self {
            id: row.id,
            status: row.state,
            kind: row.kind,
            event: row.event,
            at: row.at,
            key: row.key,
            segment_id: row.segment_id,
            contact_id: row.contact_id,
            campaign_id: row.campaign_id,
            target: row.target,
            depth: row.depth,
            attempts: row.attempts,
            due_at: (row.state == ReactionState::Waiting).then_some(row.due_at),
            error: row.error,
        }
    }
}

/// A part of the reactions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Reactions {
    data: Vec<Reaction>,
    /// The next part: give it as `cursor`. `null` on the last one.
    next_cursor: Option<String>,
}

/// Which reactions.
#[derive(Debug)]
pub(in crate::http) struct WhichReactions {
    which: Which,
    before: Option<ReactionId>,
    page_size: i64,
}

impl FromQuery for WhichReactions {
    const NAMES: &'static [&'static str] = &["status", "target", "segment_id", "cursor", "page_size"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let which = Which {
            state: params.choice("status", ReactionState::ALL)?,
            target: params.short("target", MAX_TARGET)?,
            segment: params.integer("segment_id", 1..=i64::MAX)?.map(SegmentId),
        };
        let page_size = params.integer("page_size", 1..=PAGE.1)?.unwrap_or(PAGE.0);
        Ok(Self { which, before: cursor::read(params, LIST)?, page_size })
    }
}

/// Lists reactions that are not done yet, newest first: those that wait, have failed, or were refused
/// because too many reactions led to it.
#[utoipa::path(get, path = "/v1/reactions", tag = "segments",
    params(("status" = Option<ReactionState>, Query), ("target" = Option<String>, Query), ("segment_id" = Option<i64>, Query),
        ("cursor" = Option<String>, Query), ("page_size" = Option<i64>, Query)),
    responses((status = 200, body = Reactions), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(WhichReactions { which, before, page_size }): Query<WhichReactions>,
) -> Result<web::Json<Reactions>, ApiError> {
    let read = move |conn: &mut _| over::list(conn, &which, before, page_size + 1);
    let mut rows = state.store.run(Lane::Read, "list reactions", read).await?;
    let next_cursor = cursor::cut(&mut rows, page_size).map(|last| cursor::write(LIST, &last.id));
    Ok(web::Json(Reactions { data: rows.into_iter().map(Reaction::from).collect(), next_cursor }))
}

/// Tries a reaction again that has failed or was refused, as often as a new one. A change is refused where the contact has entered or left
/// the segment since.
#[utoipa::path(post, path = "/v1/reactions/{id}/retry", tag = "segments", params(("id" = i64, Path)),
    responses((status = 202, body = Nothing), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn retry(
    state: web::Data<AppState>,
    Id(id): Id<ReactionId>,
    _: Query<()>,
    by: By,
    _: Hashed<Nothing>,
) -> Result<HttpResponse, ApiError> {
    let conflict = |code, detail, ids| Err(ApiError::Conflict { code, detail, ids });
    match retry_reactions::retry(&state.services, id, &by).await? {
        Retried::Again => Ok(HttpResponse::Accepted().json(Nothing {})),
        Retried::NotFailed => conflict("reaction_not_failed", format!("reaction {id} waits already"), vec![id.0]),
        Retried::Overtaken => {
            let detail =
                "the contact has entered or left the segment since, and what followed from that would be undone";
            conflict("reaction_overtaken", detail.to_owned(), vec![id.0])
        }
        Retried::SegmentOff(segment) => {
            let detail = format!("segment {segment} is switched off or deleted, and nothing follows from it");
            conflict("segment_disabled", detail, vec![segment.0])
        }
        Retried::Unknown => Err(ApiError::not_found("reaction", id.0)),
    }
}

/// Which reactions are tried again.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RetryReactionsInput)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RetryInput {
    /// Only calls of this target.
    target: Option<String>,
}

/// What is tried again.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct RetriedReactions {
    retried: usize,
}

/// Tries all reactions again that have failed, but for those of segments that are switched off.
#[utoipa::path(post, path = "/v1/reactions/retry", tag = "segments", request_body = RetryInput,
    responses((status = 202, body = RetriedReactions), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn retry_all(
    state: web::Data<AppState>,
    _: Query<()>,
    by: By,
    Json(RetryInput { target }): Json<RetryInput>,
) -> Result<HttpResponse, ApiError> {
    let retried = retry_reactions::retry_all(&state.services, target, &by).await?;
    Ok(HttpResponse::Accepted().json(RetriedReactions { retried }))
}
