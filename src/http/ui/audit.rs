//! `/ui/audit`: who did what, newest first, in sentences.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde_json::Value;
use serde_json::value::RawValue;

use super::frame::{Frame, Section, page};
use super::words::{When, counted, curl};
use crate::domain::access::audit::{Action, Actor, Object};
use crate::domain::ids::ApiKeyId;
use crate::http::api::access::audit_log::{self, AuditEntry, Which};
use crate::http::api::access::keys;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::problem::ApiError;

/// Lines of one page, unless the address says otherwise.
const ON_A_PAGE: i64 = 50;

/// Which lines: as the API takes them, and a form's empty fields do not count.
pub(in crate::http) struct Asked {
    which: Which,
    params: Params,
}

impl FromQuery for Asked {
    const NAMES: &'static [&'static str] = Which::NAMES;

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let params = params.given();
        let mut which = Which::from_params(&params)?;
        if params.text("page_size").is_none() {
            which.page_size = ON_A_PAGE;
        }
        Ok(Self { which, params })
    }
}

/// A line.
struct Deed {
    at: When,
    who: String,
    /// Other lines of the same key.
    of_key: Option<String>,
    from: String,
    did: String,
    /// What it was done to, and where that is seen.
    what: String,
    path: Option<String>,
    /// Other lines of the same thing.
    of_object: Option<String>,
    changes: Vec<String>,
    request: Option<String>,
    /// How often it was done, and the first time, where that is more than once.
    times: Option<(String, When)>,
}

/// Who acted, in words.
pub(super) fn actor(entry: &AuditEntry) -> String {
    who(&entry.actor, entry.key.as_ref().map(|key| (key.id, key.name.as_deref())))
}

/// Who acted, in words: by the word of the audit log, and with which key.
pub(super) fn who(actor: &str, key: Option<(ApiKeyId, Option<&str>)>) -> String {
    if let Some((id, name)) = key {
        return name.map_or_else(|| format!("key {id}"), str::to_owned);
    }
    match Actor::from_text(actor) {
        Some(Actor::ApiKey) => "an API key",
        Some(Actor::RootKey) => "root key",
        Some(Actor::CommandLine) => "command line",
        Some(Actor::Start) => "start of an instance",
        Some(Actor::Scheduler) => "scheduler",
        Some(Actor::Recipient) => "a recipient",
        Some(Actor::Broker) => "broker",
        Some(Actor::Engine) => "Volley itself",
        None => return actor.replace('_', " "),
    }
    .to_owned()
}

/// What was done, before what it was done to.
fn did(action: &str, object: &str) -> String {
    let Some(action) = Action::from_text(action) else { return action.replace('_', " ") };
    let is_session = object == Object::Session.as_str();
    match action {
        Action::Created if is_session => "signed in:",
        Action::Deleted if is_session => "signed out:",
        Action::Created
        | Action::Updated
        | Action::Deleted
        | Action::Revoked
        | Action::Launched
        | Action::Paused
        | Action::Resumed
        | Action::Stopped
        | Action::Suspended
        | Action::Replayed
        | Action::Read => action.as_str(),
        Action::MembersAdded => "put contacts on",
        Action::MembersRemoved => "took contacts off",
        Action::LaunchFailed => "could not launch",
        Action::Scheduled => "set the launch time of",
        Action::Unscheduled => "removed the launch time of",
        Action::Retried => "tried again what had failed of",
        Action::Resolved => "resolved uncertain deliveries of",
        Action::Tested => "sent a test of",
        Action::Checked => "asked whether the provider answers of",
        Action::PaceChanged => "corrected the pace of",
        Action::Recomputed => "had everybody evaluated anew for",
        Action::Denied => "was refused",
    }
    .to_owned()
}

/// What it was done to, in words, and its page if it has one.
fn what(object: &str, id: Option<&str>) -> (String, Option<String>) {
    let kind = Object::from_text(object);
    let path = id.and_then(|id| match kind? {
        Object::Campaign => Some(format!("/ui/campaigns/{id}")),
        Object::Contact => Some(format!("/ui/contacts/{id}")),
        Object::List => Some(format!("/ui/lists/{id}")),
        Object::Segment => Some(format!("/ui/segments/{id}")),
        Object::Import => Some(format!("/ui/imports/{id}")),
        Object::Template => Some(format!("/ui/templates/{id}")),
        Object::Pool => Some(format!("/ui/pools/{id}")),
        Object::Key => Some(format!("/ui/api-keys#key-{id}")),
        Object::Session
        | Object::File
        | Object::LinkKey
        | Object::Suppression
        | Object::Event
        | Object::Reaction
        | Object::DeadLetter
        | Object::Callback
        | Object::Route => None,
    });
    let word = object.replace('_', " ");
    let what = match (kind, id) {
        (Some(Object::Route), Some(id)) => id.to_owned(),
        (_, Some(id)) => format!("{word} {id}"),
        (Some(Object::Contact), None) => "contacts".to_owned(),
        (Some(Object::Event), None) => "events".to_owned(),
        (_, None) => word,
    };
    (what, path)
}

/// The longest text of a value that is shown, in characters.
const LONGEST: usize = 60;

fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let cut: String = text.chars().take(LONGEST).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}

/// On what evidence something was decided: the note is what a reader looks for.
fn evidence(value: &Value) -> String {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let log = text("log_sha256").and_then(|hash| hash.get(..12)).map(|hash| format!(" (log {hash}…)"));
    format!("evidence: {}{}", text("note").unwrap_or_default(), log.unwrap_or_default())
}

/// What has changed: `status: sending → paused`.
pub(super) fn changes(before: Option<&RawValue>, after: Option<&RawValue>) -> Vec<String> {
    let read = |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    let (before, after) = (read(before), read(after));
    let old = before.as_ref().and_then(Value::as_object);
    let Some(new) = after.as_ref().and_then(Value::as_object) else {
        let was = old.into_iter().flatten().filter(|(_, value)| !value.is_null());
        return was.map(|(name, value)| format!("{}: {}", name.replace('_', " "), shown(value))).collect();
    };
    let change = |(name, value): (&String, &Value)| {
        let word = name.replace('_', " ");
        match old.and_then(|old| old.get(name)).filter(|was| !was.is_null()) {
            Some(was) if was == value => None,
            Some(was) => Some(format!("{word}: {} → {}", shown(was), shown(value))),
            None if value.is_null() => None,
            None if name == "evidence" => Some(evidence(value)),
            None => Some(format!("{word}: {}", shown(value))),
        }
    };
    new.iter().filter_map(change).collect()
}

/// The address of the lines that have all these.
fn filtered(pairs: &[(&str, &str)]) -> String {
    format!("/ui/audit?{}", url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
}

fn deed(entry: AuditEntry) -> Deed {
    let (what, path) = what(&entry.object, entry.object_id.as_deref());
    let session = entry.session_id.map(|id| format!("session {id}"));
    Deed {
        at: When::of(entry.at),
        who: actor(&entry),
        of_key: entry.key.as_ref().map(|key| filtered(&[("key_id", &key.id.to_string())])),
        from: [session, entry.ip].into_iter().flatten().collect::<Vec<_>>().join(" · "),
        did: did(&entry.action, &entry.object),
        of_object: entry.object_id.as_deref().map(|id| filtered(&[("object", &entry.object), ("object_id", id)])),
        what,
        path,
        changes: changes(entry.before.as_deref(), entry.after.as_deref()),
        request: entry.request_id,
        times: None,
    }
}

/// The fields that an edit of a campaign has changed; nothing, if the line is about something else.
fn edited(entry: &AuditEntry) -> Option<BTreeSet<String>> {
    let is_edit = entry.action == Action::Updated.as_str() && entry.object == Object::Campaign.as_str();
    let read = |raw: Option<&RawValue>| serde_json::from_str::<Value>(raw?.get()).ok();
    let (before, after) = (read(entry.before.as_deref().filter(|_| is_edit))?, read(entry.after.as_deref())?);
    // Nothing else has changed.
    let is_plain = after.as_object()?.len() == 2 && before.get("status") == after.get("status");
    let fields = after.get("fields").filter(|_| is_plain)?.as_array()?.iter().filter_map(Value::as_str);
    Some(fields.map(|name| name.replace('_', " ")).collect())
}

/// Lines newest first. The composer saves while somebody types: edits of one campaign by one person, one after another, are one line.
fn folded(entries: Vec<AuditEntry>) -> Vec<Deed> {
    let mut deeds: Vec<Deed> = Vec::with_capacity(entries.len());
    // Of the last line, if it is an edit: what has changed, and how often.
    let mut last: Option<(BTreeSet<String>, i64)> = None;
    for entry in entries {
        let fields = edited(&entry);
        let deed = deed(entry);
        let before =
            deeds.last_mut().filter(|last| (&last.who, &last.from, &last.what) == (&deed.who, &deed.from, &deed.what));
        match (before, last.as_mut(), fields) {
            (Some(before), Some((all, count)), Some(fields)) => {
                all.extend(fields);
                *count += 1;
                before.times = Some((counted(*count, "time", "times"), deed.at));
                before.changes = vec![words(all)];
            }
            (_, _, fields) => {
                let changes = fields.as_ref().map_or(deed.changes, |fields| vec![words(fields)]);
                deeds.push(Deed { changes, ..deed });
                last = fields.map(|fields| (fields, 1));
            }
        }
    }
    deeds
}

fn words(fields: &BTreeSet<String>) -> String {
    fields.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[derive(Template)]
#[template(path = "ui/audit.html")]
struct AuditPage {
    frame: Frame,
    deeds: Vec<Deed>,
    keys: Vec<(String, String, bool)>,
    objects: Vec<(&'static str, String, bool)>,
    object_id: String,
    request_id: String,
    is_filtered: bool,
    older: Option<String>,
    newest: Option<String>,
}

/// The address of the page with this query.
fn address(query: &str) -> String {
    if query.is_empty() { "/ui/audit".to_owned() } else { format!("/ui/audit?{query}") }
}

/// Shows who did what.
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    frame: Frame,
    Query(Asked { which, params }): Query<Asked>,
) -> Result<HttpResponse, ApiError> {
    let (key, object, size) = (which.filter.key, which.filter.object, which.page_size);
    let listed = audit_log::listed(&state, which).await?;
    let (known, _) = keys::listed(&state).await?;
    let base = params.without("cursor");
    let api = params.without("page_size");
    let api = format!("/v1/audit-log?{api}{}page_size={size}", if api.is_empty() { "" } else { "&" });
    let frame = frame.titled("Audit log").same_as(&format!("GET {api}"), &curl("GET", &format!("'{api}'"), None));
    let text = |name: &str| params.text(name).unwrap_or_default().to_owned();
    let cursor = |cursor: &String| address(&format!("{base}{}cursor={cursor}", if base.is_empty() { "" } else { "&" }));
    let one = |known: &keys::ApiKey| (known.id.to_string(), known.name.clone(), Some(known.id) == key);
    let shown = AuditPage {
        frame: Frame { section: Some(Section::System), ..frame },
        keys: known.data.iter().map(one).collect(),
        objects: Object::ALL
            .iter()
            .map(|kind| (kind.as_str(), kind.as_str().replace('_', " "), Some(*kind) == object))
            .collect(),
        object_id: text("object_id"),
        request_id: text("request_id"),
        is_filtered: !base.is_empty(),
        older: listed.next_cursor.as_ref().map(cursor),
        newest: params.text("cursor").map(|_| address(&base)),
        deeds: folded(listed.data),
    };
    page(StatusCode::OK, &shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        RawValue::from_string(value.to_string()).unwrap()
    }

    #[test]
    fn only_what_has_changed_is_said() {
        let before = raw(&serde_json::json!({ "status": "sending", "name": "Spring", "rate": null }));
        let after = raw(&serde_json::json!({ "status": "paused", "name": "Spring", "rate": 5, "expires_at": null }));
        assert_eq!(changes(Some(&before), Some(&after)), ["rate: 5", "status: sending → paused"]);
        assert_eq!(changes(Some(&before), None), ["name: Spring", "status: sending"]);
        assert!(changes(None, None).is_empty());
        let long = raw(&serde_json::json!({ "name": "ä".repeat(61) }));
        assert_eq!(changes(None, Some(&long)), [format!("name: {}…", "ä".repeat(60))]);
    }

    #[test]
    fn a_line_is_a_sentence_also_where_a_newer_instance_has_written_it() {
        let said = |action: &str, object: &str, id: Option<&str>| {
            let (what, path) = what(object, id);
            (format!("{} {what}", did(action, object)), path)
        };
        let campaign = Some("/ui/campaigns/7".to_owned());
        assert_eq!(said("launched", "campaign", Some("7")), ("launched campaign 7".to_owned(), campaign));
        assert_eq!(said("denied", "route", Some("GET /v1/keys")), ("was refused GET /v1/keys".to_owned(), None));
        assert_eq!(said("created", "session", Some("3")), ("signed in: session 3".to_owned(), None));
        assert_eq!(said("read", "contact", None), ("read contacts".to_owned(), None));
        assert_eq!(said("was_moved", "star_chart", Some("x")), ("was moved star chart x".to_owned(), None));
    }
}
