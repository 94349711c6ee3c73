//! `/ui/campaigns/{id}/decisions`: what was decided about a campaign, who decided it and from where.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::audit::{changes, who};
use super::course::Mark;
use super::frame::{Frame, Section, page};
use super::receipt::ReceiptView;
use super::words::{When, curl};
use crate::domain::access::audit::Action;
use crate::domain::ids::CampaignId;
use crate::http::api::campaigns::decisions::{self, Decision, DecisionDoor, Which};
use crate::http::api::overview;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query};
use crate::http::web::problem::ApiError;

#[derive(Template)]
#[template(path = "ui/decisions.html")]
struct DecisionsPage {
    frame: Frame,
    id: i64,
    name: String,
    rows: Vec<Row>,
    receipt: Option<ReceiptView>,
    /// How long decisions are kept.
    kept: Option<String>,
    older: Option<String>,
    newest: Option<String>,
}

/// A decision.
struct Row {
    at: When,
    who: String,
    from: &'static str,
    did: String,
    changes: Vec<String>,
    request: Option<String>,
    /// Other lines of the same request, for those who may see them.
    of_request: Option<String>,
    has_receipt: bool,
}

/// What was decided, in words.
fn did(action: &str) -> String {
    let word = match Action::from_text(action) {
        Some(Action::Created) => "made",
        Some(Action::Updated) => "edited",
        Some(Action::LaunchFailed) => "could not be launched",
        Some(Action::Scheduled) => "launch time set",
        Some(Action::Unscheduled) => "launch time removed",
        Some(Action::Retried) => "failed ones tried again",
        Some(Action::Resolved) => "uncertain ones resolved",
        Some(Action::Tested) => "test sent",
        _ => return action.replace('_', " "),
    };
    word.to_owned()
}

const fn from(door: DecisionDoor) -> &'static str {
    match door {
        DecisionDoor::Api => "API",
        DecisionDoor::Page => "page",
        DecisionDoor::Command => "command",
        DecisionDoor::Broker => "broker",
        DecisionDoor::Engine => "Volley itself",
    }
}

fn who_decided(decision: &Decision) -> String {
    who(&decision.actor, decision.key.as_ref().map(|key| (key.id, key.name.as_deref())))
}

fn row(decision: Decision, may_administer: bool) -> Row {
    let of_request = decision.request_id.as_ref().filter(|_| may_administer);
    Row {
        at: When::of(decision.at),
        who: who_decided(&decision),
        from: from(decision.door),
        did: did(&decision.action),
        changes: changes(decision.before.as_deref(), decision.after.as_deref()),
        // A request id may hold what a client wrote: only plain ones become links.
        of_request: of_request
            .filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
            .map(|id| format!("/ui/audit?request_id={id}")),
        request: decision.request_id,
        has_receipt: decision.receipt.is_some(),
    }
}

/// Most marks in a picture: more would hide it.
const MOST_MARKS: i64 = 40;

/// The newest decisions that change what goes out, for the picture of a campaign's course, oldest first.
pub(super) async fn marks(state: &AppState, id: CampaignId) -> Result<Vec<Mark>, ApiError> {
    let mut newest = decisions::listed(state, id, Which::newest(MOST_MARKS)).await?.data;
    newest.reverse();
    let counts = |decision: &&Decision| {
        matches!(
            Action::from_text(&decision.action),
            Some(
                Action::Launched
                    | Action::Paused
                    | Action::Resumed
                    | Action::Stopped
                    | Action::Retried
                    | Action::Resolved
            )
        )
    };
    let mark = |decision: &Decision| Mark {
        at: decision.at,
        words: format!("{} by {}", did(&decision.action), who_decided(decision)),
    };
    Ok(newest.iter().filter(counts).map(mark).collect())
}

/// Shows what was decided.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<CampaignId>,
    Query(which): Query<Which>,
) -> Result<HttpResponse, ApiError> {
    let sighted = overview::sight(&state, id).await?;
    let listed = decisions::listed(&state, id, which).await?;
    let receipt = sighted.receipt.filter(|_| which.is_first());
    let base = format!("/ui/campaigns/{id}/decisions");
    let path = format!("/v1/campaigns/{id}/decisions");
    let name = sighted.campaign.name;
    let may_administer = frame.may_administer();
    let frame =
        frame.titled(&format!("Decisions about {name}")).same_as(&format!("GET {path}"), &curl("GET", &path, None));
    let shown = DecisionsPage {
        frame: Frame { section: Some(Section::Campaigns), up: Some(format!("/ui/campaigns/{id}")), ..frame },
        id: id.0,
        name,
        rows: listed.data.into_iter().map(|decision| row(decision, may_administer)).collect(),
        receipt: receipt.map(|receipt| ReceiptView::of(&receipt, sighted.at)),
        kept: (listed.kept_days > 0).then(|| format!("Decisions are kept for {} days.", listed.kept_days)),
        older: listed.next_cursor.map(|cursor| format!("{base}?cursor={cursor}")),
        newest: (!which.is_first()).then_some(base),
    };
    page(StatusCode::OK, &shown)
}
