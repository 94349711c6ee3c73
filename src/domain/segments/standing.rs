//! What a segment is, how far the evaluation of everybody has come, and how it is found out who enters and leaves.

use crate::domain::text_enum::text_enum;

text_enum! {
    /// Who decides who is a member.
    SegmentKind {
        /// Its criteria.
        Live = "live",
        /// People, one by one.
        Manual = "manual",
    }
}

text_enum! {
    /// How far the evaluation of everybody has come.
    SegmentState {
        /// It is under way: some contacts are not evaluated yet.
        Building = "building",
        /// Everybody is evaluated, and from now on those who change.
        Ready = "ready",
    }
}

text_enum! {
    /// How it was found out that a contact entered a segment, left it, or is still there.
    TransitionSource {
        /// Something about the contact has changed.
        Change = "change",
        /// Time has passed.
        Time = "time",
        /// Everybody was evaluated.
        Evaluation = "evaluation",
        /// Somebody said so.
        Manual = "manual",
    }
}

text_enum! {
    /// Which entries are reported, as it is stored.
    EntryLimitKind {
        /// All of them.
        Unlimited = "unlimited",
        /// The first of each contact.
        Once = "once",
        /// Those that come so long after the contact last left.
        OncePerPeriod = "once_per_period",
    }
}
