//! Providers: wire formats, and what their answers mean. No store, no retries, no waiting for a better moment.
//!
//! **To add a provider**: one file here that implements [`Channel`], one variant in [`build`].

pub mod fetch;
mod idle;
mod percent;
mod redact;
pub mod sandbox;
pub mod smtp;
mod socket;
mod tls;
pub mod webhook;

use std::future::Future;
use std::pin::Pin;

use crate::config::pools::{PoolConfig, ProviderConfig};
use crate::domain::content::message::Envelope;
use crate::domain::dispatch::outcome::{NotBegun, Outcome};

/// The last question before a hand-over: may it begin, now?
///
/// A channel asks when its connection is ready, TLS and login included, and right before the first byte of this delivery (`MAIL FROM`, the
/// request line) leaves. On `Err` it sends nothing and returns [`Outcome::NotBegun`]. Asking has consequences: an `Ok`
/// is journalled as the begin of an attempt.
///
/// It asks once per delivery, with one exception: it asks again when a pooled connection turned out to be dead before
/// SMTP's `MAIL FROM` was answered or before a byte of an HTTP request was written, when an HTTP/2 server said that it did not
/// process the request because its connection ends, or when the relay hung on commands that
/// were sent ahead of their answers, because opening a fresh one takes time in which a campaign may have been paused. A
/// second answer of `Err` ends as [`Outcome::NotBegun`] too, which is still the truth: nothing was accepted.
pub trait Gate: Send + Sync {
    /// Whether the hand-over may begin. `Ok` has been written to the journal.
    ///
    /// # Errors
    /// The reason it may not.
    fn begin(&self) -> Result<(), NotBegun>;
}

/// A future that a channel returns.
pub type Deliver<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// What a probe comes to: what was tried and worked, or what is wrong.
pub type Probe<'a> = Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>>;

/// Something that takes deliveries: an SMTP relay, an HTTP API, the sandbox.
pub trait Channel: Send + Sync {
    /// Hands one delivery over: one attempt, no hidden retry. Ends within the configured timeouts; every way it can end
    /// is an [`Outcome`]. What is known before the gate is asked (a message that cannot be sent, a provider that cannot
    /// be reached) ends without asking it.
    ///
    /// The future may be dropped at any point. What it had in hand is then closed, never used for another delivery;
    /// of a connection that deliveries share, that is its own stream.
    fn deliver<'a>(&'a self, envelope: &'a Envelope, gate: &'a dyn Gate) -> Deliver<'a>;

    /// Whether the provider answers, for `volley doctor`: one line that says what was tried. Sends no message. An open
    /// circuit is not probed by it: a delivery is, because only an answer to one says that deliveries are taken again.
    ///
    /// # Errors
    /// One line that says what is wrong.
    fn probe(&self) -> Probe<'_>;

    /// Keeps no more connections than `places`, those in use included: idle ones are closed now, those that are in use when
    /// their call has ended. A kept connection must never be the very one that a relay refuses new ones for.
    fn limit(&self, _places: usize) {}

    /// Whether its requests say more of a recipient than the message does.
    fn wants_details(&self) -> bool {
        false
    }

    /// How many connections lie idle.
    fn kept(&self) -> usize {
        0
    }

    /// The longest that one `deliver` may take from the gate's first `Ok` to its outcome. After that nothing of it is on
    /// the wire any more, and what became ambiguous may be repeated where the provider honours keys.
    fn call_timeout(&self) -> std::time::Duration;
}

/// A provider's settings that cannot work.
#[derive(Debug, thiserror::Error)]
#[error("pool {pool}: {reason}")]
pub struct BuildError {
    /// The pool's name.
    pub pool: String,
    /// What is wrong. Begins with the setting's name, as one reads on from `pools[0].`.
    pub reason: String,
}

/// The reason of a [`BuildError`].
#[derive(Debug)]
struct Unusable(String);

impl Unusable {
    fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// Builds the provider that a pool's settings describe. Opens no connection.
///
/// # Errors
/// [`BuildError`] when the settings contradict themselves.
pub fn build(pool: &PoolConfig) -> Result<Box<dyn Channel>, BuildError> {
    let channel = match &pool.provider {
        ProviderConfig::Smtp(config) => smtp::Smtp::new(pool, config).map(boxed),
        ProviderConfig::Webhook(config) => webhook::Webhook::new(pool, config).map(boxed),
        ProviderConfig::Sandbox(config) => sandbox::Sandbox::new(config).map(boxed),
    };
    channel.map_err(|Unusable(reason)| BuildError { pool: pool.name.clone(), reason })
}

fn boxed(channel: impl Channel + 'static) -> Box<dyn Channel> {
    Box::new(channel)
}
