//! `/ui/segments` and `/ui/segments/{id}`: rules over contacts, and who is a member.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::asked::{Asked, Ways};
use super::audit::actor;
use super::contacts::{address, name};
use super::frame::{Frame, Section, page};
use super::segment_tree::Branch;
use super::words::{When, counted, grouped};
use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::ContactId;
use crate::domain::segments::Criteria;
use crate::domain::segments::outline::outline;
use crate::domain::segments::standing::{EntryLimitKind, SegmentState};
use crate::http::api::access::audit_log;
use crate::http::api::people::contacts;
use crate::http::api::segments::members::{self, SegmentMembers, WhichMembers};
use crate::http::api::segments::{self, Segment, SegmentFilter};
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;
use crate::http::web::segment_path::SegmentPath;

/// A segment, as pages show it.
pub(super) struct SegmentView {
    pub(super) id: i64,
    pub(super) name: String,
    slug: String,
    description: String,
    /// The rule in words.
    sentence: String,
    pub(super) members: i64,
    members_shown: String,
    /// `ready`, `building`, `off` or `broken`.
    state: &'static str,
    /// The same in words.
    says: String,
    /// Why its rule cannot be evaluated.
    problem: Option<String>,
    pub(super) is_enabled: bool,
    /// How much of all contacts is evaluated, in hundredths.
    percent: Option<String>,
    created: When,
    updated: When,
}

impl SegmentView {
    pub(super) fn of(segment: &Segment) -> Self {
        let percent = segment.progress.map(|share| format!("{:.0}", share * 100.0));
        let is_building = segment.state == SegmentState::Building;
        let (state, says) = match (&segment.problem, segment.enabled, is_building) {
            (Some(_), true, _) => ("broken", "cannot be evaluated".to_owned()),
            (_, false, _) => ("off", "switched off".to_owned()),
            (None, true, true) => ("building", format!("building, {} %", percent.as_deref().unwrap_or("0"))),
            (None, true, false) => ("ready", "up to date".to_owned()),
        };
        Self {
            id: segment.id.0,
            name: segment.name.clone(),
            slug: segment.slug.clone(),
            description: segment.description.clone(),
            sentence: segment.sentence.clone().unwrap_or_else(|| "people decide who is a member".to_owned()),
            members: segment.member_count,
            members_shown: grouped(segment.member_count),
            state,
            says,
            problem: segment.problem.clone(),
            is_enabled: segment.enabled,
            percent: percent.filter(|_| is_building),
            created: When::of(segment.created_at),
            updated: When::of(segment.updated_at),
        }
    }
}

#[derive(Template)]
#[template(path = "ui/segments.html")]
struct SegmentsPage {
    frame: Frame,
    total: String,
    segments: Vec<SegmentView>,
    ways: Ways,
}

/// Lists the segments.
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    frame: Frame,
    Query(asked): Query<Asked<SegmentFilter>>,
) -> Result<HttpResponse, ApiError> {
    let (which, asked) = asked.split();
    let listed = segments::listed(&state, which).await?;
    let ways = asked.ways("/ui/segments", "/v1/segments", listed.next_cursor.as_deref());
    let frame = frame.titled("Segments").same_as(&ways.json, "volley segment list");
    let shown = SegmentsPage {
        frame: Frame { section: Some(Section::People), ..frame },
        total: grouped(listed.pagination.total_count),
        segments: listed.data.iter().map(SegmentView::of).collect(),
        ways,
    };
    page(StatusCode::OK, &shown)
}

/// A member.
struct MemberLine {
    id: i64,
    address: String,
    name: String,
    entered: When,
    stay: i64,
}

/// The members with what they are called.
async fn lines(state: &AppState, found: &SegmentMembers) -> Result<Vec<MemberLine>, ApiError> {
    let ids: Vec<ContactId> = found.data.iter().map(|member| member.contact_id).collect();
    let known = contacts::these(state, ids).await?;
    let line = |member: &members::Member| {
        let contact = known.iter().find(|contact| contact.id == member.contact_id);
        MemberLine {
            id: member.contact_id.0,
            address: contact.map_or_else(|| format!("contact {}", member.contact_id), address),
            name: contact.map(name).unwrap_or_default(),
            entered: When::of(member.entered_at),
            stay: member.epoch,
        }
    };
    Ok(found.data.iter().map(line).collect())
}

/// What was switched or changed last: what holds since, and who did it where the reader may know.
struct LastChange {
    says: &'static str,
    at: When,
    by: Option<String>,
}

impl LastChange {
    async fn of(state: &AppState, segment: &Segment, frame: &Frame) -> Result<Self, ApiError> {
        let id = segment.id.to_string();
        let line = match frame.may_administer() {
            true => audit_log::newest(state, Action::Updated, Object::Segment, &id).await?,
            false => None,
        };
        let says = match (segment.enabled, segment.state) {
            (false, _) => "Nobody enters or leaves it, and nothing follows from it, until it is switched on.",
            (true, SegmentState::Building) => {
                "It is kept up to date. Everybody is evaluated anew first: who enters by that is not reported, who leaves is."
            }
            (true, SegmentState::Ready) => "It is kept up to date: who changes is evaluated at once.",
        };
        Ok(Self { says, at: When::of(segment.updated_at), by: line.as_ref().map(actor) })
    }
}

/// How stays are counted and reported.
fn stays(segment: &Segment) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    facts.extend(segment.min_dwell.map(|span| ("stays at least", span.to_string())));
    facts.extend(segment.max_dwell.map(|span| ("stays at most", span.to_string())));
    if !segment.dwell.is_empty() {
        let marks: Vec<String> = segment.dwell.iter().map(ToString::to_string).collect();
        facts.push(("a stay is reported", marks.join(", ")));
    }
    let entries = match segment.entry_limit {
        EntryLimitKind::Unlimited => "every one".to_owned(),
        EntryLimitKind::Once => "the first one of each contact".to_owned(),
        EntryLimitKind::OncePerPeriod => {
            let period = segment.entry_period.map(|span| span.to_string()).unwrap_or_default();
            format!("those that come {period} after the contact last left")
        }
    };
    facts.push(("entries that are reported", entries));
    facts
}

#[derive(Template)]
#[template(path = "ui/segment.html")]
struct SegmentPage {
    frame: Frame,
    segment: SegmentView,
    tree: Option<Branch>,
    stays: Vec<(&'static str, String)>,
    /// What is done when somebody enters, leaves or is still there, as it was given.
    reactions: Vec<String>,
    last: LastChange,
    members: Vec<MemberLine>,
    ways: Ways,
}

/// Shows a segment.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    SegmentPath(id): SegmentPath,
    Query(asked): Query<Asked<WhichMembers>>,
) -> Result<HttpResponse, ApiError> {
    let (which, asked) = asked.split();
    let segment = segments::shown(&state, id).await?;
    let found = members::listed(&state, id, which).await?;
    let base = format!("/ui/segments/{id}");
    let ways = asked.ways(&base, &format!("/v1/segments/{id}/members"), found.next_cursor.as_deref());
    let json = format!("GET /v1/segments/{id}, {}", ways.json.trim_start_matches("GET "));
    let frame = frame.titled(&segment.name).same_as(&json, &format!("volley segment show {}", segment.slug));
    let last = LastChange::of(&state, &segment, &frame).await?;
    let tree = serde_json::from_value::<Criteria>(segment.criteria.clone()).ok();
    let shown = SegmentPage {
        frame: Frame { section: Some(Section::People), up: Some("/ui/segments".to_owned()), ..frame },
        tree: tree.as_ref().map(|criteria| Branch::from(outline(criteria))),
        stays: stays(&segment),
        reactions: segment.reactions.iter().map(ToString::to_string).collect(),
        segment: SegmentView::of(&segment),
        last,
        members: lines(&state, &found).await?,
        ways,
    };
    page(StatusCode::OK, &shown)
}

/// How many members a segment has, in words.
pub(super) fn members_are(count: i64) -> String {
    counted(count, "member", "members")
}
