//! `/v1/pools/{name}/check`: whether a pool's provider answers.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::state::AppState;
use crate::http::web::extract::{Hashed, Nothing, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::services::replicas::check_pool::check_pool;

/// One thing looked at.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CheckFinding)]
pub(in crate::http) struct Finding {
    /// `provider`; `attention`: why nothing goes through the pool at present, if nothing does.
    pub(in crate::http) subject: &'static str,
    pub(in crate::http) ok: bool,
    /// It works, and an operator should know more about it.
    pub(in crate::http) note: bool,
    /// One line for people, without secrets.
    pub(in crate::http) detail: String,
}

/// What a check of a pool has found.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PoolCheck {
    pub(in crate::http) pool: String,
    /// Whether nothing is wrong.
    pub(in crate::http) healthy: bool,
    pub(in crate::http) findings: Vec<Finding>,
    /// How long the provider took, in milliseconds.
    pub(in crate::http) took_ms: i64,
}

/// What to do where the provider does not answer as it should.
const ADVICE: &str =
    "check url, user, password, from and tls_ca_file of this pool, and that the network lets this machine through";

/// Connects to the provider of a pool of the instance that answers, and logs in as the settings say. No message is sent. It takes 15
/// seconds at most.
#[utoipa::path(post, path = "/v1/pools/{name}/check", tag = "operations", params(("name" = String, Path)),
    responses((status = 200, body = PoolCheck), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn check(
    state: web::Data<AppState>,
    name: web::Path<String>,
    _: Query<()>,
    by: By,
    _: Hashed<Nothing>,
) -> Result<web::Json<PoolCheck>, ApiError> {
    Ok(web::Json(checked(&state, &name, &by).await?))
}

/// Checks a pool.
pub(in crate::http) async fn checked(state: &AppState, name: &str, by: &By) -> Result<PoolCheck, ApiError> {
    let pool = state.settings.pools.iter().find(|pool| pool.name == name);
    let pool = pool.ok_or_else(|| ApiError::no_such("pool", name))?;
    let found = check_pool(&state.services, pool, by).await?;
    let provider = match found.result {
        Ok(detail) => Finding { subject: "provider", ok: true, note: false, detail },
        Err(reason) => Finding { subject: "provider", ok: false, note: false, detail: format!("{reason}; {ADVICE}") },
    };
    let attention = state.health.pools().remove(name).flatten();
    let attention = attention.map(|found| Finding { subject: "attention", ok: true, note: true, detail: found.detail });
    Ok(PoolCheck {
        pool: name.to_owned(),
        healthy: provider.ok,
        findings: std::iter::once(provider).chain(attention).collect(),
        took_ms: i64::try_from(found.took.as_millis()).unwrap_or(i64::MAX),
    })
}
