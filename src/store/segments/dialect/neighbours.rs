//! Contacts that lie close together, as those do of whom everybody is evaluated.

use crate::domain::ids::ContactId;

/// So few are looked up one by one.
const FEW: usize = 64;

/// The first and the last of contacts between which there is hardly another one. To walk an index from one to the other costs a tenth of
/// looking up each.
pub(in crate::store::segments) fn stretch(ids: &[ContactId]) -> Option<(ContactId, ContactId)> {
    let (first, last) = (*ids.iter().min()?, *ids.iter().max()?);
    // At most a quarter more.
    let most = i64::try_from(ids.len() + ids.len() / 4).ok()?;
    (ids.len() > FEW && last.0 - first.0 < most).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_with_few_others_between_them_are_a_stretch() {
        let every = |step: usize| (1..=800).step_by(step).map(ContactId).collect::<Vec<_>>();
        assert_eq!(stretch(&every(1)), Some((ContactId(1), ContactId(800))));
        assert_eq!(stretch(&every(2)), None);
        let mut with_gaps = every(1);
        with_gaps.retain(|id| id.0 % 10 != 5);
        with_gaps.reverse();
        assert_eq!(stretch(&with_gaps), Some((ContactId(1), ContactId(800))));
        assert_eq!((stretch(&[]), stretch(&every(1)[..FEW])), (None, None));
    }
}
