//! Who asks for a decision.

use std::fmt;

use crate::domain::ids::ApiKeyId;

/// Who asks for a decision, and by which request. It stands in the log line of the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Who asks.
    pub asker: Asker,
    /// The id of the HTTP request, if there was one.
    pub request_id: Option<String>,
}

/// Who asks for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// A message of the broker, and who it says has sent it.
    Broker(String),
}

impl By {
    /// A person at the command line.
    #[must_use]
    pub fn command_line() -> Self {
        Self { asker: Asker::CommandLine, request_id: None }
    }

    /// The start of an instance.
    #[must_use]
    pub fn start() -> Self {
        Self { asker: Asker::Start, request_id: None }
    }

    /// The scheduler.
    #[must_use]
    pub fn scheduler() -> Self {
        Self { asker: Asker::Scheduler, request_id: None }
    }

    /// A message of the broker, and who it says has sent it.
    #[must_use]
    pub fn broker(triggered_by: String) -> Self {
        Self { asker: Asker::Broker(triggered_by), request_id: None }
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
            Asker::Broker(triggered_by) => write!(f, "broker: {triggered_by}"),
        }
    }
}
