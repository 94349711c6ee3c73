//! `/v1/keys`: API keys.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::{Rights, Scope};
use crate::domain::events::EventSource;
use crate::domain::ids::ApiKeyId;
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Json, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::services::access::create_key::{CreateKeyError, create_key};
use crate::services::access::revoke_key::revoke_key;
use crate::store::access::api_keys::{self, ApiKeyRow, NewKey};
use crate::store::{Conn, Lane, StoreError, engine};

/// Longest name of a key, in characters.
const MAX_NAME: usize = 100;

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ApiKey {
    pub(in crate::http) id: ApiKeyId,
    pub(in crate::http) name: String,
    /// What it allows: `ingest`, `read`, `operate` (includes both) or `admin` (includes all).
    pub(in crate::http) scope: Scope,
    /// What it calls itself in events. `null`: its name.
    pub(in crate::http) source: Option<String>,
    /// The first characters, by which people tell keys apart.
    pub(in crate::http) prefix: String,
    pub(in crate::http) created_at: UtcInstant,
    /// To the minute.
    pub(in crate::http) last_used_at: Option<UtcInstant>,
    /// When it stops working by itself. `null`: it does not.
    pub(in crate::http) expires_at: Option<UtcInstant>,
    /// When it was revoked.
    pub(in crate::http) revoked_at: Option<UtcInstant>,
}

impl From<ApiKeyRow> for ApiKey {
    fn from(row: ApiKeyRow) -> Self {
        let ApiKeyRow { id, name, prefix, created_at, last_used_at, revoked_at, scope, expires_at, source } = row;
        Self { id, name, scope, source, prefix, created_at, last_used_at, expires_at, revoked_at }
    }
}

/// Every API key.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ApiKeys {
    pub(in crate::http) data: Vec<ApiKey>,
}

/// An API key that was just made.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct NewApiKey {
    #[serde(flatten)]
    pub(in crate::http) key: ApiKey,
    /// The key itself. It is shown this once.
    pub(in crate::http) secret: String,
}

/// A key to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateKey {
    /// What it is for.
    pub(in crate::http) name: String,
    /// What it allows: `ingest`, `read`, `operate` (includes both) or `admin` (includes all). At most what the key of this
    /// request allows.
    pub(in crate::http) scope: Scope,
    /// When it stops working by itself; not later than the key of this request. Without it, the new key does not expire.
    #[serde(default)]
    pub(in crate::http) expires_at: Option<UtcInstant>,
    /// What it calls itself in events: 1 to 100 characters out of a-z, 0-9, underscore, dot, colon and hyphen. Give a key that takes
    /// the place of this one the same. Without it, the name.
    #[serde(default)]
    pub(in crate::http) source: Option<String>,
}

impl From<CreateKeyError> for ApiError {
    fn from(error: CreateKeyError) -> Self {
        let detail = error.to_string();
        match error {
            CreateKeyError::Expired { .. } => Self::field("/expires_at", "out_of_range", detail),
            CreateKeyError::MoreThanMaker(_) => Self::Forbidden { code: "key_exceeds_maker", detail },
            CreateKeyError::Store(error) => error.into(),
        }
    }
}

/// Makes an API key. The answer is the only place where its secret is shown.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", request_body = CreateKey,
    responses((status = 201, body = NewApiKey), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn create(
    state: web::Data<AppState>,
    _: Query<()>,
    by: By,
    Json(body): Json<CreateKey>,
) -> Result<HttpResponse, ApiError> {
    let made = made(&state, body, &by).await?;
    let location = format!("/v1/keys/{}", made.key.id);
    Ok(HttpResponse::Created().insert_header(("Location", location)).json(made))
}

/// Makes an API key. The answer is the only place where its secret is.
pub(in crate::http) async fn made(state: &AppState, body: CreateKey, by: &By) -> Result<NewApiKey, ApiError> {
    let name = crate::http::web::text::name("/name", &body.name, MAX_NAME)?;
    let rights = Rights { scope: body.scope, expires_at: body.expires_at };
    if let Some(Err(error)) = body.source.as_deref().map(EventSource::check) {
        return Err(ApiError::field("/source", error.code, error.reason));
    }
    let minted = create_key(&state.store, NewKey { name, rights, source: body.source }, by).await?;
    Ok(NewApiKey { key: minted.row.into(), secret: minted.secret.expose().to_owned() })
}

/// Makes an API key that lasts for so many days, or without end.
pub(in crate::http) async fn made_for(
    state: &AppState,
    name: &str,
    scope: Scope,
    days: Option<i64>,
    by: &By,
) -> Result<NewApiKey, ApiError> {
    let expires_at = match days {
        None => None,
        Some(days) => {
            Some(state.store.run(Lane::Control, "read the clock", engine::now).await?.plus_ms(days * 86_400_000))
        }
    };
    made(state, CreateKey { name: name.to_owned(), scope, expires_at, source: None }, by).await
}

/// Lists the API keys, revoked and expired ones too, newest first.
#[utoipa::path(get, path = "/v1/keys", tag = "keys", responses((status = 200, body = ApiKeys)))]
pub(in crate::http) async fn list(state: web::Data<AppState>, _: Query<()>) -> Result<web::Json<ApiKeys>, ApiError> {
    Ok(web::Json(listed(&state).await?.0))
}

/// Reads the API keys, newest first, and the moment of that.
pub(in crate::http) async fn listed(state: &AppState) -> Result<(ApiKeys, UtcInstant), ApiError> {
    let read = |conn: &mut Conn| Ok::<_, StoreError>((api_keys::list(conn)?, engine::now(conn)?));
    let (rows, now) = state.store.run(Lane::Read, "list API keys", read).await?;
    Ok((ApiKeys { data: rows.into_iter().map(ApiKey::from).collect() }, now))
}

/// Revokes an API key: it stops working at once on this instance, and within a second on others.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "keys", params(("id" = i64, Path)),
    responses((status = 200, body = ApiKey), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn revoke(
    state: web::Data<AppState>,
    Id(id): Id<ApiKeyId>,
    _: Query<()>,
    by: By,
) -> Result<web::Json<ApiKey>, ApiError> {
    revoked(&state, id, &by).await.map(web::Json)
}

/// Makes an API key void.
pub(in crate::http) async fn revoked(state: &AppState, id: ApiKeyId, by: &By) -> Result<ApiKey, ApiError> {
    let row = revoke_key(&state.store, id, by).await?;
    state.auth.forget();
    row.map(ApiKey::from).ok_or(ApiError::not_found("key", id.0))
}
