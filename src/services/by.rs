//! Who asks for a decision.

use std::fmt;
use std::net::IpAddr;

use crate::domain::access::{Rights, Scope};
use crate::domain::ids::{ApiKeyId, SessionId};
use crate::domain::trace::Trace;

/// Who asks for a decision, what they may do, from where and by which request. It stands in the log line of the decision, and in
/// the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Who asks.
    pub asker: Asker,
    /// What they may do. A route has asked for its scope already; some decisions ask for more.
    pub rights: Rights,
    /// Where the HTTP request came from, if there was one.
    pub client: Option<IpAddr>,
    /// The id of the HTTP request, if there was one.
    pub request_id: Option<String>,
    /// The trace that the HTTP request is a part of, if it named one.
    pub trace: Option<Trace>,
    /// The session on the operators' pages in which they ask, if there is one.
    pub session: Option<SessionId>,
}

/// Who asks for a decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Asker {
    /// A client with the root key of the settings.
    RootKey,
    /// A client with a stored API key.
    ApiKey(ApiKeyId),
    /// A person at the command line.
    CommandLine,
    /// The start of an instance.
    Start,
    /// The scheduler: a campaign's time has come.
    Scheduler,
    /// A recipient, by a signed link.
    Recipient,
    /// A message of the broker, and who it says has sent it.
    Broker(String),
}

impl By {
    fn itself(asker: Asker) -> Self {
        Self { asker, rights: Rights::ALL, client: None, request_id: None, trace: None, session: None }
    }

    /// A person at the command line.
    #[must_use]
    pub fn command_line() -> Self {
        Self::itself(Asker::CommandLine)
    }

    /// The start of an instance.
    #[must_use]
    pub fn start() -> Self {
        Self::itself(Asker::Start)
    }

    /// The scheduler, for a key that had this scope when it set the time: the scheduler allows nothing by itself.
    #[must_use]
    pub fn scheduler(scope: Scope) -> Self {
        Self { rights: Rights { scope, expires_at: None }, ..Self::itself(Asker::Scheduler) }
    }

    /// A recipient, by a signed link.
    #[must_use]
    pub fn recipient() -> Self {
        Self::itself(Asker::Recipient)
    }

    /// A message of the broker, and who it says has sent it. It may what an operator may: nobody has shown a key.
    #[must_use]
    pub fn broker(triggered_by: String) -> Self {
        let rights = Rights { scope: Scope::Operate, expires_at: None };
        Self { rights, ..Self::itself(Asker::Broker(triggered_by)) }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.asker {
            Asker::RootKey => f.write_str("root key"),
            Asker::ApiKey(id) => write!(f, "API key {id}"),
            Asker::CommandLine => f.write_str("command line"),
            Asker::Start => f.write_str("start"),
            Asker::Scheduler => f.write_str("scheduler"),
            Asker::Recipient => f.write_str("recipient"),
            Asker::Broker(triggered_by) => write!(f, "broker: {triggered_by}"),
        }
    }
}
