//! `/v1/settings`: what is in force on the instance that answers, and what set it.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::origins::InForce;
use crate::domain::ids::InstanceId;
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;

/// A setting in force.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Setting {
    /// `http.addr`, `pools[0].url`.
    pub(in crate::http) key: String,
    /// Its value. Secrets are `***`; of addresses, user, password and query are hidden.
    pub(in crate::http) value: serde_json::Value,
    /// The file, the variable or the flag that set it.
    pub(in crate::http) set_by: String,
}

/// The settings of an instance.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct SettingsInForce {
    /// The instance that answers: each has its own.
    pub(in crate::http) instance_id: InstanceId,
    /// Every setting that has a value.
    pub(in crate::http) data: Vec<Setting>,
}

/// The settings in force on the instance that answers, as `volley config` prints them, each with what set it.
#[utoipa::path(get, path = "/v1/settings", tag = "operations", responses((status = 200, body = SettingsInForce)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    _: Query<()>,
) -> Result<web::Json<SettingsInForce>, ApiError> {
    Ok(web::Json(read(&state)?))
}

/// The settings in force.
pub(in crate::http) fn read(state: &AppState) -> Result<SettingsInForce, ApiError> {
    let unprintable =
        |source: Box<dyn std::error::Error + Send + Sync>| ApiError::Unexpected { action: "list the settings", source };
    let all = state.settings.in_force().map_err(|error| unprintable(Box::new(error)))?;
    let one = |InForce { key, value, set_by }| {
        Ok(Setting { key, value: serde_json::to_value(value).map_err(|error| unprintable(Box::new(error)))?, set_by })
    };
    Ok(SettingsInForce {
        instance_id: state.instance,
        data: all.into_iter().map(one).collect::<Result<_, ApiError>>()?,
    })
}
