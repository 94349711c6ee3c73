//! For how long events are needed.

use crate::domain::ids::SegmentId;
use crate::domain::segments::Criteria;
use crate::domain::segments::criteria::Clause;
use crate::store::{Conn, StoreError, segments};

/// The longest window over events that a segment asks for, in milliseconds; 0 where there is none. A clause without a window asks for
/// the events that are kept.
///
/// # Errors
/// A query failed, or what is stored is not readable.
pub fn longest_window(conn: &mut Conn) -> Result<i64, StoreError> {
    let all: Vec<SegmentId> = segments::all(conn)?.into_iter().map(|row| row.id).collect();
    let criteria = segments::criteria_of(conn, &all)?.into_values().filter_map(|given| Criteria::read(given).ok());
    let longest = |criteria: Criteria| criteria.clauses().filter_map(window).max();
    Ok(criteria.filter_map(longest).max().unwrap_or(0))
}

fn window(clause: &Clause) -> Option<i64> {
    if let Clause::Event(clause) = clause { clause.within.map(|window| window.as_ms()) } else { None }
}
