//! What an instance does from time to time beside its main job: measurements are condensed, keys of links read, figures folded, and old rows
//! removed.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;

use crate::config::Settings;
use crate::services::callbacks::prune_callbacks::prune_callbacks;
use crate::services::campaigns::archive::Archivist;
use crate::services::events::prune_events::prune_events;
use crate::services::import::prune_rejections::prune_rejections;
use crate::services::people::links::Links;
use crate::services::people::prune_attributes::prune_attributes;
use crate::services::people::prune_unconfirmed::prune_unconfirmed;
use crate::services::reactions::call_desk::CallDesk;
use crate::services::reactions::change_desk::ChangeDesk;
use crate::services::reactions::prune_reactions::prune_reactions;
use crate::services::replicas::prune_replicas::prune_replicas;
use crate::services::segments::worker::SegmentWorker;
use crate::store::access::{audit_log, sessions};
use crate::store::{Lane, Store, StoreError, deliverability};

/// How often measurements are condensed.
const CONDENSE_EVERY: Duration = Duration::from_secs(1);

/// How often the keys of links are read again.
const KNOW_KEYS_EVERY: Duration = Duration::from_secs(15);

/// How often what became of messages is folded into the figures.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// The same while there is more to be folded.
const FOLD_PAUSE: Duration = Duration::from_millis(50);

/// How often contacts that have changed are looked for, where there were none.
const LOOK_FOR_CHANGES_EVERY: Duration = Duration::from_millis(200);

/// How often rules that are new are looked for, where there were none.
const LOOK_FOR_RULES_EVERY: Duration = Duration::from_millis(200);

/// How often it is counted what waits for segments.
const COUNT_WAITING_EVERY: Duration = Duration::from_secs(5);

/// How often it is looked for reactions of segments and for events of campaigns, where there was nothing.
const LOOK_FOR_REACTIONS_EVERY: Duration = Duration::from_millis(200);

/// How often an instance says which targets it has.
const LOOK_AT_TARGETS_EVERY: Duration = Duration::from_secs(60);

/// How often old rows are removed.
const TIDY_EVERY: Duration = Duration::from_secs(3_600);

/// All contacts are looked at for their attributes once in so many rounds: once a day.
const LOOK_AT_ATTRIBUTES_EVERY: u32 = 24;

/// How often it is looked for campaigns whose deliveries are to be archived.
const ARCHIVE_EVERY: Duration = Duration::from_secs(3_600);

/// Turns single measurements into buckets and quantiles. Until then each takes room, and where nobody asks for `/metrics`
/// nothing else would do it.
pub(super) async fn condense(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(CONDENSE_EVERY).await;
        metrics.run_upkeep();
    }
}

/// Takes in keys that another instance, or the command line, has created: a link can then be opened although the database is
/// away. A failure costs one round.
pub(super) async fn know_keys(links: Links) {
    loop {
        tokio::time::sleep(KNOW_KEYS_EVERY).await;
        if let Err(error) = links.refresh().await {
            tracing::debug!(event = "links.unread", error = %error, "the keys of links cannot be read; it is tried again");
        }
    }
}

/// Folds what became of messages into the figures that people read. A failure costs one round.
pub(super) async fn fold_deliverability(store: Store) {
    let mut failing = false;
    loop {
        let folded = store.transact::<_, StoreError>(Lane::Write, "fold deliverability", deliverability::fold).await;
        if let Err(error) = &folded
            && !failing
        {
            tracing::warn!(event = "deliverability.unfolded", error = %error, "what became of messages is not in the figures yet; it is tried again");
        }
        failing = folded.is_err();
        // Others that write come in between, also where there is more.
        tokio::time::sleep(if matches!(folded, Ok(true)) { FOLD_PAUSE } else { FOLD_EVERY }).await;
    }
}

/// Evaluates contacts that have changed, or are due, for segments. A failure costs one round.
pub(super) async fn keep_segments(mut worker: SegmentWorker) {
    let (mut failing, mut counted) = (false, tokio::time::Instant::now());
    loop {
        let kept = worker.keep_up().await;
        if let Err(error) = &kept
            && !failing
        {
            tracing::warn!(event = "segments.behind", error = %error, "segments cannot be kept up to date now; it is tried again");
        }
        failing = kept.is_err();
        if counted.elapsed() > COUNT_WAITING_EVERY {
            counted = tokio::time::Instant::now();
            // The metrics stay as they were.
            let _ = worker.show().await;
        }
        if !matches!(kept, Ok(Some(_))) {
            tokio::time::sleep(LOOK_FOR_CHANGES_EVERY).await;
        }
    }
}

/// Evaluates everybody for segments whose rules are new. A failure costs one round.
pub(super) async fn build_segments(mut worker: SegmentWorker) {
    let mut failing = false;
    loop {
        let built = worker.build().await;
        if let Err(error) = &built
            && !failing
        {
            tracing::warn!(event = "segments.unbuilt", error = %error, "contacts cannot be evaluated for a new rule now; it is tried again");
        }
        failing = built.is_err();
        if !matches!(built, Ok(true)) {
            tokio::time::sleep(LOOK_FOR_RULES_EVERY).await;
        }
    }
}

/// Does reactions of segments, and tells of campaigns. A failure costs one round.
pub(super) async fn do_reactions(mut desk: ChangeDesk) {
    let (mut failing, mut counted) = (false, tokio::time::Instant::now());
    loop {
        let worked = desk.work().await;
        if let Err(error) = &worked
            && !failing
        {
            tracing::warn!(event = "reactions.behind", error = %error, "reactions of segments cannot be done now; they are tried again");
        }
        failing = worked.is_err();
        if counted.elapsed() > COUNT_WAITING_EVERY {
            counted = tokio::time::Instant::now();
            // The metrics stay as they were.
            let _ = desk.show().await;
        }
        if !matches!(worked, Ok(true)) {
            tokio::time::sleep(LOOK_FOR_REACTIONS_EVERY).await;
        }
    }
}

/// Calls targets. A failure costs one round.
pub(super) async fn call_targets(mut desk: CallDesk) {
    let (mut failing, mut looked) = (false, None::<tokio::time::Instant>);
    loop {
        if looked.is_none_or(|looked| looked.elapsed() > LOOK_AT_TARGETS_EVERY) {
            looked = Some(tokio::time::Instant::now());
            // If that fails, the next time is soon enough.
            let _ = desk.look_at_targets().await;
        }
        let begun = desk.begin().await;
        if let Err(error) = &begun
            && !failing
        {
            tracing::warn!(event = "reactions.uncalled", error = %error, "targets cannot be called now; it is tried again");
        }
        failing = begun.is_err();
        // A call that has ended makes room for another one.
        let _ = tokio::time::timeout(LOOK_FOR_REACTIONS_EVERY, desk.ended()).await;
    }
}

/// Archives deliveries of campaigns that ended long ago, now and every hour. A failure costs one round.
pub(super) async fn archive_deliveries(archivist: Archivist) {
    loop {
        if let Err(error) = archivist.round().await {
            tracing::debug!(
                event = "campaigns.archive_unread",
                error = %error,
                "it cannot be looked for campaigns to archive; it is tried again in an hour"
            );
        }
        tokio::time::sleep(ARCHIVE_EVERY).await;
    }
}

/// Removes what goes in many small transactions.
async fn prune_more(store: &Store, settings: &Settings) -> Result<(), StoreError> {
    prune_replicas(store).await?;
    prune_unconfirmed(store, settings.consent.unconfirmed_keep_days).await?;
    prune_events(store, settings.events.keep_days).await?;
    prune_rejections(store).await?;
    prune_reactions(store, settings.reactions.keep_days).await?;
    prune_callbacks(store, settings.callbacks.keep_days).await
}

/// Removes rows that nobody asks for any more, now and every hour.
pub(super) async fn tidy(store: Store, settings: Arc<Settings>) {
    let keep_audit_days = settings.audit.keep_days;
    let work = move |conn: &mut crate::store::Conn| {
        audit_log::prune(conn, keep_audit_days)?;
        sessions::prune(conn)?;
        deliverability::prune(conn)
    };
    let mut round: u32 = 0;
    loop {
        let mut tidied = match store.run(Lane::Write, "remove old rows", work).await {
            Ok(_) => prune_more(&store, &settings).await,
            Err(error) => Err(error),
        };
        if tidied.is_ok() && round.is_multiple_of(LOOK_AT_ATTRIBUTES_EVERY) {
            tidied = prune_attributes(&store).await.map(drop);
        }
        round = round.wrapping_add(1);
        if let Err(error) = tidied {
            tracing::debug!(
                event = "database.tidy_failed",
                error = %error,
                "old rows cannot be removed; it is tried again in an hour"
            );
        }
        tokio::time::sleep(TIDY_EVERY).await;
    }
}
