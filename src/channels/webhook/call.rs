//! A call: one request of HTTP/1.1 that is about no delivery, on a connection of its own. No redirect is followed. Its answer is the status:
//! nothing else of it is read.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::answer::retry_after;
use super::request::{JSON, Prototype};
use super::route::Route;
use super::wire::{NoAnswer, Wire};
use super::{MAX_CONNECT, parse_url};
use crate::channels::Unusable;
use crate::config::pools::WebhookConfig;
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::domain::dispatch::trouble::Trouble;

/// What came of a call.
#[derive(Debug)]
pub enum Answered {
    /// It was taken: an answer of 2xx.
    Taken,
    /// It was not taken, and would not be another time: a redirect, or 410.
    Never(Trouble),
    /// It was not taken, or nobody knows. `wait`: how long the answer asks to wait.
    NotNow {
        /// How long the answer asks to wait.
        wait: Option<Duration>,
        /// What happened, without anything that the answer says.
        trouble: Trouble,
    },
}

/// Calls an address.
pub struct Caller {
    route: Route,
    prototype: Prototype,
    timeout: Duration,
}

impl Caller {
    /// What calls the address of these settings. Each call ends within `timeout`. Opens no connection.
    ///
    /// # Errors
    /// In one line, which setting cannot work.
    pub fn new(config: &WebhookConfig, timeout: Duration) -> Result<Self, String> {
        let caller = || -> Result<Self, Unusable> {
            let url = parse_url(config)?;
            Ok(Self { route: Route::new(config, &url)?, prototype: Prototype::new(config, &url, JSON)?, timeout })
        };
        caller().map_err(|Unusable(reason)| reason)
    }

    /// Makes a call with further headers.
    pub async fn call(&self, headers: &[(&str, &str)], body: &[u8]) -> Answered {
        let deadline = Instant::now() + self.timeout;
        let network =
            |words: String| Answered::NotNow { wait: None, trouble: Trouble::new(ErrorCategory::Network, words) };
        let mut wire = match self.route.open(self.timeout.min(MAX_CONNECT)).await {
            Ok(socket) => Wire::over(socket),
            Err(refusal) => return Answered::NotNow { wait: refusal.wait, trouble: refusal.trouble },
        };
        match timeout_at(deadline, wire.ask(&self.prototype.with(headers, body))).await {
            Ok(Ok(answer)) => {
                let head = answer.head;
                let wait = head.retry_after.as_deref().and_then(|text| retry_after(text, head.date.as_deref()));
                meaning(head.status, wait)
            }
            Ok(Err(NoAnswer::Unsent(error) | NoAnswer::Silence(error) | NoAnswer::Garbled(error))) => {
                network(error.to_string())
            }
            Err(_elapsed) => network(format!("no answer within {} s", self.timeout.as_secs())),
        }
    }
}

fn meaning(status: u16, wait: Option<Duration>) -> Answered {
    let category = match status {
        400..=499 => ErrorCategory::Refused,
        500..=599 => ErrorCategory::ProviderError,
        _ => ErrorCategory::Unexpected,
    };
    let trouble = Trouble::new(category, format!("HTTP {status}"));
    match status {
        200..=299 => Answered::Taken,
        300..=399 | 410 => Answered::Never(trouble),
        _ => Answered::NotNow { wait, trouble },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_whether_a_call_was_taken_and_whether_it_is_made_again() {
        for (status, expected) in [
            (200, "taken"),
            (204, "taken"),
            (302, "never"),
            (410, "never"),
            (404, "later"),
            (429, "later"),
            (503, "later"),
        ] {
            let said = match meaning(status, None) {
                Answered::Taken => "taken",
                Answered::Never(_) => "never",
                Answered::NotNow { .. } => "later",
            };
            assert_eq!(said, expected, "{status}");
        }
    }
}
