//! `/v1/me`: the key of the request.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::keys::ApiKey;
use crate::domain::access::Scope;
use crate::domain::ids::InstanceId;
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;
use crate::services::{Asker, By};
use crate::store::Lane;
use crate::store::access::api_keys;

/// The key of the request, and who answers.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Me {
    /// The stored key; `null`: the root key of the settings.
    key: Option<ApiKey>,
    /// What it allows.
    scope: Scope,
    /// When it stops working by itself. `null`: it does not.
    expires_at: Option<UtcInstant>,
    /// The instance that answers.
    instance_id: InstanceId,
}

/// Shows what the key of the request is, and what it allows. Every key may ask.
#[utoipa::path(get, path = "/v1/me", tag = "keys", responses((status = 200, body = Me)))]
pub(in crate::http) async fn show(state: web::Data<AppState>, _: Query<()>, by: By) -> Result<web::Json<Me>, ApiError> {
    let key = if let Asker::ApiKey(id) = by.asker {
        let found = state.store.run(Lane::LookUp, "read an API key", move |conn| api_keys::find(conn, id)).await?;
        found.map(ApiKey::from)
    } else {
        None
    };
    let rights = by.rights;
    Ok(web::Json(Me { key, scope: rights.scope, expires_at: rights.expires_at, instance_id: state.instance }))
}
