//! The settings of pools of a sandbox.

use serde::{Deserialize, Serialize};

/// No network: latency and failures by dice.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct SandboxConfig {
    /// Shortest and longest call, in milliseconds. At most 60,000; 50 and 200 unless set.
    pub latency_ms: Option<[u64; 2]>,
    /// Share of calls that are refused, 0.0 to 1.0. None unless set.
    pub failure_rate: Option<f64>,
    /// Ends the process when this address is handed over. For testing how poison is found.
    pub crash_on: Option<String>,
}
