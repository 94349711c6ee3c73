//! What was decided about a campaign, who decided it, and from where.

use actix_web::web;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::domain::access::audit::{Action, Actor, Object as Kind};
use crate::domain::ids::{ApiKeyId, AuditEntryId, CampaignId};
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::{Action as Followed, Subject};
use crate::domain::text_enum::text_enum;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query, bad_parameter};
use crate::http::web::problem::{ApiError, Problem};
use crate::store::access::audit_log::{self, EntryRow, Filter, KeyName};
use crate::store::campaigns::glance;
use crate::store::replicas::decisions::{self as notices, Reply};
use crate::store::{Conn, Lane};

/// What of the audit log is a decision about a campaign: not who has read it.
const DECISIONS: &[Action] = &[
    Action::Created,
    Action::Updated,
    Action::Deleted,
    Action::Launched,
    Action::LaunchFailed,
    Action::Scheduled,
    Action::Unscheduled,
    Action::Paused,
    Action::Resumed,
    Action::Stopped,
    Action::Retried,
    Action::Resolved,
    Action::Tested,
];

/// How far apart the times of a decision and of its receipt may be, in milliseconds: both are written in one transaction.
const SAME_MS: i64 = 2_000;

/// How many are listed unless asked otherwise.
const USUAL_SIZE: i64 = 20;

text_enum! {
    /// Where a decision came in.
    DecisionDoor {
        /// A request of the API, as of a program or of `volley campaign`.
        Api = "api",
        /// The operators' pages.
        Page = "page",
        /// The command line of the machine that Volley runs on.
        Command = "command",
        /// A message of the broker.
        Broker = "broker",
        /// Volley itself: a campaign's time had come, or it should not go on as it was.
        Engine = "engine",
    }
}

/// A decision about a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Decision {
    /// Its line of the audit log.
    pub(in crate::http) id: AuditEntryId,
    pub(in crate::http) at: UtcInstant,
    /// What was decided: `launched`, `paused`, `resolved`, …
    pub(in crate::http) action: String,
    pub(in crate::http) door: DecisionDoor,
    /// Who decided: `api_key`, `root_key`, `command_line`, `scheduler`, `engine` or `broker`.
    pub(in crate::http) actor: String,
    /// With which API key.
    pub(in crate::http) key: Option<DecisionKey>,
    /// The `X-Request-Id` of the request.
    pub(in crate::http) request_id: Option<String>,
    /// How it was: statuses, ids and names of fields.
    #[schema(value_type = Option<serde_json::Value>)]
    pub(in crate::http) before: Option<Box<RawValue>>,
    /// How it is since: statuses, ids and names of fields; `reason` where Volley itself decided.
    #[schema(value_type = Option<serde_json::Value>)]
    pub(in crate::http) after: Option<Box<RawValue>>,
    /// Where its receipt is. Kept for the newest pause, resume or stop.
    pub(in crate::http) receipt: Option<String>,
}

/// An API key, as people tell it from others.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct DecisionKey {
    pub(in crate::http) id: ApiKeyId,
    pub(in crate::http) name: Option<String>,
}

/// Decisions about a campaign, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Decisions {
    pub(in crate::http) data: Vec<Decision>,
    /// How many days decisions are kept; 0: for ever.
    pub(in crate::http) kept_days: u32,
    /// The next part: give it as `cursor`. `null` on the last one.
    pub(in crate::http) next_cursor: Option<String>,
}

/// Which decisions.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Which {
    before: Option<AuditEntryId>,
    page_size: i64,
}

impl Which {
    /// The newest ones.
    pub(in crate::http) const fn newest(page_size: i64) -> Self {
        Self { before: None, page_size }
    }

    /// Whether these are the first ones.
    pub(in crate::http) const fn is_first(self) -> bool {
        self.before.is_none()
    }
}

impl FromQuery for Which {
    const NAMES: &'static [&'static str] = &["cursor", "page_size"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let before = match params.text("cursor") {
            None => None,
            Some(text) => Some(
                text.strip_prefix("before-")
                    .and_then(|id| id.parse().ok())
                    .map(AuditEntryId)
                    .ok_or_else(|| bad_parameter("cursor", "cursor_invalid", "not a cursor of this list".to_owned()))?,
            ),
        };
        Ok(Self { before, page_size: params.integer("page_size", 1..=100)?.unwrap_or(USUAL_SIZE) })
    }
}

/// What was decided about a campaign: who, from where and when, newest first.
#[utoipa::path(get, path = "/v1/campaigns/{id}/decisions", tag = "campaigns",
    params(("id" = i64, Path), ("cursor" = Option<String>, Query), ("page_size" = Option<i64>, Query)),
    responses((status = 200, body = Decisions), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    Query(which): Query<Which>,
) -> Result<web::Json<Decisions>, ApiError> {
    Ok(web::Json(listed(&state, id, which).await?))
}

/// A part of what was decided about a campaign.
pub(in crate::http) async fn listed(state: &AppState, id: CampaignId, which: Which) -> Result<Decisions, ApiError> {
    let Which { before, page_size } = which;
    let filter = Filter {
        among: Some(DECISIONS),
        object: Some(Kind::Campaign),
        object_id: Some(id.to_string()),
        before,
        ..Filter::default()
    };
    let read = move |conn: &mut Conn| {
        conn.snapshot(|conn| match glance::these(conn, &[id])?.is_empty() {
            true => Ok(None),
            false => {
                let lines = audit_log::list(conn, &filter, page_size + 1)?;
                Ok(Some((lines, notices::replies(conn, &Subject::Campaign(id))?)))
            }
        })
    };
    let found = state.store.run(Lane::Read, "read the decisions about a campaign", read).await?;
    let (mut lines, replies) = found.ok_or(ApiError::not_found("campaign", id.0))?;
    let limit = usize::try_from(page_size).unwrap_or(usize::MAX);
    let more = lines.len() > limit;
    lines.truncate(limit);
    let next_cursor = lines.last().filter(|_| more).map(|(last, _)| format!("before-{}", last.id));
    let mut data: Vec<Decision> = lines.into_iter().map(decision).collect();
    if let Some(decided) = replies.first().and_then(|reply| data.iter_mut().find(|one| one.is_of(reply))) {
        decided.receipt = Some(format!("/v1/campaigns/{id}/receipt"));
    }
    Ok(Decisions { data, kept_days: state.settings.audit.keep_days, next_cursor })
}

impl Decision {
    /// Whether the instances replied to this decision.
    fn is_of(&self, reply: &Reply) -> bool {
        let followed = match Action::from_text(&self.action) {
            Some(Action::Paused) => Followed::Pause,
            Some(Action::Resumed) => Followed::Resume,
            Some(Action::Stopped) => Followed::Stop,
            _ => return false,
        };
        followed == reply.action && (self.at.0 - reply.noted_at.0).abs() <= SAME_MS
    }
}

/// Where a line of the audit log came in.
fn door(line: &EntryRow) -> DecisionDoor {
    match Actor::from_text(&line.actor) {
        Some(Actor::CommandLine) => DecisionDoor::Command,
        Some(Actor::Broker) => DecisionDoor::Broker,
        Some(Actor::Scheduler | Actor::Start | Actor::Engine) => DecisionDoor::Engine,
        Some(Actor::ApiKey | Actor::RootKey | Actor::Recipient) | None if line.session_id.is_some() => {
            DecisionDoor::Page
        }
        Some(Actor::ApiKey | Actor::RootKey | Actor::Recipient) | None => DecisionDoor::Api,
    }
}

fn decision((line, key): (EntryRow, Option<KeyName>)) -> Decision {
    let json = |text: Option<String>| text.and_then(|text| RawValue::from_string(text).ok());
    Decision {
        door: door(&line),
        key: line.api_key_id.map(|id| DecisionKey { id, name: key.map(|key| key.name) }),
        id: line.id,
        at: line.at,
        action: line.action,
        actor: line.actor,
        request_id: line.request_id,
        before: json(line.before),
        after: json(line.after),
        receipt: None,
    }
}
