//! What pages of pools, instances and paces show: read as it is now, for a page and for the pulse that keeps it so.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::api::access::audit_log::{self, AuditEntry};
use super::api::campaigns::pace::{self, CampaignPace};
use super::api::overview::Glance;
use super::api::replicas::instances::{self, Instance};
use super::api::replicas::pools::{self, Pool};
use super::api::replicas::receipt::{self, Receipt};
use super::state::AppState;
use super::web::problem::ApiError;
use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::Subject;

/// The pools of the instance that answers, and those that were ever suspended.
#[derive(Debug)]
pub(super) struct PoolsSeen {
    pub(super) at: UtcInstant,
    pub(super) pools: Vec<Pool>,
    /// Of pools that are suspended, the line of the audit log about it.
    pub(super) suspended: BTreeMap<String, AuditEntry>,
}

impl PoolsSeen {
    /// Looks at the pools.
    ///
    /// # Errors
    /// The database failed.
    pub(super) async fn read(state: &AppState) -> Result<Self, ApiError> {
        let (listed, at) = pools::listed(state).await?;
        let names: Vec<String> =
            listed.data.iter().filter(|pool| pool.suspended).map(|pool| pool.name.clone()).collect();
        let lines = if names.is_empty() {
            Vec::new()
        } else {
            audit_log::newest_of_each(state, Action::Suspended, Object::Pool, names).await?
        };
        let suspended = lines.into_iter().filter_map(|line| Some((line.object_id.clone()?, line))).collect();
        Ok(Self { at, pools: listed.data, suspended })
    }
}

/// What of this open pages show.
#[derive(Debug, Clone, Default)]
pub(super) struct MachineryWanted {
    /// All pools.
    pub(super) pools: bool,
    /// The pools whose receipts are shown.
    pub(super) receipts: Vec<Arc<str>>,
    /// The instances of the last day.
    pub(super) instances: bool,
    /// The campaigns whose paces are shown.
    pub(super) paces: Vec<CampaignId>,
}

impl MachineryWanted {
    /// Whether no page shows any of it.
    pub(super) fn is_nothing(&self) -> bool {
        !self.pools && self.receipts.is_empty() && !self.instances && self.paces.is_empty()
    }
}

/// What of this was seen.
#[derive(Debug, Default)]
pub(super) struct Machinery {
    pub(super) pools: Option<PoolsSeen>,
    /// By the pool, the receipt of the newest decision on it.
    pub(super) receipts: BTreeMap<Arc<str>, Receipt>,
    /// The instances of the last day, the newest first.
    pub(super) instances: Option<Vec<Instance>>,
    /// Campaigns that there are, and how fast each goes out.
    pub(super) paces: BTreeMap<CampaignId, (Glance, CampaignPace)>,
}

impl Machinery {
    /// Looks at what is wanted.
    ///
    /// # Errors
    /// The database failed.
    pub(super) async fn look(state: &AppState, wanted: MachineryWanted) -> Result<Self, ApiError> {
        let mut seen = Self::default();
        if wanted.pools {
            seen.pools = Some(PoolsSeen::read(state).await?);
        }
        for pool in wanted.receipts {
            let found = receipt::read(state, Subject::Pool(pool.to_string())).await?;
            seen.receipts.extend(found.map(|receipt| (pool, receipt)));
        }
        if wanted.instances {
            seen.instances = Some(instances::of_the_last_day(state).await?);
        }
        for id in wanted.paces {
            match pace::measured(state, id).await {
                Ok(found) => _ = seen.paces.insert(id, found),
                // It was deleted meanwhile.
                Err(error) if error.is_refusal() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(seen)
    }
}
