//! `/ui/api-keys`: who may do what, with which key; a new key, and the end of one.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::errors::Trouble;
use super::form::{Form, fresh_key, see_other};
use super::frame::{Frame, Section, page};
use super::refused::{Refusal, refused};
use super::words::When;
use crate::domain::access::Scope;
use crate::domain::ids::ApiKeyId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::spelling::composed;
use crate::http::api::access::keys::{self, ApiKey};
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query};
use crate::http::web::idempotency::Instead;
use crate::http::web::problem::ApiError;
use crate::services::{Asker, By};

/// A key, as the list shows it.
struct KeyLine {
    id: i64,
    name: String,
    prefix: String,
    scope: &'static str,
    source: Option<String>,
    created: When,
    used: Option<When>,
    /// `valid until`, `expired`, `revoked`; and when.
    end: Option<(&'static str, When)>,
    is_valid: bool,
    /// Whether the reader has signed in with it.
    is_own: bool,
}

impl KeyLine {
    fn of(key: &ApiKey, own: Option<ApiKeyId>, now: UtcInstant) -> Self {
        let expired = key.expires_at.filter(|end| *end <= now);
        let end = match (key.revoked_at, expired, key.expires_at) {
            (Some(at), ..) => Some(("revoked", at)),
            (None, Some(at), _) => Some(("expired", at)),
            (None, None, Some(at)) => Some(("valid until", at)),
            (None, None, None) => None,
        };
        Self {
            id: key.id.0,
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            scope: key.scope.as_str(),
            source: key.source.clone(),
            created: When::of(key.created_at),
            used: key.last_used_at.map(When::of),
            end: end.map(|(word, at)| (word, When::of(at))),
            is_valid: key.revoked_at.is_none() && expired.is_none(),
            is_own: own == Some(key.id),
        }
    }
}

/// The key that a person has signed in with. `None`: the root key.
fn own(by: &By) -> Option<ApiKeyId> {
    if let Asker::ApiKey(id) = by.asker { Some(id) } else { None }
}

/// What each scope is for.
const fn says(scope: Scope) -> &'static str {
    match scope {
        Scope::Ingest => "ingest: put in contacts and events",
        Scope::Read => "read: see everything but keys and the audit log",
        Scope::Operate => "operate: ingest and read, and change and send campaigns",
        Scope::Admin => "admin: everything, also pools and keys",
    }
}

/// How long a key is valid: the value of its field, what it says, and days.
const SPANS: [(&str, &str, Option<i64>); 4] = [
    ("never", "without end", None),
    ("30d", "for 30 days", Some(30)),
    ("90d", "for 90 days", Some(90)),
    ("365d", "for a year", Some(365)),
];

/// What was typed in the form of a new key.
struct Typed {
    name: String,
    scope: String,
    expires: String,
}

impl Default for Typed {
    fn default() -> Self {
        Self { name: String::new(), scope: Scope::Read.as_str().to_owned(), expires: "never".to_owned() }
    }
}

#[derive(Template)]
#[template(path = "ui/api_keys.html")]
struct KeysPage {
    frame: Frame,
    keys: Vec<KeyLine>,
    /// The key that a form has made which was sent twice.
    again: Option<i64>,
    typed: Typed,
    scopes: Vec<(&'static str, &'static str, bool)>,
    spans: [(&'static str, &'static str, bool); 4],
    trouble: Option<Trouble>,
    key: String,
}

impl KeysPage {
    async fn of(state: &AppState, frame: Frame, by: &By, typed: Typed) -> Result<Self, ApiError> {
        let (listed, now) = keys::listed(state).await?;
        let mut lines: Vec<KeyLine> = listed.data.iter().map(|key| KeyLine::of(key, own(by), now)).collect();
        lines.sort_by_key(|line| !line.is_valid);
        let frame = frame.titled("API keys").same_as("GET /v1/keys", "volley key list");
        let own = by.rights.scope;
        let scopes = Scope::ALL.iter().filter(|scope| own.includes(**scope));
        Ok(Self {
            frame: Frame { section: Some(Section::System), at: Some(now), ..frame },
            keys: lines,
            again: None,
            scopes: scopes.map(|scope| (scope.as_str(), says(*scope), scope.as_str() == typed.scope)).collect(),
            spans: SPANS.map(|(value, says, _)| (value, says, value == typed.expires)),
            typed,
            trouble: None,
            key: fresh_key(),
        })
    }
}

/// The key that was made before by the same form.
pub(in crate::http) struct Again(Option<i64>);

impl FromQuery for Again {
    const NAMES: &'static [&'static str] = &["again"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Ok(Self(params.integer("again", 1..=i64::MAX)?))
    }
}

/// Shows the keys.
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    frame: Frame,
    by: By,
    Query(Again(again)): Query<Again>,
) -> Result<HttpResponse, ApiError> {
    let shown = KeysPage::of(&state, frame, &by, Typed::default()).await?;
    page(StatusCode::OK, &KeysPage { again, ..shown })
}

#[derive(Template)]
#[template(path = "ui/api_key_made.html")]
struct MadePage {
    frame: Frame,
    id: i64,
    name: String,
    scope: &'static str,
    secret: String,
}

/// Makes a key. The answer is the only place where its secret is shown: it has no address, and the same form sent again leads
/// to the list.
pub(in crate::http) async fn make(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    by: By,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let text = |field| form.text(field).unwrap_or_default().trim().to_owned();
    let typed = Typed { name: text("name"), scope: text("scope"), expires: text("expires") };
    match made(&state, &typed, &by).await {
        Ok(new) => {
            let frame = frame.titled(&format!("New key {}", new.key.name));
            let frame = Frame { section: Some(Section::System), up: Some("/ui/api-keys".to_owned()), ..frame };
            let (id, scope) = (new.key.id.0, new.key.scope.as_str());
            let shown = MadePage { frame, id, name: new.key.name, scope, secret: new.secret };
            let mut answer = page(StatusCode::CREATED, &shown)?;
            answer.extensions_mut().insert(Instead(format!("/ui/api-keys?again={id}")));
            Ok(answer)
        }
        Err(error) => {
            refused(error, &request, async |Refusal { trouble, .. }| {
                let shown = KeysPage::of(&state, frame, &by, typed).await?;
                Ok(KeysPage { trouble: Some(trouble), ..shown })
            })
            .await
        }
    }
}

async fn made(state: &AppState, typed: &Typed, by: &By) -> Result<keys::NewApiKey, ApiError> {
    let scope = Scope::from_text(&typed.scope);
    let scope = scope.ok_or_else(|| ApiError::field("scope", "not_allowed", "one of: ingest, read, operate, admin"))?;
    let span = SPANS.iter().find(|(value, ..)| *value == typed.expires);
    let (_, _, days) =
        span.ok_or_else(|| ApiError::field("expires", "not_allowed", "one of: never, 30d, 90d, 365d"))?;
    keys::made_for(state, &typed.name, scope, *days, by).await
}

#[derive(Template)]
#[template(path = "ui/api_key_revoke.html")]
struct RevokePage {
    frame: Frame,
    line: KeyLine,
    typed: String,
    is_wrong: bool,
    trouble: Option<Trouble>,
    key: String,
}

impl RevokePage {
    async fn of(state: &AppState, frame: Frame, id: ApiKeyId, by: &By) -> Result<Self, ApiError> {
        let (listed, now) = keys::listed(state).await?;
        let found = listed.data.iter().find(|key| key.id == id).ok_or(ApiError::not_found("key", id.0))?;
        let frame = frame.titled(&format!("Revoke {}?", found.name));
        let frame = frame.same_as(&format!("DELETE /v1/keys/{id}"), &format!("volley key revoke {id}"));
        Ok(Self {
            frame: Frame { section: Some(Section::System), up: Some("/ui/api-keys".to_owned()), ..frame },
            line: KeyLine::of(found, own(by), now),
            typed: String::new(),
            is_wrong: false,
            trouble: None,
            key: fresh_key(),
        })
    }
}

/// Asks whether a key shall be revoked.
pub(in crate::http) async fn ask(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<ApiKeyId>,
    by: By,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    page(StatusCode::OK, &RevokePage::of(&state, frame, id, &by).await?)
}

/// Revokes a key whose name was typed.
pub(in crate::http) async fn revoke(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    Id(id): Id<ApiKeyId>,
    by: By,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let typed = form.text("name").unwrap_or_default().trim().to_owned();
    let shown = RevokePage::of(&state, frame, id, &by).await?;
    if composed(&typed) != shown.line.name {
        let error = ApiError::field("name", "name_differs", "type the key's name as it is");
        let again = async |Refusal { trouble, is_wrong, .. }: Refusal<'_>| {
            Ok(RevokePage { trouble: Some(trouble), typed, is_wrong, ..shown })
        };
        return refused(error, &request, again).await;
    }
    keys::revoked(&state, id, &by).await?;
    Ok(see_other(&format!("/ui/api-keys#key-{id}")))
}
