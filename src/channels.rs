//! Providers: wire formats, and what their answers mean. No store, no retries, no waiting for a better moment.
//!
//! **To add a provider**: one file here that implements [`Channel`], one variant in [`build`].

pub mod sandbox;
pub mod smtp;
pub mod webhook;

use std::future::Future;
use std::pin::Pin;

use crate::config::pools::{PoolConfig, Provider};
use crate::domain::message::Envelope;
use crate::domain::outcome::{NotBegun, Outcome};

/// The last question before a hand-over: may it begin, now?
///
/// A channel asks exactly once per delivery, when its connection is ready and right before the first byte of this
/// delivery (`MAIL FROM`, the request line) leaves. On `Err` it sends nothing and returns [`Outcome::NotBegun`].
/// Asking has consequences: an `Ok` is journalled as the begin of an attempt.
pub trait Gate: Send + Sync {
    /// Whether the hand-over may begin. `Ok` has been written to the journal.
    ///
    /// # Errors
    /// The reason it may not.
    fn begin(&self) -> Result<(), NotBegun>;
}

/// A future that a channel returns.
pub type Deliver<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// Something that takes deliveries: an SMTP relay, an HTTP API, the sandbox.
pub trait Channel: Send + Sync {
    /// Hands one delivery over: one attempt, no hidden retry. Ends within the configured timeouts; every way it can end
    /// is an [`Outcome`].
    fn deliver<'a>(&'a self, envelope: &'a Envelope, gate: &'a dyn Gate) -> Deliver<'a>;

    /// Whether the provider can be reached, for `volley doctor` and for probing an open circuit. Sends no message.
    ///
    /// # Errors
    /// One line that says what is wrong.
    fn probe(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;

    /// The longest that one `deliver` may take from the gate's `Ok` to its outcome.
    fn call_timeout(&self) -> std::time::Duration;
}

/// A provider's settings that cannot work.
#[derive(Debug, thiserror::Error)]
#[error("pool {pool}: {reason}")]
pub struct BuildError {
    /// The pool's name.
    pub pool: String,
    /// What is wrong, naming the setting.
    pub reason: String,
}

/// Builds the provider that a pool's settings describe. Opens no connection.
///
/// # Errors
/// [`BuildError`] when the settings contradict themselves.
pub fn build(pool: &PoolConfig) -> Result<Box<dyn Channel>, BuildError> {
    Ok(match pool.provider {
        Provider::Smtp => Box::new(smtp::Smtp::new(pool)?),
        Provider::Webhook => Box::new(webhook::Webhook::new(pool)?),
        Provider::Sandbox => Box::new(sandbox::Sandbox::new(pool)),
    })
}
