//! `/v1/segments`: rules over contacts, and who is a member.

mod bodies;
pub(in crate::http) mod members;
mod refusals;

use std::collections::{BTreeSet, HashMap};

use actix_web::{HttpResponse, web};

pub(in crate::http) use self::bodies::{Segment, SegmentFilter};
use self::bodies::{SegmentInput, SegmentPatch};
use crate::domain::ids::SegmentId;
use crate::http::api::criteria::read_criteria;
use crate::http::state::AppState;
use crate::http::web::extract::{Json, Query};
use crate::http::web::paging::{ListParams, Listing};
use crate::http::web::problem::{ApiError, Problem};
use crate::http::web::segment_path::SegmentPath;
use crate::services::By;
use crate::services::segments::change_segment::{change_segment, switch_segment};
use crate::services::segments::create_segment::create_segment;
use crate::services::segments::delete_segment::delete_segment;
use crate::services::segments::recompute::recompute;
use crate::store::segments::names;
use crate::store::{Conn, Lane};

/// Where the rule stands in bodies.
const CRITERIA: &str = "/criteria";

/// A segment, and how many members it has.
pub(in crate::http) async fn shown(state: &AppState, id: SegmentId) -> Result<Segment, ApiError> {
    let read = move |conn: &mut _| Segment::read(conn, id);
    let segment = state.store.run(Lane::Read, "read a segment", read).await?;
    segment.ok_or(ApiError::not_found("segment", id.0))
}

/// Creates a segment. Who is a member is found within seconds to minutes: `state` is `building` until then.
#[utoipa::path(post, path = "/v1/segments", tag = "segments", request_body = SegmentInput,
    responses((status = 201, body = Segment), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn create(
    state: web::Data<AppState>,
    _: Query<()>,
    by: By,
    Json(body): Json<SegmentInput>,
) -> Result<HttpResponse, ApiError> {
    let criteria = read_criteria(&state, body.criteria.clone(), CRITERIA).await?;
    let created = create_segment(&state.services, body.draft(criteria)?, &by).await?;
    let segment = shown(&state, created.id).await?;
    Ok(HttpResponse::Created().insert_header(("Location", format!("/v1/segments/{}", created.id))).json(segment))
}

/// Lists the segments, newest first.
#[utoipa::path(get, path = "/v1/segments", tag = "segments", params(ListParams),
    responses((status = 200, body = Listing<Segment>), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(filter): Query<SegmentFilter>,
) -> Result<web::Json<Listing<Segment>>, ApiError> {
    listed(&state, filter).await.map(web::Json)
}

/// A part of the segments.
pub(in crate::http) async fn listed(state: &AppState, filter: SegmentFilter) -> Result<Listing<Segment>, ApiError> {
    let SegmentFilter(paging) = filter;
    let window = paging.window();
    let slice = state.store.run(Lane::Read, "list segments", move |conn| Segment::list(conn, window)).await?;
    Ok(paging.answer(slice, |segment| segment.id.0))
}

/// What segments are called. Those that are gone are not in it.
pub(in crate::http) async fn names(
    state: &AppState,
    ids: BTreeSet<SegmentId>,
) -> Result<HashMap<SegmentId, String>, ApiError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let read = move |conn: &mut Conn| names::rows(conn, &ids);
    let rows = state.store.run(Lane::LookUp, "read the names of segments", read).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// Shows a segment.
#[utoipa::path(get, path = "/v1/segments/{id}", tag = "segments", params(("id" = String, Path)),
    responses((status = 200, body = Segment), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    SegmentPath(id): SegmentPath,
    _: Query<()>,
) -> Result<web::Json<Segment>, ApiError> {
    shown(&state, id).await.map(web::Json)
}

/// Changes a segment. Another rule, or other times of stays, evaluate everybody anew: entries
/// by that are not reported, leaves are.
#[utoipa::path(patch, path = "/v1/segments/{id}", tag = "segments", params(("id" = String, Path)), request_body = SegmentPatch,
    responses((status = 200, body = Segment), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn change(
    state: web::Data<AppState>,
    SegmentPath(id): SegmentPath,
    _: Query<()>,
    by: By,
    Json(body): Json<SegmentPatch>,
) -> Result<web::Json<Segment>, ApiError> {
    let criteria = match &body.criteria {
        Some(given) => Some(read_criteria(&state, given.clone(), CRITERIA).await?),
        None => None,
    };
    change_segment(&state.services, id, body.change(criteria)?, &by).await?;
    shown(&state, id).await.map(web::Json)
}

/// Deletes a segment that no other one asks for. Its members stay contacts.
#[utoipa::path(delete, path = "/v1/segments/{id}", tag = "segments", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn delete(
    state: web::Data<AppState>,
    SegmentPath(id): SegmentPath,
    _: Query<()>,
    by: By,
) -> Result<HttpResponse, ApiError> {
    delete_segment(&state.services, id, &by).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Keeps a segment up to date from now on: everybody is evaluated anew.
#[utoipa::path(post, path = "/v1/segments/{id}/enable", tag = "segments", params(("id" = String, Path)),
    responses((status = 200, body = Segment), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn enable(
    state: web::Data<AppState>,
    SegmentPath(id): SegmentPath,
    _: Query<()>,
    by: By,
) -> Result<web::Json<Segment>, ApiError> {
    switched(&state, id, true, &by).await?;
    shown(&state, id).await.map(web::Json)
}

/// Switches a segment on or off.
pub(in crate::http) async fn switched(state: &AppState, id: SegmentId, enabled: bool, by: &By) -> Result<(), ApiError> {
    switch_segment(&state.services, id, enabled, by).await?;
    Ok(())
}

/// Leaves a segment as it is: nobody enters or leaves, and nothing follows from it.
#[utoipa::path(post, path = "/v1/segments/{id}/disable", tag = "segments", params(("id" = String, Path)),
    responses((status = 200, body = Segment), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn disable(
    state: web::Data<AppState>,
    SegmentPath(id): SegmentPath,
    _: Query<()>,
    by: By,
) -> Result<web::Json<Segment>, ApiError> {
    switched(&state, id, false, &by).await?;
    shown(&state, id).await.map(web::Json)
}

/// Evaluates everybody anew. That is never needed for a segment to be right.
#[utoipa::path(post, path = "/v1/segments/{id}/recompute", tag = "segments", params(("id" = String, Path)),
    responses((status = 200, body = Segment), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn recompute_all(
    state: web::Data<AppState>,
    SegmentPath(id): SegmentPath,
    _: Query<()>,
    by: By,
) -> Result<web::Json<Segment>, ApiError> {
    recompute(&state.services, id, &by).await?;
    shown(&state, id).await.map(web::Json)
}
