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

/// What they begin with when a server ended the connection, or said something else than an answer, before there was TLS.
pub(super) const BROKEN: &str = "the connection broke before it was encrypted";

/// What is said of a server that speaks no TLS.
pub(super) const NO_TLS: &str = "the server does not speak TLS";

/// Whether one of the hosts has refused a connection in a way that permits `prefer` and `allow` to try the other one: it does not speak TLS, the
/// handshake failed, or it takes no such connection. Not after a server that was not reached, has not answered, does not take
/// connections yet, or is not the one that `target_session_attrs` asks for: libpq stays with its way then.
pub(super) fn permits_other_way(refused: &str) -> bool {
    const FORBIDDING: &[&str] = &[
        UNREACHABLE,
        BROKEN,
        "timeout expired",
        "session is read-only",
        "session is not read-only",
        "server is in hot standby mode",
        "server is not in hot standby mode",
    ];
    // libpq says it once for each host.
    let hosts = refused.split("connection to server").skip(1);
    hosts.into_iter().any(|host| host.contains("FATAL:") && !FORBIDDING.iter().any(|words| host.contains(words)))
}

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

    /// The server was reached, and what it did before there was TLS says nothing of what it can do.
    pub(super) fn broken(words: &str) -> Self {
        Self::insecure(format!("{BROKEN}: {words}"))
    }

    /// The server was reached, and the connection would not be what was asked for.
    pub(super) fn insecure(words: String) -> Self {
        Self { code: "08006", words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_host_that_has_refused_permits_the_other_way() {
        let said = |words: &str| format!("connection to server at \"db\", port 5432, with TLS failed: {words}\n");
        let silent = said("FATAL:  cannot be reached: timeout expired: no answer within 4.75s");
        for refused in [
            said("FATAL:  the server does not speak TLS, which sslmode=prefer asks for"),
            said("FATAL:  the server's certificate has expired"),
            said("FATAL:  no pg_hba.conf entry for host \"10.0.0.1\""),
            // One host is silent, and the other one may still be reached.
            format!("{silent}{}", said("FATAL:  the server does not speak TLS, which sslmode=prefer asks for")),
        ] {
            assert!(permits_other_way(&refused), "{refused}");
        }
        for refused in [
            silent,
            said("FATAL:  cannot be reached: the database system is starting up"),
            said(&format!("FATAL:  {BROKEN}: end of file")),
            said("Connection refused"),
            said("server closed the connection unexpectedly"),
            said("session is read-only"),
            "no socket can be opened for connections with TLS: too many open files".to_owned(),
        ] {
            assert!(!permits_other_way(&refused), "{refused}");
        }
    }
}
