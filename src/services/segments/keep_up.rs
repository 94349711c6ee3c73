//! Contacts that have changed, and those that are due, evaluated: a batch in each transaction.
//!
//! The order matters. The lock of the shard first: nobody else evaluates these contacts. Then the clock: nobody has written a later
//! instant. Then the touches are removed, by their ids, before anything is read of the contacts: what is committed later leaves a touch
//! that is still there. READ COMMITTED: each statement sees what was committed before it.

use super::evaluate::{Cause, Evaluated, Wanted, evaluate};
use super::live::{KnownCriteria, Live};
use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::domain::segments::standing::TransitionSource;
use crate::store::segments::queue::{self, Shard, Touch};
use crate::store::{Conn, StoreError, engine, segments};

/// What one transaction has taken to be evaluated. It holds the lock of the shard.
pub struct Taken {
    /// The shard.
    pub shard: Shard,
    /// The database's clock.
    pub now: UtcInstant,
    touches: Vec<Touch>,
    due: Vec<(ContactId, UtcInstant)>,
    limit: i64,
}

/// What a batch has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// The shard that it was of.
    pub shard: Shard,
    /// Touches that it took.
    pub touches: usize,
    /// Timers that it took.
    pub due: usize,
    /// Whether there may be more of its shard.
    pub more: bool,
    /// How long the oldest touch had waited, in milliseconds.
    pub waited_ms: Option<i64>,
    /// What was evaluated.
    pub evaluated: Evaluated,
}

impl Batch {
    /// Together with the batch that followed in the same transaction.
    pub(super) fn and(self, next: Self) -> Self {
        let mut evaluated = self.evaluated;
        evaluated += next.evaluated;
        Self {
            touches: self.touches + next.touches,
            due: self.due + next.due,
            waited_ms: self.waited_ms.max(next.waited_ms),
            evaluated,
            ..next
        }
    }
}

impl Taken {
    /// Takes up to `limit` touches, and as many timers, of a shard in which something waits and which nobody else has: the next one
    /// from `from` on.
    ///
    /// # Errors
    /// A query failed.
    pub fn take(conn: &mut Conn, from: Shard, limit: i64) -> Result<Option<Self>, StoreError> {
        let Some(shard) = queue::lock_one_with_work(conn, from)? else { return Ok(None) };
        let now = engine::now(conn)?;
        let touches = queue::take_touches(conn, shard, limit)?;
        let due = queue::take_due(conn, shard, now, limit)?;
        Ok(Some(Self { shard, now, touches, due, limit }))
    }

    /// Evaluates what was taken.
    ///
    /// # Errors
    /// A query failed.
    pub fn evaluate(self, conn: &mut Conn, known: &KnownCriteria) -> Result<Batch, StoreError> {
        let Self { shard, now, touches, due, limit } = self;
        let live = Live::read(conn, known)?;
        mark_readable(conn, &live)?;
        let mut wanted = Wanted::default();
        for touch in &touches {
            let concerned = live.concerned(&touch.topic);
            wanted.add(touch.contact, concerned.iter().copied(), TransitionSource::Change);
            wanted.deepen(touch.contact, &concerned, touch.depth);
        }
        for (contact, _) in &due {
            wanted.add(*contact, live.timed().iter().copied(), TransitionSource::Time);
        }
        let evaluated =
            if live.is_empty() { Evaluated::default() } else { evaluate(conn, &live, wanted, now, Cause::Live)? };
        let is_full = |count: usize| i64::try_from(count).is_ok_and(|count| count >= limit);
        Ok(Batch {
            shard,
            touches: touches.len(),
            due: due.len(),
            more: is_full(touches.len()) || is_full(due.len()),
            waited_ms: touches.iter().map(|touch| (now.0 - touch.at.0).max(0)).max(),
            evaluated,
        })
    }
}

/// Notes which segments can no longer be evaluated, and evaluates everybody anew for those that can be again.
pub(super) fn mark_readable(conn: &mut Conn, live: &Live) -> Result<(), StoreError> {
    for broken in &live.broken {
        tracing::error!(
            event = "segment.not_evaluated",
            segment.id = broken.segment.0,
            reason = broken.problem,
            "a segment cannot be evaluated and stays as it is; no other one is affected"
        );
        segments::note_problem(conn, broken.segment, broken.version, &broken.problem)?;
    }
    for segment in &live.readable_again {
        segments::restart(conn, *segment)?;
    }
    Ok(())
}

/// Evaluates a batch, where something waits. Belongs in a write transaction.
///
/// # Errors
/// A query failed, and nothing was taken.
pub fn keep_up(conn: &mut Conn, known: &KnownCriteria, from: Shard, limit: i64) -> Result<Option<Batch>, StoreError> {
    match Taken::take(conn, from, limit)? {
        Some(taken) => taken.evaluate(conn, known).map(Some),
        None => Ok(None),
    }
}
