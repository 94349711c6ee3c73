//! One campaign × one contact: states, and what a hand-over does to them.

use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::text_enum::text_enum;

/// Which delivery. In the order of the table's key, in which several are locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId {
    /// The campaign.
    pub campaign: CampaignId,
    /// The contact that it is for.
    pub contact: ContactId,
}

text_enum! {
    /// Where a delivery stands.
    DeliveryState {
        /// Waits for its first attempt, or for a retry.
        Pending = "pending",
        /// Claimed under a page lease; carries the lease's token.
        Sending = "sending",
        /// The provider accepted it.
        Sent = "sent",
        /// Refused permanently, or out of attempts.
        Failed = "failed",
        /// Not sent, for a stated reason.
        Skipped = "skipped",
        /// Handed over, and nobody knows whether it was accepted.
        Uncertain = "uncertain",
    }
}

text_enum! {
    /// Why a delivery was not sent at all.
    SkipReason {
        /// The channel cannot reach the contact: no address of its kind.
        NoAddress = "no_address",
        /// The contact was deleted after packing.
        ContactDeleted = "contact_deleted",
        /// The campaign was stopped first.
        Stopped = "stopped",
        /// Nothing is sent to the address: it bounced or complained, or an operator has blocked it or its domain.
        Suppressed = "suppressed",
        /// The person refused everything, or every topic of the campaign.
        Unsubscribed = "unsubscribed",
        /// The person has not confirmed yet that they want the topic.
        Unconfirmed = "unconfirmed",
        /// The person never agreed to a topic of the campaign.
        NotSubscribed = "not_subscribed",
    }
}

text_enum! {
    /// What kind of trouble ended or delayed a delivery; the `category` of metrics and of the API.
    ErrorCategory {
        /// The provider refused this message or recipient.
        Refused = "dispatch_4xx",
        /// The provider refused by a policy: it is about the sender or the content, not about the recipient's address.
        Policy = "dispatch_policy",
        /// The provider takes no more at this pace.
        Throttled = "dispatch_throttled",
        /// The provider had trouble of its own.
        ProviderError = "dispatch_5xx",
        /// The provider could not be reached, or went silent.
        Network = "dispatch_network",
        /// Anything else.
        Unexpected = "dispatch_unexpected",
        /// The contact is gone.
        ContactNotFound = "contact_not_found",
        /// The template could not be rendered for this contact.
        Render = "render",
        /// The delivery killed its sender more than once.
        Poison = "poison",
        /// An operator decided.
        Resolved = "resolved",
    }
}
