//! Who entered a segment, left it, or is still there: each once. What follows from it reads these rows.

use diesel::prelude::*;

use super::dialect;
use crate::domain::ids::{ContactId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::segments::standing::TransitionSource;
use crate::domain::segments::stay::{LeaveReason, TransitionKind};
use crate::store::engine::dialect::conn::MultiBackend;
use crate::store::engine::schema::segment_transitions;
use crate::store::{Conn, StoreError};

/// A transition.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = segment_transitions)]
pub struct TransitionRow {
    /// Which segment.
    pub segment_id: SegmentId,
    /// Which contact.
    pub contact_id: ContactId,
    /// Which of its stays.
    pub epoch: i64,
    /// What happened.
    pub kind: TransitionKind,
    /// Which one of several of this kind.
    pub ordinal: i64,
    /// When.
    pub at: UtcInstant,
    /// How it was found.
    pub source: TransitionSource,
    /// Why, of one who left.
    pub reason: Option<LeaveReason>,
    /// Which time of the stay has come, as in `after 7d`.
    pub mark: Option<String>,
    /// How often it has.
    pub mark_count: Option<i64>,
    /// Whether anything follows from it.
    pub emit: bool,
    /// How many reactions led to it, one after the other.
    pub depth: i32,
}

/// Adds transitions.
///
/// # Errors
/// The query failed. A unique violation: one of them is there already.
pub fn note(conn: &mut Conn, rows: &[TransitionRow]) -> Result<(), StoreError> {
    if rows.is_empty() { Ok(()) } else { dialect::members::note(conn, rows) }
}

/// Behind which transition a list goes on: its instant, contact, stay, kind and ordinal.
pub type Key = (i64, i64, i64, String, i64);

/// The key of a transition.
#[must_use]
pub fn key(row: &TransitionRow) -> Key {
    (row.at.0, row.contact_id.0, row.epoch, row.kind.as_str().to_owned(), row.ordinal)
}

/// The transitions of a segment behind a key, the newest first.
///
/// # Errors
/// The query failed.
pub fn list(
    conn: &mut Conn,
    segment: SegmentId,
    kind: Option<TransitionKind>,
    after: Option<&Key>,
    limit: i64,
) -> Result<Vec<TransitionRow>, StoreError> {
    use segment_transitions as t;
    let mut query = t::table
        .filter(t::segment_id.eq(segment))
        .order((t::at.desc(), t::contact_id.desc(), t::epoch.desc(), t::kind.desc(), t::ordinal.desc()))
        .limit(limit)
        .select(TransitionRow::as_select())
        .into_boxed::<MultiBackend>();
    if let Some(kind) = kind {
        query = query.filter(t::kind.eq(kind));
    }
    if let Some((at, contact, epoch, kind, ordinal)) = after {
        let ordinal = t::kind.eq(kind.clone()).and(t::ordinal.lt(*ordinal));
        let kind = t::epoch.eq(*epoch).and(t::kind.lt(kind.clone()).or(ordinal));
        let epoch = t::contact_id.eq(*contact).and(t::epoch.lt(*epoch).or(kind));
        let contact = t::at.eq(*at).and(t::contact_id.lt(*contact).or(epoch));
        // The first part is for the index.
        query = query.filter(t::at.le(*at)).filter(t::at.lt(*at).or(contact));
    }
    query.load(conn).map_err(StoreError::query("list the transitions of a segment"))
}
