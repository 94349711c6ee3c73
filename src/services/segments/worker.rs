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

/// How many touches, and how many timers, one transaction takes at most.
const AT_ONCE: i64 = 500;

/// How many contacts one transaction of a stretch evaluates at most.
const IN_A_STRETCH: i64 = queue::BLOCK;

/// How long one transaction is to hold SQLite's only writer.
const HOLDS_WRITER_FOR: Duration = Duration::from_millis(8);

/// With how many contacts a transaction on SQLite begins, before it is known how long they take.
const FIRST_PORTION: i64 = 16;

/// How many contacts one transaction takes. On SQLite, as many as can be evaluated while nobody else waits for long.
#[derive(Debug, Clone, Copy)]
struct Portion {
    size: i64,
    most: i64,
    within: Option<Duration>,
}

impl Portion {
    const fn of(store_has_one_writer: bool, most: i64) -> Self {
        if store_has_one_writer {
            Self { size: FIRST_PORTION, most, within: Some(HOLDS_WRITER_FOR) }
        } else {
            Self { size: most, most, within: None }
        }
    }

    /// Learns from a transaction with so many contacts.
    fn learn(&mut self, contacts: usize, took: Duration) {
        let Some(within) = self.within else { return };
        let contacts = i64::try_from(contacts).unwrap_or(i64::MAX);
        let us = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX).max(1);
        let fits = contacts.saturating_mul(us(within)) / us(took);
        if took > within {
            self.size = fits.clamp(1, self.size);
        } else if contacts >= self.size {
            self.size = fits.clamp(self.size, self.size.saturating_mul(2)).min(self.most);
        }
    }
}

/// Keeps segments up to date.
pub struct SegmentWorker {
    store: Store,
    known: KnownCriteria,
    from: Shard,
    batch: Portion,
    stretch: Portion,
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
        let one = store.has_one_writer();
        let (batch, stretch) = (Portion::of(one, AT_ONCE), Portion::of(one, IN_A_STRETCH));
        Self { store, known, from: Shard(0), batch, stretch }
    }

    /// Evaluates a batch of contacts that have changed or are due. `None`: nothing waits, or others are at it.
    ///
    /// # Errors
    /// The database failed, and nothing was taken.
    pub async fn keep_up(&mut self) -> Result<Option<Batch>, StoreError> {
        if !self.store.run(Lane::Read, "look for contacts that have changed", queue::is_any_waiting).await? {
            return Ok(None);
        }
        let (known, from, size) = (self.known.clone(), self.from, self.batch.size);
        let work = move |conn: &mut Conn| {
            let began = Instant::now();
            let batch = conn.write_along_indexes(|conn| keep_up(conn, &known, from, size))?;
            Ok(batch.map(|batch| (batch, began.elapsed())))
        };
        let Some((batch, took)) = self.store.run(Lane::Segments, "evaluate contacts for segments", work).await? else {
            return Ok(None);
        };
        self.batch.learn(batch.touches.max(batch.due), took);
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
        let (known, size) = (self.known.clone(), self.stretch.size);
        let work = move |conn: &mut Conn| {
            let began = Instant::now();
            let stretch = conn.write_along_indexes(|conn| {
                let stretch = match next {
                    Next::Begin => building::begin(conn).map(|()| Stretch::Over)?,
                    Next::Sweep => segments::sweep(conn).map(|_| Stretch::Over)?,
                    Next::Build(at) => build::build(conn, &known, &at, size)?,
                    Next::Range(at) => build::range(conn, &known, &at, size)?,
                };
                // What was found is rolled back.
                if stretch == Stretch::Stale { Err(Undone::Stale) } else { Ok(stretch) }
            });
            match stretch {
                Ok(Stretch::Done(evaluated)) => Ok(Some((evaluated, began.elapsed()))),
                Ok(Stretch::Over | Stretch::Stale) | Err(Undone::Stale) => Ok(None),
                Err(Undone::Store(error)) => Err(error),
            }
        };
        if let Some((evaluated, took)) = self.store.run(Lane::Segments, "evaluate a stretch of contacts", work).await? {
            self.stretch.learn(evaluated.contacts, took);
            count(evaluated);
        }
        Ok(true)
    }

    /// Shows how much waits.
    ///
    /// # Errors
    /// The database failed.
    pub async fn show(&self) -> Result<(), StoreError> {
        let look =
            |conn: &mut Conn| Ok((queue::waiting(conn)?, building::left(conn)?, crate::store::engine::now(conn)?));
        let (waiting, left, now) = self.store.run(Lane::Read, "count contacts that have changed", look).await?;
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a gauge is a float")]
        let float = |count: i64| count as f64;
        gauge!("volley_segment_touches").set(float(waiting.touches));
        gauge!("volley_segment_timers_due").set(float(waiting.due));
        gauge!("volley_segment_oldest_touch_seconds")
            .set(waiting.oldest.map_or(0.0, |oldest| seconds(now.0.saturating_sub(oldest.0))));
        gauge!("volley_segment_contacts_to_evaluate").set(float(left));
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_shrinks_at_once_and_grows_step_by_step() {
        let mut portion = Portion::of(true, AT_ONCE);
        portion.learn(16, Duration::from_millis(1));
        assert_eq!(portion.size, 32, "at most twice as many");
        portion.learn(5, Duration::from_millis(1));
        assert_eq!(portion.size, 32, "few contacts tell nothing of many");
        portion.learn(32, Duration::from_millis(16));
        assert_eq!(portion.size, 16);
        portion.learn(16, Duration::from_secs(9));
        assert_eq!(portion.size, 1);
        for _ in 0..20 {
            portion.learn(usize::try_from(portion.size).unwrap(), Duration::from_micros(10));
        }
        assert_eq!(portion.size, AT_ONCE);
        let mut pg = Portion::of(false, AT_ONCE);
        pg.learn(500, Duration::from_secs(9));
        assert_eq!(pg.size, AT_ONCE);
    }
}
