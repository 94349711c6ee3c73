//! `[reactions]`

use serde::{Deserialize, Serialize};

/// Reactions of segments.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reactions {
    /// How long reactions are kept that have failed or were refused, in days. 30.
    pub keep_days: u32,
}

impl Default for Reactions {
    fn default() -> Self {
        Self { keep_days: 30 }
    }
}
