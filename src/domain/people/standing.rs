//! How a contact stands on a list, and what may change it.

use crate::domain::text_enum::text_enum;

text_enum! {
    /// How a contact stands on a list.
    Standing {
        /// Agreed to what the list is about.
        Subscribed = "subscribed",
        /// Somebody gave the address; the person has not confirmed it yet.
        Unconfirmed = "unconfirmed",
        /// Refused what the list is about.
        Unsubscribed = "unsubscribed",
        /// Another contact of the same person has the standing now. Counted nowhere.
        Moved = "moved",
    }
}

/// What a subscription rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grounds {
    /// An import or a program says so.
    Claimed,
    /// A program says that the person has confirmed it elsewhere.
    Confirmed,
    /// An operator overrides a refusal, and gives a reason.
    Overridden,
    /// The person's own act: a public page, or the link that confirms.
    OwnAct,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To be subscribed.
    Subscribe(Grounds),
    /// To be noted until the person confirms it.
    Note,
    /// To need a confirmation again, where subscribed: the address is new, and did not come from the person.
    Doubt,
    /// To be subscribed no more.
    Unsubscribe,
}

/// What becomes of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The standing is another one.
    Becomes(Standing),
    /// It is as wished, or nearer to what the person said, already.
    Stays,
    /// The person has refused, and the wish is not enough to change that.
    StaysRefused,
}

/// What a wish makes of a standing on a list, with or without double opt-in. A refusal gives way only to the person's own act and
/// to an operator who overrides it.
#[must_use]
pub fn next(now: Option<Standing>, wish: Wish, double_opt_in: bool) -> Next {
    use Grounds::{Claimed, Confirmed, Overridden, OwnAct};
    use Standing::{Moved, Subscribed, Unconfirmed, Unsubscribed};
    let unless = |there: Standing| if now == Some(there) { Next::Stays } else { Next::Becomes(there) };
    match (wish, now) {
        (Wish::Unsubscribe, _) => unless(Unsubscribed),
        (Wish::Doubt, Some(Subscribed)) if double_opt_in => Next::Becomes(Unconfirmed),
        (Wish::Doubt, _) => Next::Stays,
        (Wish::Subscribe(OwnAct | Overridden), _) => unless(Subscribed),
        (Wish::Note | Wish::Subscribe(Claimed | Confirmed), Some(Unsubscribed)) => Next::StaysRefused,
        (Wish::Note, Some(Subscribed | Unconfirmed)) => Next::Stays,
        (Wish::Note, Some(Moved) | None) => Next::Becomes(Unconfirmed),
        (Wish::Subscribe(Confirmed), Some(Subscribed | Unconfirmed | Moved) | None) => unless(Subscribed),
        (Wish::Subscribe(Claimed), Some(Subscribed)) => Next::Stays,
        (Wish::Subscribe(Claimed), Some(Unconfirmed | Moved) | None) if double_opt_in => unless(Unconfirmed),
        (Wish::Subscribe(Claimed), Some(Unconfirmed | Moved) | None) => Next::Becomes(Subscribed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: [Option<Standing>; 5] = [
        None,
        Some(Standing::Subscribed),
        Some(Standing::Unconfirmed),
        Some(Standing::Unsubscribed),
        Some(Standing::Moved),
    ];

    #[test]
    fn only_the_persons_own_act_or_an_operator_undoes_a_refusal() {
        let refused = Some(Standing::Unsubscribed);
        for double in [false, true] {
            for wish in [Wish::Subscribe(Grounds::Claimed), Wish::Subscribe(Grounds::Confirmed), Wish::Note] {
                assert_eq!(next(refused, wish, double), Next::StaysRefused, "{wish:?}");
            }
            assert_eq!(next(refused, Wish::Doubt, double), Next::Stays);
            for grounds in [Grounds::OwnAct, Grounds::Overridden] {
                assert_eq!(next(refused, Wish::Subscribe(grounds), double), Next::Becomes(Standing::Subscribed));
            }
        }
    }

    #[test]
    fn a_refusal_always_counts() {
        for before in BEFORE {
            let expected = match before {
                Some(Standing::Unsubscribed) => Next::Stays,
                _ => Next::Becomes(Standing::Unsubscribed),
            };
            assert_eq!(next(before, Wish::Unsubscribe, true), expected, "{before:?}");
        }
    }

    #[test]
    fn double_opt_in_waits_for_the_person() {
        let claimed = Wish::Subscribe(Grounds::Claimed);
        for before in [None, Some(Standing::Moved)] {
            assert_eq!(next(before, claimed, true), Next::Becomes(Standing::Unconfirmed));
            assert_eq!(next(before, claimed, false), Next::Becomes(Standing::Subscribed));
        }
        assert_eq!(next(Some(Standing::Unconfirmed), claimed, true), Next::Stays);
        assert_eq!(next(Some(Standing::Unconfirmed), claimed, false), Next::Becomes(Standing::Subscribed));
        for grounds in [Grounds::Confirmed, Grounds::OwnAct] {
            let confirmed = next(Some(Standing::Unconfirmed), Wish::Subscribe(grounds), true);
            assert_eq!(confirmed, Next::Becomes(Standing::Subscribed));
        }
    }

    #[test]
    fn a_new_address_needs_a_confirmation_only_where_one_was_needed() {
        assert_eq!(next(Some(Standing::Subscribed), Wish::Doubt, true), Next::Becomes(Standing::Unconfirmed));
        assert_eq!(next(Some(Standing::Subscribed), Wish::Doubt, false), Next::Stays);
        assert_eq!(next(None, Wish::Doubt, true), Next::Stays);
    }

    #[test]
    fn what_is_there_already_is_no_change() {
        for (before, wish) in [
            (Standing::Subscribed, Wish::Subscribe(Grounds::Claimed)),
            (Standing::Subscribed, Wish::Subscribe(Grounds::OwnAct)),
            (Standing::Subscribed, Wish::Note),
            (Standing::Unconfirmed, Wish::Note),
        ] {
            assert_eq!(next(Some(before), wish, true), Next::Stays, "{before} {wish:?}");
        }
    }
}
