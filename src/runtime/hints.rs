//! What actors are told when something was stored. Hints: the database is the truth, and a lost one costs a tick.

use actix::Message;

use crate::domain::ids::CampaignId;

/// A campaign was launched, resumed, stopped or re-opened. A hint: what it is about is stored already.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Changed {
    /// The campaign.
    pub campaign: CampaignId,
}

/// A page came to its end. A hint: perhaps the campaign has, too.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct PageSettled {
    /// The page's campaign.
    pub campaign: CampaignId,
}

/// A decision may have been posted. A hint: a lost one costs one tick.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct LookNow;
