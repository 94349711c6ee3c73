//! Claims: the durable intent to hand a delivery over.

use super::lease::LeaseToken;
use crate::domain::ids::{CampaignId, ContactId};

/// One claim of one delivery: what an outcome is fenced by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimKey {
    /// The campaign.
    pub campaign: CampaignId,
    /// The contact.
    pub contact: ContactId,
    /// Rises with every claim of the delivery.
    pub claim_no: i32,
    /// The lease it was claimed under.
    pub token: LeaseToken,
}
