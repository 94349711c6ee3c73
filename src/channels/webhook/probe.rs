//! What `volley doctor` asks.

use std::time::Duration;

use http::Request;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::answer::{MAX_ANSWER_BYTES, excerpt};
use super::http2::{self, Stream};
use super::reply::Content;
use super::request;
use super::wire::{NoAnswer, Wire};
use crate::channels::Unusable;
use crate::config::pools::WebhookConfig;

/// A request that sends nobody anything, and the answers that mean that all is well.
pub(super) struct Question {
    request: Vec<u8>,
    /// The same for HTTP/2, where that may be spoken.
    shared: Option<Request<()>>,
    /// `GET /v1/account`
    shown: String,
    is_head: bool,
    expect: Vec<u16>,
}

impl Question {
    /// The one that the settings name.
    ///
    /// # Errors
    /// [`Unusable`] when it cannot be written.
    pub(super) fn new(config: &WebhookConfig, url: &Url) -> Result<Option<Self>, Unusable> {
        let Some(probe) = &config.probe else { return Ok(None) };
        let method = probe.method.as_deref().unwrap_or("GET");
        let target = url.join(probe.path.expose()).map_err(|error| Unusable::new(format!("probe: {error}")))?;
        Ok(Some(Self {
            request: request::bare(config, method, url, &target)?,
            shared: request::bare_shared(config, method, url, &target)?,
            shown: format!("{method} {}", target.path()),
            is_head: method == "HEAD",
            expect: probe.expect.clone(),
        }))
    }

    /// Asks it. The connection is not used again.
    ///
    /// # Errors
    /// No answer, or another than was expected.
    pub(super) async fn ask(&self, wire: &mut Wire, patience: Duration) -> Result<String, String> {
        let deadline = Instant::now() + patience;
        let answer = match timeout_at(deadline, wire.ask(&self.request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(NoAnswer::Unsent(error) | NoAnswer::Silence(error) | NoAnswer::Garbled(error))) => {
                return Err(format!("{}: {error}", self.shown));
            }
            Err(_elapsed) => return Err(format!("{}: no answer within {} s", self.shown, patience.as_secs())),
        };
        let status = answer.head.status;
        if self.is_well(status) {
            return Ok(format!("{} was answered {status}", self.shown));
        }
        let content = if self.is_head {
            Content::Broken
        } else {
            timeout_at(deadline, wire.body(&answer, MAX_ANSWER_BYTES)).await.unwrap_or(Content::Broken)
        };
        Err(self.complaint(status, &content))
    }

    /// Asks it over HTTP/2.
    ///
    /// # Errors
    /// No answer, or another than was expected.
    pub(super) async fn ask_shared(&self, stream: &Stream, patience: Duration) -> Result<String, String> {
        let deadline = Instant::now() + patience;
        let request = self.shared.clone().unwrap_or_default();
        let mut answer = match timeout_at(deadline, stream.ask(request, Vec::new())).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(
                http2::NoAnswer::Elsewhere(words) | http2::NoAnswer::Refused(_, words) | http2::NoAnswer::Lost(words),
            )) => return Err(format!("{}: {words}", self.shown)),
            Err(_elapsed) => return Err(format!("{}: no answer within {} s", self.shown, patience.as_secs())),
        };
        let status = answer.head.status;
        if self.is_well(status) {
            return Ok(format!("{} was answered {status} over HTTP/2", self.shown));
        }
        let content = timeout_at(deadline, answer.body(MAX_ANSWER_BYTES)).await.unwrap_or(Content::Broken);
        Err(self.complaint(status, &content))
    }

    fn is_well(&self, status: u16) -> bool {
        if self.expect.is_empty() { (200..300).contains(&status) } else { self.expect.contains(&status) }
    }

    fn complaint(&self, status: u16, content: &Content) -> String {
        let expected: Vec<String> = self.expect.iter().map(u16::to_string).collect();
        let expected = if expected.is_empty() { "200 to 299".to_owned() } else { expected.join(", ") };
        let words = excerpt(content, "");
        let said = if words.is_empty() { String::new() } else { format!(" ({})", words.trim()) };
        format!("{} was answered {status}{said} instead of {expected}", self.shown)
    }
}
