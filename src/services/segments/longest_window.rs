//! For how long events are needed.

use crate::domain::ids::SegmentId;
use crate::domain::segments::Criteria;
use crate::domain::segments::criteria::Clause;
use crate::store::{Conn, StoreError, segments};

/// The longest window over events that a segment asks for, in milliseconds; 0 where there is none. A clause without a window asks for
/// the events that are kept. `None`: a rule cannot be read, as one that a newer version wrote, and it is not known what it needs.
///
/// # Errors
/// A query failed, or what is stored is not readable.
pub fn longest_window(conn: &mut Conn) -> Result<Option<i64>, StoreError> {
    let all: Vec<SegmentId> = segments::all(conn)?.into_iter().map(|row| row.id).collect();
    let mut longest = 0;
    for stored in segments::criteria_of(conn, &all)?.values() {
        let criteria = stored.given().ok().and_then(|given| Criteria::read(given).ok());
        let Some(criteria) = criteria else { return Ok(None) };
        longest = criteria.clauses().filter_map(window).fold(longest, i64::max);
    }
    Ok(Some(longest))
}

fn window(clause: &Clause) -> Option<i64> {
    if let Clause::Event(clause) = clause { clause.within.map(|window| window.as_ms()) } else { None }
}
