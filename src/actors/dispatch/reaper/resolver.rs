//! The judgement on a lease that lost its owner: what became of its recipients, by the evidence there is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::channels::Channel;
use crate::config::pools::PoolConfig;
use crate::config::timing::Timing;
use crate::domain::dispatch::abandoned::{Evidence, Repeat};
use crate::domain::dispatch::fingerprint::relied_on_ms;
use crate::domain::dispatch::lease::Lease;
use crate::journal::JournalContents;
use crate::store::dispatch::lost_leases::{self, Ended, Judged, OwnerFate};
use crate::store::engine::fail_point::FailPoint;
use crate::store::replicas::instances::OpenLease;
use crate::store::{Lane, Store, StoreError};

/// What a lost lease is judged by.
#[derive(Clone)]
pub struct LeaseResolver {
    repeats: Arc<HashMap<String, Repeat>>,
}

impl LeaseResolver {
    /// From the configured pools and the channels that serve them.
    #[must_use]
    pub fn new(pools: &[PoolConfig], channels: &BTreeMap<String, Arc<dyn Channel>>, timing: &Timing) -> Self {
        let repeat = |pool: &PoolConfig| Some(repeat(pool, channels.get(&pool.name)?.call_timeout(), timing));
        let repeats = pools.iter().filter_map(|pool| Some((pool.name.clone(), repeat(pool)?))).collect();
        Self { repeats: Arc::new(repeats) }
    }

    fn of(&self, pool: &str) -> Repeat {
        // A pool that is configured no more: nobody can say that its provider honours keys.
        const UNKNOWN: Repeat = Repeat { key_valid_ms: None, on_the_wire_ms: 600_000, max_attempts: 1, provider: None };
        self.repeats.get(pool).copied().unwrap_or(UNKNOWN)
    }

    /// How long after its claim a call of this pool may still be under way. A page on which nothing moves for longer
    /// stands still.
    pub(super) fn on_the_wire(&self, pool: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.of(pool).on_the_wire_ms).unwrap_or(u64::MAX))
    }

    /// Ends a lease, by its owner's journal where there is one. `None`: somebody else has, or the page is no longer what was
    /// `judged`.
    ///
    /// # Errors
    /// The database does not answer; safe to repeat.
    pub(super) async fn end(
        &self,
        store: &Store,
        lease: &OpenLease,
        owner: OwnerFate,
        judged: Option<Judged>,
        journals: Option<Arc<JournalContents>>,
    ) -> Result<Option<Ended>, StoreError> {
        let repeat = self.of(&lease.pool);
        let journal_read = journals.is_some();
        let lease = Lease { campaign: lease.campaign, page: lease.page, token: lease.token };
        let ended = store
            .run(Lane::Control, "resolve a lost lease", move |conn| {
                let ended = conn.write(|conn| {
                    let evidence = |key| match &journals {
                        Some(journals) => journals.evidence(key),
                        None => Evidence::Ambiguous,
                    };
                    let ended = lost_leases::end_lease(conn, lease, owner, judged, repeat, &evidence)?;
                    FailPoint::EndLease.pass();
                    Ok(ended)
                });
                FailPoint::LeaseEnded.pass();
                ended
            })
            .await?;
        if let Some(ended) = ended {
            metrics::counter!("volley_leases_lost_total").increment(1);
            tracing::warn!(
                event = "lease.resolved",
                campaign.id = lease.campaign.0,
                page.id = lease.page.0,
                journal_read,
                given_back = ended.given_back,
                known = ended.known,
                uncertain = ended.uncertain,
                poison = ended.poison,
                "a lease was ended without its owner, and its deliveries were settled"
            );
        }
        Ok(ended)
    }
}

fn repeat(pool: &PoolConfig, call: Duration, timing: &Timing) -> Repeat {
    let on_the_wire = timing.on_the_wire(call);
    Repeat {
        key_valid_ms: pool.idempotent_for().and_then(relied_on_ms),
        on_the_wire_ms: i64::try_from(on_the_wire.as_millis()).unwrap_or(i64::MAX),
        max_attempts: i32::try_from(pool.retries().tries()).unwrap_or(i32::MAX),
        provider: Some(pool.fingerprint()),
    }
}
