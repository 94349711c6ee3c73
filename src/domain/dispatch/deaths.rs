//! How many owners in a row died over a page, with nothing settled.

/// Owners that must have died in a row before a page is claimed one recipient at a time.
pub const DEATHS_BEFORE_SINGLE: i64 = 3;

/// How a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// Its owner died, and had settled somebody before.
    DiedLater,
    /// Its owner died before it had settled anybody.
    DiedAtOnce,
    /// Its owner lives and has settled somebody.
    Settled,
    /// Its owner lives, and has settled nobody.
    Idle,
}

impl LeaseOutcome {
    /// `died`: the owner, of something that is not known. `settled`: somebody was, or is known now to be.
    #[must_use]
    pub const fn of(died: bool, settled: bool) -> Self {
        match (died, settled) {
            (true, true) => Self::DiedLater,
            (true, false) => Self::DiedAtOnce,
            (false, true) => Self::Settled,
            (false, false) => Self::Idle,
        }
    }
}

/// How many it is after a lease that ended so, when it was so many `before`.
///
/// A page that is claimed one by one stays so until an owner lives through its lease: those who were settled before a
/// death did not cause it, and claimed together again they would hide who did.
#[must_use]
pub const fn after(before: i64, lease: LeaseOutcome) -> i64 {
    match lease {
        LeaseOutcome::DiedLater | LeaseOutcome::DiedAtOnce if before >= DEATHS_BEFORE_SINGLE => before,
        LeaseOutcome::DiedAtOnce => before + 1,
        LeaseOutcome::DiedLater | LeaseOutcome::Settled => 0,
        LeaseOutcome::Idle => before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_claimed_one_by_one_from_the_third_death_in_a_row_until_an_owner_lives_through_it() {
        use LeaseOutcome::{DiedAtOnce, DiedLater, Idle, Settled};
        let run = |leases: &[LeaseOutcome]| leases.iter().fold(0, |before, lease| after(before, *lease));
        for (leases, expected) in [
            (&[DiedAtOnce, DiedAtOnce][..], 2),
            (&[DiedAtOnce, Idle, DiedAtOnce], 2),
            (&[DiedAtOnce, DiedAtOnce, DiedLater], 0),
            (&[DiedAtOnce, DiedAtOnce, DiedAtOnce], DEATHS_BEFORE_SINGLE),
            (&[DiedAtOnce, DiedAtOnce, DiedAtOnce, DiedLater, DiedAtOnce], DEATHS_BEFORE_SINGLE),
            (&[DiedAtOnce, DiedAtOnce, DiedAtOnce, DiedLater, Settled], 0),
        ] {
            assert_eq!(run(leases), expected, "{leases:?}");
        }
    }
}
