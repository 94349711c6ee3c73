//! Segments that are made of other segments: in which order they are decided.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ids::SegmentId;

/// The segments in such an order that each comes after those that its criteria ask for. Segments that are asked for and not given
/// do not count.
///
/// # Errors
/// [`Circle`]: some ask for each other.
pub fn ordered(asks: &BTreeMap<SegmentId, BTreeSet<SegmentId>>) -> Result<Vec<SegmentId>, Circle> {
    let mut order = Vec::with_capacity(asks.len());
    let mut open: BTreeMap<SegmentId, BTreeSet<SegmentId>> = asks
        .iter()
        .map(|(id, asked)| (*id, asked.iter().filter(|other| asks.contains_key(other)).copied().collect()))
        .collect();
    while !open.is_empty() {
        let free: Vec<SegmentId> = open.iter().filter(|(_, asked)| asked.is_empty()).map(|(id, _)| *id).collect();
        if free.is_empty() {
            return Err(Circle(open.into_keys().collect()));
        }
        open.retain(|id, _| !free.contains(id));
        for asked in open.values_mut() {
            asked.retain(|id| !free.contains(id));
        }
        order.extend(free);
    }
    Ok(order)
}

/// Segments that ask for each other, and those that ask for one of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("segments ask for each other: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
pub struct Circle(pub Vec<SegmentId>);

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(pairs: &[(i64, &[i64])]) -> BTreeMap<SegmentId, BTreeSet<SegmentId>> {
        pairs.iter().map(|(id, asked)| (SegmentId(*id), asked.iter().copied().map(SegmentId).collect())).collect()
    }

    #[test]
    fn a_segment_comes_after_those_that_it_asks_for() {
        let order = ordered(&asks(&[(1, &[3, 9]), (2, &[]), (3, &[2])])).unwrap();
        assert_eq!(order, [2, 3, 1].map(SegmentId), "9 is not given");
    }

    #[test]
    fn a_circle_is_named() {
        let circle = ordered(&asks(&[(1, &[2]), (2, &[1]), (3, &[])])).unwrap_err();
        assert_eq!(circle.to_string(), "segments ask for each other: 1, 2");
        assert!(ordered(&asks(&[(1, &[1])])).is_err());
    }
}
