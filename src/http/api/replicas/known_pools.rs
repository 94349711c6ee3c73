//! Which pools there are.

use crate::http::state::AppState;
use crate::http::web::problem::ApiError;
use crate::store::Lane;
use crate::store::replicas::instances;

/// A pool is known where it is configured, or where another live instance runs it.
pub(super) async fn known(state: &AppState, name: &str) -> Result<(), ApiError> {
    if state.settings.pools.iter().any(|pool| pool.name == name) {
        return Ok(());
    }
    let live = state.store.run(Lane::Read, "list live instances", instances::live).await?;
    let runs =
        |pools: &str| serde_json::from_str::<Vec<String>>(pools).unwrap_or_default().iter().any(|pool| pool == name);
    if live.iter().any(|instance| runs(&instance.pools)) { Ok(()) } else { Err(no_such("pool", name)) }
}

pub(super) fn no_such(what: &'static str, name: &str) -> ApiError {
    ApiError::NoSuch { what, name: name.to_owned() }
}
