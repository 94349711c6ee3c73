//! What is counted, and limited.

use std::time::Duration;

use crate::domain::text_enum::text_enum;

/// What all limits are given for.
pub const WINDOW: Duration = Duration::from_secs(60);

text_enum! {
    /// A limit that a request counts towards. Each route has one.
    Limit {
        /// Contacts, members, events: what other systems put in, item by item. An uploaded file is one item.
        Ingest = "ingest",
        /// Messages beside campaigns, such as tests, recipient by recipient.
        Messages = "messages",
        /// What makes a campaign go out: launches, and further tries.
        Launches = "launches",
        /// All other requests with a valid key.
        Requests = "requests",
        /// Requests without a valid key, by address.
        WithoutKey = "without_key",
    }
}

impl Limit {
    /// Whether one request may count as several.
    #[must_use]
    pub const fn counts_items(self) -> bool {
        match self {
            Self::Ingest | Self::Messages => true,
            Self::Launches | Self::Requests | Self::WithoutKey => false,
        }
    }
}

/// How a caller stands with a limit after a request. Shown as draft-ietf-httpapi-ratelimit-headers-10 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which limit it is.
    pub limit: Limit,
    /// How much a [`WINDOW`] has.
    pub quota: u32,
    /// How much is left.
    pub left: u32,
    /// A refused request: how long until it would be let through. One that was let through: until everything is there again.
    pub wait: Duration,
}

impl Standing {
    /// The value of `RateLimit-Policy`. The unit is a request unless it is named.
    #[must_use]
    pub fn policy(&self) -> String {
        let unit = if self.limit.counts_items() { ";qu=\"items\"" } else { "" };
        format!("\"{}\";q={};w={}{unit}", self.limit, self.quota, WINDOW.as_secs())
    }

    /// The value of `RateLimit`.
    #[must_use]
    pub fn state(&self) -> String {
        format!("\"{}\";r={};t={}", self.limit, self.left, self.seconds())
    }

    /// The wait in whole seconds, rounded up: a client that waits that long is let through.
    #[must_use]
    pub const fn seconds(&self) -> u64 {
        self.wait.as_secs() + if self.wait.subsec_nanos() > 0 { 1 } else { 0 }
    }
}

/// For people, of a refused request.
impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = if self.limit.counts_items() { "items" } else { "requests" };
        let Self { limit, quota, .. } = self;
        write!(f, "more than {quota} {unit} in a minute (limit {limit}); Retry-After says when to try again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_has_the_form_of_the_draft_and_rounds_up() {
        let standing = |limit, ms| Standing { limit, quota: 600, left: 5, wait: Duration::from_millis(ms) };
        assert_eq!(standing(Limit::Launches, 0).policy(), "\"launches\";q=600;w=60");
        assert_eq!(standing(Limit::Ingest, 0).policy(), "\"ingest\";q=600;w=60;qu=\"items\"");
        assert_eq!(standing(Limit::Launches, 1_001).state(), "\"launches\";r=5;t=2");
        assert_eq!([0, 1, 1_000, 1_001].map(|ms| standing(Limit::Requests, ms).seconds()), [0, 1, 1, 2]);
    }
}
