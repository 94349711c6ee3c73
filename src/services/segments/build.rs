//! Stretches of contacts, evaluated one after the other: everybody for a segment whose rule is new or has changed, and stretches that an
//! import has filled.

use super::evaluate::{Cause, Evaluated, Wanted, evaluate};
use super::keep_up::mark_readable;
use super::live::{KnownCriteria, Live};
use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::domain::segments::standing::TransitionSource;
use crate::store::segments::building::{self, Build};
use crate::store::segments::queue::{self, BLOCK, Shard};
use crate::store::segments::ranges::{self, Range};
use crate::store::{Conn, StoreError, engine, segments};

/// The most answers that one transaction finds for a stretch of all segments: how long it takes does not grow with their number.
const MOST_ANSWERS: i64 = 500_000;

/// How many contacts are known at the same time: what is known of one takes some 10 KB while it is evaluated.
const IN_MEMORY: usize = 2_048;

/// What is to be evaluated next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// An evaluation of everybody that has not begun: [`building::begin`].
    Begin,
    /// A stretch for one segment.
    Build(Build),
    /// A stretch for all segments.
    Range(Range),
    /// What deleted segments have left: [`segments::sweep`].
    Sweep,
}

/// Looks for what is to be evaluated next.
///
/// # Errors
/// A query failed.
pub fn next(conn: &mut Conn) -> Result<Option<Next>, StoreError> {
    let under_way = building::under_way(conn)?;
    if under_way.iter().any(|build| build.last.is_none()) {
        return Ok(Some(Next::Begin));
    }
    if let Some(range) = ranges::oldest(conn)? {
        return Ok(Some(Next::Range(range)));
    }
    if let Some(build) = under_way.into_iter().next() {
        return Ok(Some(Next::Build(build)));
    }
    Ok(segments::is_any_deleted(conn)?.then_some(Next::Sweep))
}

/// What became of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// It is evaluated.
    Done(Evaluated),
    /// Somebody else has done it, or the segment has changed: nothing is to be stored.
    Stale,
    /// The segment is not evaluated any more.
    Over,
}

/// Evaluates the next stretch for one segment: at most so many contacts, all of one shard. Belongs in a write transaction, which is to
/// be rolled back where it is stale.
///
/// # Errors
/// A query failed.
pub fn build(conn: &mut Conn, known: &KnownCriteria, build: &Build, limit: i64) -> Result<Stretch, StoreError> {
    let Some(last) = build.last else { return Ok(Stretch::Stale) };
    let (now, live) = begin(conn, known, build.cursor)?;
    let Some(rank) = live.rank_of(build.segment) else { return Ok(Stretch::Over) };
    // Another instance has evaluated it, while this one waited for the lock.
    if !live.get(rank).is_some_and(|segment| build.is_of(&segment.row)) {
        return Ok(Stretch::Stale);
    }
    let (contacts, to) = contacts(conn, (build.cursor, last), limit)?;
    let mut evaluated = Evaluated::default();
    for known in contacts.chunks(IN_MEMORY) {
        let mut wanted = Wanted::default();
        for contact in known {
            wanted.add(*contact, [rank], TransitionSource::Evaluation);
        }
        evaluated += evaluate(conn, &live, wanted, now, Cause::Everybody(build.segment))?;
    }
    Ok(if building::advance(conn, build, to)? { Stretch::Done(evaluated) } else { Stretch::Stale })
}

/// Evaluates the next stretch for all segments, as [`build`] does for one.
///
/// # Errors
/// A query failed.
pub fn range(conn: &mut Conn, known: &KnownCriteria, range: &Range, limit: i64) -> Result<Stretch, StoreError> {
    let (now, live) = begin(conn, known, range.cursor)?;
    if !ranges::is_at(conn, range)? {
        return Ok(Stretch::Stale);
    }
    let segments = i64::try_from(live.all().count()).unwrap_or(i64::MAX).max(1);
    let (contacts, to) = contacts(conn, (range.cursor, range.last), limit.min((MOST_ANSWERS / segments).max(1)))?;
    let mut evaluated = Evaluated::default();
    for known in contacts.chunks(IN_MEMORY) {
        let mut wanted = Wanted::default();
        for contact in known {
            wanted.add(*contact, live.all(), TransitionSource::Change);
        }
        evaluated += evaluate(conn, &live, wanted, now, Cause::Stretch)?;
    }
    Ok(if ranges::advance(conn, range, to)? { Stretch::Done(evaluated) } else { Stretch::Stale })
}

/// Locks the shard of the contact behind this one, and then reads the clock and the segments.
fn begin(conn: &mut Conn, known: &KnownCriteria, after: ContactId) -> Result<(UtcInstant, Live), StoreError> {
    let shard = Shard::of(conn, ContactId(after.0.saturating_add(1)));
    queue::lock(conn, shard)?;
    let now = engine::now(conn)?;
    let live = Live::read(conn, known)?;
    mark_readable(conn, &live)?;
    Ok((now, live))
}

/// At most so many contacts behind one, of those up to the last and in the same block; and up to which contact that is.
fn contacts(
    conn: &mut Conn,
    (after, last): (ContactId, ContactId),
    limit: i64,
) -> Result<(Vec<ContactId>, ContactId), StoreError> {
    let first = after.0.saturating_add(1);
    let end = ContactId((first | (BLOCK - 1)).min(last.0).max(after.0));
    let contacts = building::stretch(conn, after, end, limit)?;
    let is_cut = i64::try_from(contacts.len()).is_ok_and(|count| count >= limit);
    let to = contacts.last().copied().filter(|_| is_cut).unwrap_or(end);
    Ok((contacts, to))
}
