//! What is open, for the metrics. Counted apart from everything that keeps promises: a count that fails or takes long costs a
//! gauge its freshness and nothing else.

use std::time::Duration;

use crate::store::dispatch::open_work;
use crate::store::{Lane, Store, StoreError};

/// How often it is counted: each open page is looked at, on every instance.
const EVERY: Duration = Duration::from_secs(5);

/// Counts for as long as the process lives, for these pools.
pub async fn show(store: Store, pools: Vec<String>) {
    loop {
        if let Err(error) = count(&store, &pools).await {
            tracing::debug!(
                event = "metrics.open_work_failed",
                error = %error,
                "the open work cannot be counted for the metrics"
            );
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn count(store: &Store, pools: &[String]) -> Result<(), StoreError> {
    let open = store.run(Lane::Read, "count open work", open_work::count).await?;
    let figure = |n: i64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    for (state, pages) in [("ready", open.ready_pages), ("leased", open.leased_pages), ("done", open.done_pages)] {
        metrics::gauge!("volley_pages", "state" => state).set(figure(pages));
    }
    for pool in pools {
        // A pool with nothing to do has no row.
        let due = open.due.iter().find(|(name, _)| name == pool).map_or(0, |(_, due)| *due);
        metrics::gauge!("volley_due_recipients", "pool" => pool.clone()).set(figure(due));
    }
    Ok(())
}
