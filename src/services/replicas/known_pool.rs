//! Which pools there are.

use crate::services::Services;
use crate::store::replicas::instances;
use crate::store::{Lane, StoreError};

/// Whether there is a pool of this name: it is configured here, or another live instance runs it.
pub(super) async fn is_known(services: &Services, name: &str) -> Result<bool, StoreError> {
    if services.settings.pools.iter().any(|pool| pool.name == name) {
        return Ok(true);
    }
    let live = services.store.run(Lane::Read, "list live instances", instances::live).await?;
    let runs =
        |pools: &str| serde_json::from_str::<Vec<String>>(pools).unwrap_or_default().iter().any(|pool| pool == name);
    Ok(live.iter().any(|instance| runs(&instance.pools)))
}
