//! `[callbacks]`: what providers report.

use serde::{Deserialize, Serialize};

/// `[callbacks]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Callbacks {
    /// How long callbacks are remembered after they came, in days. 1 to 365; 7. Repetitions that come later are told by their reports,
    /// for 30 days.
    pub keep_days: u32,
}

impl Default for Callbacks {
    fn default() -> Self {
        Self { keep_days: 7 }
    }
}
