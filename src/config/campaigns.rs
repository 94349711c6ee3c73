//! `[campaigns]`: what is kept of them.

use serde::{Deserialize, Serialize};

/// `[campaigns]`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Campaigns {
    /// How long single deliveries are kept after the end of their campaign, in days; then they are archived in a file. 0 keeps all of them.
    pub keep_days: u32,
}
