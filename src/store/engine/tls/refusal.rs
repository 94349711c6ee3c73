//! Why no connection can be made with TLS, in words for an operator.

/// A connection parameter that cannot be used. The text names it, and holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("{parameter}: {reason}")]
pub struct Unusable {
    parameter: &'static str,
    reason: String,
}

impl Unusable {
    pub(super) fn of(parameter: &'static str, reason: &str) -> Self {
        Self { parameter, reason: reason.to_owned() }
    }
}

/// What the words begin with when the server was not reached.
pub(super) const UNREACHABLE: &str = "cannot be reached";

/// Why one attempt to reach a server failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What PostgreSQL calls it. libpq tries its next host after 57P03 and after no other.
    pub(super) code: &'static str,
    pub(super) words: String,
}

impl Refusal {
    /// The server cannot be reached: another host may be.
    pub(super) fn unreachable(words: String) -> Self {
        Self { code: "57P03", words: format!("{UNREACHABLE}: {words}") }
    }

    /// The server was reached, and the connection would not be what was asked for.
    pub(super) fn insecure(words: String) -> Self {
        Self { code: "08006", words }
    }
}
