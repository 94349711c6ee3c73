//! `[consent]`: what is asked before somebody is written to.

use serde::{Deserialize, Serialize};

/// `[consent]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Consent {
    /// Whether a marketing campaign has to be about a list. true.
    pub require_topic: bool,
    /// A transactional campaign to more people than this needs a key with the scope `admin`. 1,000.
    pub transactional_campaign_limit: i64,
    /// How long a subscription waits for its confirmation, in days; 0 keeps it. 30.
    pub unconfirmed_keep_days: u32,
}

impl Default for Consent {
    fn default() -> Self {
        Self { require_topic: true, transactional_campaign_limit: 1_000, unconfirmed_keep_days: 30 }
    }
}
