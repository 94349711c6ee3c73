//! What has to be known of the segments that an audience asks.

use std::collections::BTreeSet;

use crate::domain::campaigns::audience::Audience;
use crate::domain::ids::SegmentId;
use crate::domain::segments::standing::SegmentState;
use crate::domain::shown::listed;
use crate::store::segments::{SegmentRow, names};
use crate::store::{Conn, StoreError};

/// Why it is not known who is a member of segments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembersNotKnown {
    /// These segments do not exist.
    #[error("these segments do not exist: {}", listed(.0))]
    Missing(Vec<i64>),
    /// Everybody is still being evaluated for these segments.
    #[error("everybody is still being evaluated for these segments, which takes seconds to minutes: {}", listed(.0))]
    Building(Vec<Building>),
    /// Who is a member of these segments will not be known without an operator: they cannot be evaluated, or were disabled before
    /// everybody was evaluated.
    #[error("these segments cannot be evaluated, or were disabled before everybody was evaluated: {}", listed(.0))]
    NotEvaluated(Vec<i64>),
}

/// A segment for which everybody is still being evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Building {
    /// Which segment.
    pub segment: SegmentId,
    /// How much of all contacts is evaluated, in thousandths.
    pub thousandths: u16,
}

impl std::fmt::Display for Building {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} % done)", self.segment, self.thousandths / 10)
    }
}

/// Looks whether it is known who is a member of the segments that an audience asks, and holds them as they are until the end of the
/// transaction.
///
/// # Errors
/// A query failed. The inner result: why it is not known.
pub(super) fn hold(conn: &mut Conn, audience: &Audience) -> Result<Result<(), MembersNotKnown>, StoreError> {
    let asked = audience.segments();
    if asked.is_empty() {
        return Ok(Ok(()));
    }
    let held = names::held(conn, &asked)?;
    Ok(are_known(&asked, &held))
}

/// Looks whether it is known now, and holds nothing.
///
/// # Errors
/// As [`hold`].
pub(super) fn look_now(conn: &mut Conn, audience: &Audience) -> Result<Result<(), MembersNotKnown>, StoreError> {
    let asked = audience.segments();
    if asked.is_empty() {
        return Ok(Ok(()));
    }
    Ok(are_known(&asked, &names::rows(conn, &asked)?))
}

/// Looks whether it is known, or will be known without an operator: a launch that is to come waits for that.
///
/// # Errors
/// As [`hold`].
pub(super) fn look(conn: &mut Conn, audience: &Audience) -> Result<Result<(), MembersNotKnown>, StoreError> {
    let asked = audience.segments();
    if asked.is_empty() {
        return Ok(Ok(()));
    }
    Ok(will_be_known(&asked, &names::rows(conn, &asked)?))
}

fn are_known(asked: &BTreeSet<SegmentId>, there: &[SegmentRow]) -> Result<(), MembersNotKnown> {
    will_be_known(asked, there)?;
    let building = |row: &SegmentRow| row.progress().map(|thousandths| Building { segment: row.id, thousandths });
    let building: Vec<Building> = there.iter().filter_map(building).collect();
    if building.is_empty() { Ok(()) } else { Err(MembersNotKnown::Building(building)) }
}

fn will_be_known(asked: &BTreeSet<SegmentId>, there: &[SegmentRow]) -> Result<(), MembersNotKnown> {
    let missing = asked - &there.iter().map(|row| row.id).collect();
    if !missing.is_empty() {
        return Err(MembersNotKnown::Missing(missing.into_iter().map(|id| id.0).collect()));
    }
    let is_asleep = |row: &SegmentRow| row.state == SegmentState::Building && !row.enabled;
    let never = there.iter().filter(|row| row.problem.is_some() || is_asleep(row));
    let never: Vec<i64> = never.map(|row| row.id.0).collect();
    if never.is_empty() { Ok(()) } else { Err(MembersNotKnown::NotEvaluated(never)) }
}
