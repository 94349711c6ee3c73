//! Stretches of contacts, evaluated one after the other: everybody for a segment whose rule is new or has changed, and stretches that an
//! import has filled.

use super::evaluate::{Cause, Evaluated, Wanted, evaluate};
use super::keep_up::mark_readable;
use super::live::{KnownCriteria, Live};
use crate::domain::ids::{ContactId, SegmentId};
use crate::domain::segments::standing::TransitionSource;
use crate::store::segments::building::{self, Build};
use crate::store::segments::queue::{self, BLOCK, Shard};
use crate::store::segments::ranges::{self, Range};
use crate::store::{Conn, StoreError, engine, segments};

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
    let done = stretch(conn, known, (build.cursor, last), Some(build.segment), limit)?;
    let Some((evaluated, to)) = done else { return Ok(Stretch::Over) };
    Ok(if building::advance(conn, build, to)? { Stretch::Done(evaluated) } else { Stretch::Stale })
}

/// Evaluates the next stretch for all segments, as [`build`] does for one.
///
/// # Errors
/// A query failed.
pub fn range(conn: &mut Conn, known: &KnownCriteria, range: &Range, limit: i64) -> Result<Stretch, StoreError> {
    let done = stretch(conn, known, (range.cursor, range.last), None, limit)?;
    let Some((evaluated, to)) = done else { return Ok(Stretch::Over) };
    Ok(if ranges::advance(conn, range, to)? { Stretch::Done(evaluated) } else { Stretch::Stale })
}

/// Evaluates contacts behind one, up to the end of their block; and up to which one. `None`: the segment is not evaluated any more.
fn stretch(
    conn: &mut Conn,
    known: &KnownCriteria,
    (after, last): (ContactId, ContactId),
    segment: Option<SegmentId>,
    limit: i64,
) -> Result<Option<(Evaluated, ContactId)>, StoreError> {
    let first = ContactId(after.0.saturating_add(1));
    let end = ContactId((first.0 | (BLOCK - 1)).min(last.0).max(after.0));
    let shard = Shard::of(conn, first);
    queue::lock(conn, shard)?;
    let now = engine::now(conn)?;
    let live = Live::read(conn, known)?;
    mark_readable(conn, &live)?;
    let rank = segment.and_then(|segment| live.rank_of(segment));
    if segment.is_some() && rank.is_none() {
        return Ok(None);
    }
    let contacts = building::stretch(conn, after, end, limit)?;
    let is_cut = i64::try_from(contacts.len()).is_ok_and(|count| count >= limit);
    let to = contacts.last().copied().filter(|_| is_cut).unwrap_or(end);
    let mut wanted = Wanted::default();
    let (ranks, source, cause) = match segment {
        Some(segment) => (rank.into_iter().collect(), TransitionSource::Evaluation, Cause::Everybody(segment)),
        None => (live.all().collect::<Vec<_>>(), TransitionSource::Change, Cause::Live),
    };
    for contact in contacts {
        wanted.add(contact, ranks.iter().copied(), source);
    }
    Ok(Some((evaluate(conn, &live, wanted, now, cause)?, to)))
}
