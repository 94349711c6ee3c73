//! `/v1/audit-log`: who did what.

use actix_web::web;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

// The description takes a type that is called `Object` for any object.
use crate::domain::access::audit::{Action, Actor, Object as Kind};
use crate::domain::ids::{ApiKeyId, AuditEntryId, SessionId};
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query, bad_parameter};
use crate::http::web::problem::{ApiError, Problem};
use crate::store::access::audit_log::{self, EntryRow, Filter, KeyName};
use crate::store::{Conn, Lane, StoreError};

/// Longest text of a filter, in characters.
const MAX_TEXT: usize = 128;

/// One line of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct AuditEntry {
    pub(in crate::http) id: AuditEntryId,
    pub(in crate::http) at: UtcInstant,
    /// Who acted: `api_key`, `root_key`, `command_line`, `start`, `scheduler`, `recipient`, `broker` or `engine`.
    pub(in crate::http) actor: String,
    /// With which API key.
    pub(in crate::http) key: Option<AuditKey>,
    /// Where the request came from. `null` where there was none.
    pub(in crate::http) ip: Option<String>,
    /// What was done: `created`, `launched`, `read`, …
    pub(in crate::http) action: String,
    /// To which kind of thing: `campaign`, `contact`, …
    pub(in crate::http) object: String,
    /// To which one: its id, or the name of a pool.
    pub(in crate::http) object_id: Option<String>,
    /// How it was: statuses, ids and names of fields.
    #[schema(value_type = Option<serde_json::Value>)]
    pub(in crate::http) before: Option<Box<RawValue>>,
    /// How it is since: statuses, ids and names of fields.
    #[schema(value_type = Option<serde_json::Value>)]
    pub(in crate::http) after: Option<Box<RawValue>>,
    /// The `X-Request-Id` of the request.
    pub(in crate::http) request_id: Option<String>,
    /// The session on the operators' pages in which it was done: two people with one key have two. `null` for programs.
    pub(in crate::http) session_id: Option<SessionId>,
}

/// An API key, as people tell it from others.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct AuditKey {
    pub(in crate::http) id: ApiKeyId,
    pub(in crate::http) name: Option<String>,
    pub(in crate::http) prefix: Option<String>,
}

/// A part of the audit log, newest line first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct AuditLog {
    pub(in crate::http) data: Vec<AuditEntry>,
    /// The next part: give it as `cursor`. `null` on the last one.
    pub(in crate::http) next_cursor: Option<String>,
}

/// Which lines.
#[derive(Debug)]
pub(in crate::http) struct Which {
    pub(in crate::http) filter: Filter,
    pub(in crate::http) page_size: i64,
}

impl FromQuery for Which {
    const NAMES: &'static [&'static str] =
        &["actor", "key_id", "action", "object", "object_id", "request_id", "from", "to", "cursor", "page_size"];

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
        let filter = Filter {
            actor: params.choice("actor", Actor::ALL)?,
            key: params.integer("key_id", 1..=i64::MAX)?.map(ApiKeyId),
            action: params.choice("action", Action::ALL)?,
            among: None,
            object: params.choice("object", Kind::ALL)?,
            object_id: params.short("object_id", MAX_TEXT)?,
            request_id: params.short("request_id", MAX_TEXT)?,
            from: params.instant("from")?,
            to: params.instant("to")?,
            before,
        };
        Ok(Self { filter, page_size: params.integer("page_size", 1..=100)?.unwrap_or(20) })
    }
}

/// Who did what, and who read personal data, newest first.
#[utoipa::path(get, path = "/v1/audit-log", tag = "keys",
    params(("actor" = inline(Option<Actor>), Query), ("key_id" = Option<i64>, Query), ("action" = inline(Option<Action>), Query),
        ("object" = inline(Option<Kind>), Query), ("object_id" = Option<String>, Query),
        ("request_id" = Option<String>, Query), ("from" = Option<UtcInstant>, Query), ("to" = Option<UtcInstant>, Query),
        ("cursor" = Option<String>, Query), ("page_size" = Option<i64>, Query)),
    responses((status = 200, body = AuditLog), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(which): Query<Which>,
) -> Result<web::Json<AuditLog>, ApiError> {
    Ok(web::Json(listed(&state, which).await?))
}

/// The newest line of one action on one thing.
pub(in crate::http) async fn newest(
    state: &AppState,
    action: Action,
    object: Kind,
    id: &str,
) -> Result<Option<AuditEntry>, ApiError> {
    let filter =
        Filter { action: Some(action), object: Some(object), object_id: Some(id.to_owned()), ..Filter::default() };
    Ok(listed(state, Which { filter, page_size: 1 }).await?.data.pop())
}

/// The newest line of one action on each of these things, as far as there is one.
pub(in crate::http) async fn newest_of_each(
    state: &AppState,
    action: Action,
    object: Kind,
    ids: Vec<String>,
) -> Result<Vec<AuditEntry>, ApiError> {
    let read = move |conn: &mut Conn| {
        let filter = Filter { action: Some(action), object: Some(object), ..Filter::default() };
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(audit_log::list(conn, &Filter { object_id: Some(id), ..filter.clone() }, 1)?);
        }
        Ok::<_, StoreError>(found)
    };
    let rows = state.store.run(Lane::Read, "read the audit log", read).await?;
    Ok(rows.into_iter().map(entry).collect())
}

/// Reads a part of the audit log.
pub(in crate::http) async fn listed(state: &AppState, which: Which) -> Result<AuditLog, ApiError> {
    let Which { filter, page_size } = which;
    let read = move |conn: &mut _| audit_log::list(conn, &filter, page_size + 1);
    let mut rows = state.store.run(Lane::Read, "read the audit log", read).await?;
    let limit = usize::try_from(page_size).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| more).map(|(row, _)| row.id);
    let data = rows.into_iter().map(entry).collect();
    Ok(AuditLog { data, next_cursor: last.map(|id| format!("before-{id}")) })
}

fn entry((row, key): (EntryRow, Option<KeyName>)) -> AuditEntry {
    let json = |text: Option<String>| text.and_then(|text| RawValue::from_string(text).ok());
    let (name, prefix) = key.map(|key| (key.name, key.prefix)).unzip();
    AuditEntry {
        id: row.id,
        at: row.at,
        actor: row.actor,
        key: row.api_key_id.map(|id| AuditKey { id, name, prefix }),
        ip: row.ip,
        action: row.action,
        object: row.object,
        object_id: row.object_id,
        before: json(row.before),
        after: json(row.after),
        request_id: row.request_id,
        session_id: row.session_id,
    }
}
