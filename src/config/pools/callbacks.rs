//! `[pools.callbacks]`: how a pool's provider reports what became of messages.

use serde::{Deserialize, Serialize};

use crate::config::secret::Secret;
use crate::domain::callbacks::Format;

/// `[pools.callbacks]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CallbackConfig {
    /// Whose requests these are.
    pub format: Format,
    /// What they are verified by. Several, with a blank between them, while one takes the place of another.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// The topics of Amazon SNS whose requests are taken, by their ARNs. For format `ses` only, which has no secret.
    #[serde(default)]
    pub topics: Vec<String>,
}

impl CallbackConfig {
    /// The secrets, each for itself.
    #[must_use]
    pub fn secrets(&self) -> Vec<&str> {
        self.secret.as_ref().map(|secret| secret.expose().split_ascii_whitespace().collect()).unwrap_or_default()
    }

    /// Whether requests can be verified. If not, there is no such door.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.secrets().is_empty() || !self.topics.is_empty()
    }
}
