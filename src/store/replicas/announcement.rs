//! A page that the broker is to tell other instances of.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::domain::ids::{CampaignId, PageId};

/// A page to announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Announcement {
    /// The page.
    #[diesel(sql_type = BigInt)]
    pub id: PageId,
    /// Its campaign.
    #[diesel(sql_type = BigInt)]
    pub campaign_id: CampaignId,
    /// Its number in the campaign.
    #[diesel(sql_type = BigInt)]
    pub seq: i64,
}
