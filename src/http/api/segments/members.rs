//! Who is a member of a segment, who came and went, and why.

use actix_web::{HttpRequest, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::{ContactId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::segments::explain::Explained;
use crate::domain::segments::standing::TransitionSource;
use crate::domain::segments::stay::{LeaveReason, TransitionKind};
use crate::http::state::AppState;
use crate::http::web::cursor;
use crate::http::web::extract::{FromQuery, Id, Params, Query, path_id};
use crate::http::web::problem::{ApiError, Problem};
use crate::http::web::segment_path::SegmentPath;
use crate::services::segments::explain_member::{Explanation, explain_member};
use crate::store::segments::members::{self, MemberRow};
use crate::store::segments::transitions::{self, Key, TransitionRow};
use crate::store::{Conn, Lane, StoreError, segments};

/// Rows per page unless asked otherwise, and most of them.
const PAGE: (i64, i64) = (100, 1_000);

/// What the cursors of members and transitions are marked with.
const MEMBERS: &str = "segment_members";
const TRANSITIONS: &str = "segment_transitions";

/// A member of a segment.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Member {
    pub(in crate::http) contact_id: ContactId,
    /// Since when.
    pub(in crate::http) entered_at: UtcInstant,
    /// The how many-th stay of the contact it is.
    pub(in crate::http) epoch: i64,
}

impl From<MemberRow> for Member {
    fn from(row: MemberRow) -> Self {
        Self { contact_id: row.contact_id, entered_at: row.entered_at, epoch: row.epoch }
    }
}

/// A part of the members, by their ids.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct SegmentMembers {
    pub(in crate::http) data: Vec<Member>,
    /// The next part: give it as `cursor`. `null` on the last one.
    pub(in crate::http) next_cursor: Option<String>,
}

/// Which members.
#[derive(Debug)]
pub(in crate::http) struct WhichMembers {
    after: Option<i64>,
    page_size: i64,
}

impl FromQuery for WhichMembers {
    const NAMES: &'static [&'static str] = &["cursor", "page_size"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let page_size = params.integer("page_size", 1..=PAGE.1)?.unwrap_or(PAGE.0);
        Ok(Self { after: cursor::read(params, MEMBERS)?, page_size })
    }
}

async fn look<T: Send + 'static>(
    state: &AppState,
    id: SegmentId,
    work: impl FnOnce(&mut Conn) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    let read = move |conn: &mut Conn| match segments::find(conn, id)? {
        Some(_) => work(conn).map(Some),
        None => Ok(None),
    };
    let found = state.store.run(Lane::Read, "read a segment", read).await?;
    found.ok_or(ApiError::not_found("segment", id.0))
}

/// Lists the members of a segment, by the ids of contacts.
#[utoipa::path(get, path = "/v1/segments/{id}/members", tag = "segments",
    params(("id" = String, Path), ("cursor" = Option<String>, Query), ("page_size" = Option<i64>, Query)),
    responses((status = 200, body = SegmentMembers), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    SegmentPath(id): SegmentPath,
    Query(which): Query<WhichMembers>,
) -> Result<web::Json<SegmentMembers>, ApiError> {
    listed(&state, id, which).await.map(web::Json)
}

/// A part of the members of a segment.
pub(in crate::http) async fn listed(
    state: &AppState,
    id: SegmentId,
    which: WhichMembers,
) -> Result<SegmentMembers, ApiError> {
    let WhichMembers { after, page_size } = which;
    let list = move |conn: &mut Conn| members::list(conn, id, after.map(ContactId), page_size + 1);
    let mut rows = look(state, id, list).await?;
    let next_cursor = cursor::cut(&mut rows, page_size).map(|last| cursor::write(MEMBERS, &last.contact_id.0));
    Ok(SegmentMembers { data: rows.into_iter().map(Member::from).collect(), next_cursor })
}

/// Somebody entered a segment, left it, or is still there.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct SegmentTransition {
    contact_id: ContactId,
    kind: TransitionKind,
    at: UtcInstant,
    /// The how many-th stay of the contact it is.
    epoch: i64,
    /// Numbers what is reported of a stay from 1; 0 of entries and leaves.
    ordinal: i64,
    /// How it was found.
    source: TransitionSource,
    /// Why the contact left.
    reason: Option<LeaveReason>,
    /// Which time of the stay has come, as in `after 7d`.
    mark: Option<String>,
    /// How often it has.
    mark_count: Option<i64>,
    /// Whether anything follows from it.
    emit: bool,
}

impl From<TransitionRow> for SegmentTransition {
    fn from(row: TransitionRow) -> Self {
        Self {
            contact_id: row.contact_id,
            kind: row.kind,
            at: row.at,
            epoch: row.epoch,
            ordinal: row.ordinal,
            source: row.source,
            reason: row.reason,
            mark: row.mark,
            mark_count: row.mark_count,
            emit: row.emit,
        }
    }
}

/// A part of the transitions, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct SegmentTransitions {
    data: Vec<SegmentTransition>,
    /// The next part: give it as `cursor`. `null` on the last one.
    next_cursor: Option<String>,
}

/// Which transitions.
#[derive(Debug)]
pub(in crate::http) struct WhichTransitions {
    kind: Option<TransitionKind>,
    after: Option<Key>,
    page_size: i64,
}

impl FromQuery for WhichTransitions {
    const NAMES: &'static [&'static str] = &["kind", "cursor", "page_size"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let page_size = params.integer("page_size", 1..=PAGE.1)?.unwrap_or(PAGE.0);
        let kind = params.choice("kind", TransitionKind::ALL)?;
        Ok(Self { kind, after: cursor::read(params, TRANSITIONS)?, page_size })
    }
}

/// Lists who entered a segment, left it, or is still there, the newest first.
#[utoipa::path(get, path = "/v1/segments/{id}/transitions", tag = "segments",
    params(("id" = String, Path), ("kind" = Option<TransitionKind>, Query), ("cursor" = Option<String>, Query),
        ("page_size" = Option<i64>, Query)),
    responses((status = 200, body = SegmentTransitions), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn transitions(
    state: web::Data<AppState>,
    SegmentPath(id): SegmentPath,
    Query(WhichTransitions { kind, after, page_size }): Query<WhichTransitions>,
) -> Result<web::Json<SegmentTransitions>, ApiError> {
    let list = move |conn: &mut Conn| transitions::list(conn, id, kind, after.as_ref(), page_size + 1);
    let mut rows = look(&state, id, list).await?;
    let last = cursor::cut(&mut rows, page_size);
    let next_cursor = last.map(|last| cursor::write(TRANSITIONS, &transitions::key(last)));
    Ok(web::Json(SegmentTransitions { data: rows.into_iter().map(SegmentTransition::from).collect(), next_cursor }))
}

/// Why a contact is a member of a segment, or is none.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct WhyMember {
    pub(in crate::http) segment_id: SegmentId,
    pub(in crate::http) contact_id: ContactId,
    /// The database's clock.
    pub(in crate::http) at: UtcInstant,
    /// Whether the contact is there. A deleted one is a member of nothing.
    pub(in crate::http) living: bool,
    /// Whether the rule takes it.
    pub(in crate::http) matches: bool,
    /// The earliest instant at which passing of time alone may change that.
    pub(in crate::http) until: Option<UtcInstant>,
    /// Whether it is a member. That may differ from `matches` for a moment, and while its shortest stay lasts or its longest one is over.
    pub(in crate::http) member: bool,
    /// Since when.
    pub(in crate::http) entered_at: Option<UtcInstant>,
    /// Whether the evaluation of everybody has yet to come to it.
    pub(in crate::http) building: bool,
    /// The rule, clause by clause.
    pub(in crate::http) criteria: Option<Explained>,
}

/// Explains why a contact is a member of a segment, or is none.
#[utoipa::path(get, path = "/v1/segments/{id}/explain/{contact_id}", tag = "segments",
    params(("id" = String, Path), ("contact_id" = i64, Path)),
    responses((status = 200, body = WhyMember), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn explain(
    state: web::Data<AppState>,
    SegmentPath(id): SegmentPath,
    request: HttpRequest,
    _: Query<()>,
) -> Result<web::Json<WhyMember>, ApiError> {
    explained(&state, id, path_id(&request, "contact_id")?).await.map(web::Json)
}

/// Why a contact is a member of a segment, or is none.
pub(in crate::http) async fn explained(
    state: &AppState,
    id: SegmentId,
    contact: ContactId,
) -> Result<WhyMember, ApiError> {
    let explain = move |conn: &mut Conn| conn.snapshot(|conn| Ok(explain_member(conn, id, contact)));
    let Explanation { now, living, decision, criteria, member, is_still_to_evaluate } =
        state.store.run(Lane::Read, "explain a segment", explain).await??;
    let present = member.filter(|row| row.left_at.is_none());
    Ok(WhyMember {
        segment_id: id,
        contact_id: contact,
        at: now,
        living,
        matches: decision.matches,
        until: decision.timer,
        member: present.is_some(),
        entered_at: present.map(|row| row.entered_at),
        building: is_still_to_evaluate,
        criteria,
    })
}

/// The segments that a contact is a member of.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct SegmentsOfContact {
    pub(in crate::http) data: Vec<SegmentOfContact>,
}

/// A segment that a contact is a member of.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct SegmentOfContact {
    pub(in crate::http) segment_id: SegmentId,
    /// Since when.
    pub(in crate::http) entered_at: UtcInstant,
    /// The how many-th stay of the contact it is.
    pub(in crate::http) epoch: i64,
}

/// Lists the segments that a contact is a member of.
#[utoipa::path(get, path = "/v1/contacts/{id}/segments", tag = "segments", params(("id" = i64, Path)),
    responses((status = 200, body = SegmentsOfContact), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn of_contact(
    state: web::Data<AppState>,
    Id(contact): Id<ContactId>,
    _: Query<()>,
) -> Result<web::Json<SegmentsOfContact>, ApiError> {
    listed_of_contact(&state, contact).await.map(web::Json)
}

/// The segments that a contact is a member of.
pub(in crate::http) async fn listed_of_contact(
    state: &AppState,
    contact: ContactId,
) -> Result<SegmentsOfContact, ApiError> {
    let read = move |conn: &mut Conn| match crate::store::people::contacts::find(conn, contact)? {
        Some(_) => members::of_contact(conn, contact).map(Some),
        None => Ok(None),
    };
    let rows = state.store.run(Lane::Read, "read the segments of a contact", read).await?;
    let rows = rows.ok_or(ApiError::not_found("contact", contact.0))?;
    let one =
        |row: MemberRow| SegmentOfContact { segment_id: row.segment_id, entered_at: row.entered_at, epoch: row.epoch };
    Ok(SegmentsOfContact { data: rows.into_iter().map(one).collect() })
}
