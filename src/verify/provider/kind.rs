//! The kinds of provider.

use serde::Serialize;

/// The kinds of provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An SMTP relay: knows no keys.
    Smtp,
    /// An HTTP API that honours idempotency keys.
    Http,
}

impl Kind {
    /// Its name; also that of the pool and the campaign that go to it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Http => "http",
        }
    }
}
