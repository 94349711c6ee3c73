//! What is to be done after a transition of a segment, or after an event of a campaign.

use super::text_enum::text_enum;

/// The most reactions in a chain, each of which led to the next one. What would be one more is refused.
pub const LONGEST_CHAIN: i32 = 8;

text_enum! {
    /// What is to be done.
    ReactionKind {
        /// Tags, lists and events of the contact are changed.
        Changes = "changes",
        /// A target is called.
        Call = "call",
        /// The targets are found that hear of an event of a campaign.
        Notice = "notice",
    }
}

text_enum! {
    /// How far a reaction is.
    ReactionState {
        /// It is to be done.
        Waiting = "waiting",
        /// It was tried as often as it may be.
        Failed = "failed",
        /// It would be one too many in a chain.
        Refused = "refused",
    }
}

text_enum! {
    /// The events of a campaign that a target can hear of.
    CampaignNews {
        /// It was launched.
        Launched = "campaign.launched",
        /// It paused itself.
        Paused = "campaign.paused",
        /// It has ended: it was sent, has failed, was stopped, or could not be launched.
        Ended = "campaign.ended",
    }
}

text_enum! {
    /// Why a campaign paused itself.
    PauseReason {
        /// Too many messages came back.
        Bounces = "bounces",
        /// Too many people called the message spam.
        Complaints = "complaints",
        /// Too many messages could not be rendered.
        Content = "content",
        /// Nearly all recipients were refused alike.
        Refusals = "refusals",
        /// The database has lost its newest commits.
        DatabaseSetBack = "database_set_back",
    }
}
