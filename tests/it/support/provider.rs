//! Either kind of provider, for tests that concern both.

use super::ledger::Ledger;
use super::scripted_http::{Keys, ScriptedHttp};
use super::scripted_smtp::ScriptedSmtp;
use super::volley::Pool;

/// The name of the pool that a [`Provider`] stands behind.
pub(crate) const POOL: &str = "main";

/// How many hand-overs that pool has under way at once.
pub(crate) const CONCURRENCY: u64 = 50;

/// A provider of the harness.
pub(crate) enum Provider {
    /// Without keys: what is unanswered stays uncertain.
    Smtp(ScriptedSmtp),
    /// With keys: what is unanswered is repeated.
    Webhook(ScriptedHttp),
}

impl Provider {
    /// A relay whose answers take between `latency_ms.0` and `latency_ms.1` milliseconds.
    pub(crate) fn smtp(latency_ms: (u64, u64)) -> Self {
        Self::Smtp(ScriptedSmtp::slow(latency_ms))
    }

    /// An HTTP provider that honours keys, with such a latency.
    pub(crate) fn webhook(latency_ms: (u64, u64)) -> Self {
        Self::Webhook(ScriptedHttp::slow(latency_ms, Keys::Honoured))
    }

    /// The pool in front of it.
    pub(crate) fn pool(&self) -> Pool {
        let pool = match self {
            Self::Smtp(sink) => Pool::smtp(POOL, sink),
            Self::Webhook(sink) => Pool::webhook(POOL, sink).set("idempotent", "true"),
        };
        // What was on the wire at a crash is repeated when the call must have ended: soon, for a test.
        let pool = pool.set("concurrency", &CONCURRENCY.to_string()).set("timeout_seconds", "2");
        pool.set("retry_delays", "[1, 2, 4]")
    }

    /// The channel of campaigns that go through it.
    pub(crate) fn channel(&self) -> &'static str {
        match self {
            Self::Smtp(_) => "email",
            Self::Webhook(_) => "http",
        }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        match self {
            Self::Smtp(sink) => sink.ledger(),
            Self::Webhook(sink) => sink.ledger(),
        }
    }

    /// Says nothing more.
    pub(crate) fn hang(&self) {
        match self {
            Self::Smtp(sink) => sink.play("any: {silent}"),
            Self::Webhook(sink) => sink.play("request: {silent}"),
        }
    }

    /// Takes every n-th message and cuts the connection instead of saying so.
    pub(crate) fn cut_after_accepting(&self, every: u64) {
        match self {
            Self::Smtp(sink) => sink.play(&format!("final every={every}: {{take}} {{cut}}")),
            Self::Webhook(sink) => sink.play(&format!("request every={every}: {{take}} {{cut}}")),
        }
    }

    /// Says that it is too busy now.
    pub(crate) fn be_busy(&self) {
        match self {
            Self::Smtp(sink) => sink.play("rcpt: 451 4.3.0 try later"),
            Self::Webhook(sink) => sink.play("request: 429 {Retry-After: 1}"),
        }
    }

    /// Refuses this recipient for good.
    pub(crate) fn reject(&self, recipient: &str) {
        match self {
            Self::Smtp(sink) => sink.reject(recipient),
            Self::Webhook(sink) => sink.reject(recipient),
        }
    }

    /// Cuts every connection and refuses new ones.
    pub(crate) fn refuse_connections(&self) {
        match self {
            Self::Smtp(sink) => sink.refuse_connections(),
            Self::Webhook(sink) => sink.refuse_connections(),
        }
    }

    /// Takes connections and everything else again.
    pub(crate) fn recover(&self) {
        match self {
            Self::Smtp(sink) => {
                sink.play("");
                sink.accept_connections();
            }
            Self::Webhook(sink) => {
                sink.play("");
                sink.accept_connections();
            }
        }
    }
}
