//! The work that keeps segments up to date, a transaction at a time. Every instance does it: the one that gets the lock of a shard goes on.

use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};

use super::build::{self, Next, Stretch};
use super::evaluate::Evaluated;
use super::keep_up::{Batch, keep_up};
use super::live::KnownCriteria;
use crate::store::segments::queue::{self, Shard};
use crate::store::segments::{self, building};
use crate::store::{Conn, Lane, MayBeStoreError, Store, StoreError};

/// How much one transaction does.
#[derive(Debug, Clone, Copy)]
struct Portion {
    /// How many touches, and how many timers, it takes at once.
    touches: i64,
    /// How many contacts it evaluates at once for one segment.
    build: i64,
    /// How many it evaluates at once for all segments.
    range: i64,
    /// How long it goes on with the next ones.
    within: Duration,
}

impl Portion {
    /// PostgreSQL: others write beside it.
    const MANY: Self = Self { touches: 500, build: queue::BLOCK, range: queue::BLOCK, within: Duration::ZERO };

    /// SQLite: nobody else writes meanwhile. So it takes little at once, of which even the most expensive contacts take but a few
    /// milliseconds, and goes on while its time lasts: in all, it holds the only writer for about 10 ms.
    const LITTLE: Self = Self { touches: 16, build: 128, range: 16, within: Duration::from_millis(6) };
}

/// Keeps segments up to date.
pub struct SegmentWorker {
    store: Store,
    known: KnownCriteria,
    from: Shard,
    portion: Portion,
}

/// A transaction whose work is not to be stored.
enum Undone {
    /// Somebody else has done it.
    Stale,
    /// The database failed.
    Store(StoreError),
}

impl From<StoreError> for Undone {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl MayBeStoreError for Undone {
    fn into_store_error(self) -> Result<StoreError, Self> {
        if let Self::Store(error) = self { Ok(error) } else { Err(self) }
    }
}

impl SegmentWorker {
    /// A worker on this database.
    #[must_use]
    pub fn new(store: Store, known: KnownCriteria) -> Self {
        let portion = if store.has_one_writer() { Portion::LITTLE } else { Portion::MANY };
        Self { store, known, from: Shard(0), portion }
    }

    /// Evaluates a batch of contacts that have changed or are due. `None`: nothing waits, or others are at it.
    ///
    /// # Errors
    /// The database failed, and nothing was taken.
    pub async fn keep_up(&mut self) -> Result<Option<Batch>, StoreError> {
        if !self.store.run(Lane::Read, "look for contacts that have changed", queue::is_any_waiting).await? {
            return Ok(None);
        }
        let (known, from, portion) = (self.known.clone(), self.from, self.portion);
        let work = move |conn: &mut Conn| {
            conn.write_along_indexes(|conn| {
                let (began, mut all) = (Instant::now(), None);
                while let Some(batch) = keep_up(conn, &known, from, portion.touches)? {
                    let batch = all.map_or(batch, |before: Batch| before.and(batch));
                    all = Some(batch);
                    if !batch.more || began.elapsed() >= portion.within {
                        break;
                    }
                }
                Ok(all)
            })
        };
        let Some(batch) = self.store.run(Lane::Segments, "evaluate contacts for segments", work).await? else {
            return Ok(None);
        };
        self.from = Shard(batch.shard.0.saturating_add(1) & 7);
        count(batch.evaluated);
        if let Some(waited) = batch.waited_ms {
            histogram!("volley_segment_wait_seconds").record(seconds(waited));
        }
        Ok(Some(batch))
    }

    /// Evaluates a stretch of contacts, where everybody is evaluated for a segment, or an import has filled a stretch. Whether there
    /// was one.
    ///
    /// # Errors
    /// The database failed, and nothing was stored.
    pub async fn build(&mut self) -> Result<bool, StoreError> {
        let next = self.store.run(Lane::Read, "look for segments to evaluate", build::next).await?;
        let Some(next) = next else { return Ok(false) };
        let (known, portion) = (self.known.clone(), self.portion);
        let work = move |conn: &mut Conn| {
            let evaluated = conn.write_along_indexes(|conn| {
                let (began, mut next, mut all) = (Instant::now(), next, Evaluated::default());
                loop {
                    let stretch = match next {
                        Next::Begin => building::begin(conn).map(|()| Stretch::Over)?,
                        Next::Sweep => segments::sweep(conn).map(|_| Stretch::Over)?,
                        Next::Build(at) => build::build(conn, &known, &at, portion.build)?,
                        Next::Range(at) => build::range(conn, &known, &at, portion.range)?,
                    };
                    match stretch {
                        Stretch::Done(evaluated) => all += evaluated,
                        Stretch::Over => return Ok(all),
                        // What was found is rolled back.
                        Stretch::Stale => return Err(Undone::Stale),
                    }
                    if began.elapsed() >= portion.within {
                        return Ok(all);
                    }
                    match build::next(conn)? {
                        Some(more @ (Next::Build(_) | Next::Range(_))) => next = more,
                        Some(Next::Begin | Next::Sweep) | None => return Ok(all),
                    }
                }
            });
            match evaluated {
                Ok(evaluated) => Ok(evaluated),
                Err(Undone::Stale) => Ok(Evaluated::default()),
                Err(Undone::Store(error)) => Err(error),
            }
        };
        count(self.store.run(Lane::Segments, "evaluate a stretch of contacts", work).await?);
        Ok(true)
    }

    /// Shows how much waits.
    ///
    /// # Errors
    /// The database failed.
    pub async fn show(&self) -> Result<(), StoreError> {
        let look = |conn: &mut Conn| {
            let now = crate::store::engine::now(conn)?;
            Ok((queue::waiting(conn, now)?, building::left(conn)?, segments::not_evaluated(conn)?, now))
        };
        let (waiting, left, not_evaluated, now) =
            self.store.run(Lane::Read, "count contacts that have changed", look).await?;
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a gauge is a float")]
        let float = |count: i64| count as f64;
        gauge!("volley_segment_touches").set(float(waiting.touches));
        gauge!("volley_segment_timers_due").set(float(waiting.due));
        gauge!("volley_segment_oldest_touch_seconds")
            .set(waiting.oldest.map_or(0.0, |oldest| seconds(now.0.saturating_sub(oldest.0))));
        gauge!("volley_segment_contacts_to_evaluate").set(float(left));
        gauge!("volley_segments_not_evaluated").set(float(not_evaluated));
        Ok(())
    }
}

fn seconds(ms: i64) -> f64 {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0)).as_secs_f64()
}

fn count(evaluated: Evaluated) {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    counter!("volley_segment_evaluations_total").increment(number(evaluated.answers));
    counter!("volley_segment_transitions_total").increment(number(evaluated.transitions));
    if evaluated.refused > 0 {
        counter!("volley_reactions_total", "result" => "refused").increment(number(evaluated.refused));
        tracing::warn!(
            event = "reactions.refused",
            count = evaluated.refused,
            "reactions of segments lead to one another in a chain that is too long; the next one is not done"
        );
    }
}
