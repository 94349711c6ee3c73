//! `[events]`: what contacts did.

use serde::{Deserialize, Serialize};

/// `[events]`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// How long events are kept after they were received, in days. 0 keeps all of them.
    pub keep_days: u32,
}
