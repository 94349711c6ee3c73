//! Asking a relay, and what its answer, its silence and its hanging up mean at each stage of a conversation.

use std::error::Error as _;
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::response::Response;
use tokio::time::timeout;

use super::{Leaves, Talk};
use crate::channels::redact::redact;
use crate::domain::delivery::ErrorCategory;
use crate::domain::outcome::{Outcome, Trouble};

/// How far a conversation had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Mail,
    Rcpt,
    Data,
    /// From the first byte of the content to the reply to the final dot.
    Final,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Final => "final dot",
        }
    }
}

/// Anything but the answer that was hoped for.
#[derive(Debug)]
pub(super) enum Failure {
    /// A well-formed reply of another code.
    Reply { code: u16, text: String },
    /// No answer in time.
    Silent(Duration),
    /// The connection broke, or what came was no SMTP.
    Cut(String),
}

/// Sends one command and wants a reply of the class of `wanted`: any 2yz for 250, exactly 354 for 354, because to write
/// a message after any other answer would be to talk out of turn.
pub(super) async fn ask(
    connection: &mut AsyncSmtpConnection,
    command: &str,
    wanted: u16,
    patience: Duration,
) -> Result<(), Failure> {
    match timeout(patience, connection.command(command)).await {
        Err(_elapsed) => Err(Failure::Silent(patience)),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(response)) => expect(&response, wanted),
    }
}

/// Sends the content and the final dot, and returns the relay's id of the message if its answer names one.
pub(super) async fn finish(
    connection: &mut AsyncSmtpConnection,
    content: &[u8],
    patience: Duration,
) -> Result<Option<String>, Failure> {
    match timeout(patience, connection.message(content)).await {
        Err(_elapsed) => Err(Failure::Silent(patience)),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(response)) => expect(&response, 250).map(|()| queue_id(&response)),
    }
}

fn expect(response: &Response, wanted: u16) -> Result<(), Failure> {
    let code = u16::from(response.code());
    let fits = if wanted == 354 { code == 354 } else { code / 100 == wanted / 100 };
    if fits { Ok(()) } else { Err(Failure::Reply { code, text: response.first_line().unwrap_or_default().to_owned() }) }
}

/// `250 2.0.0 Ok: queued as 4XyZ` (Postfix and most others), `250 OK id=1abc-DEF` (Exim).
fn queue_id(response: &Response) -> Option<String> {
    let line = response.first_line()?;
    let (_, tail) = line.split_once("queued as ").or_else(|| line.split_once("id="))?;
    let id = tail.split_whitespace().next()?;
    Some(id.chars().filter(|c| c.is_ascii_graphic()).take(100).collect())
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.status() {
            Some(code) => {
                Self::Reply { code: code.into(), text: error.source().map(ToString::to_string).unwrap_or_default() }
            }
            None => Self::Cut(error.to_string()),
        }
    }
}

impl Failure {
    /// What this failure means when it comes at `stage` of handing over to `to`.
    pub(super) fn at(self, stage: Stage, to: &str) -> Talk {
        let trouble = self.trouble(stage, to);
        let deferred = |trouble| Outcome::Deferred { trouble, retry_after: None };
        let (outcome, leaves) = match (stage, self) {
            (_, Self::Reply { code: 421, .. }) => (Outcome::PoolFault(trouble), Leaves::Nothing),
            (Stage::Mail, Self::Reply { code: 400.., .. }) => (Outcome::PoolFault(trouble), Leaves::OpenTransaction),
            (Stage::Mail, Self::Reply { .. } | Self::Silent(_) | Self::Cut(_)) => {
                (Outcome::PoolFault(trouble), Leaves::Nothing)
            }
            // RFC 5321 4.5.3.1.10: some relays say 552 for "too many recipients" where 452 is meant.
            (Stage::Rcpt, Self::Reply { code: 552 | 400..=499, .. })
            | (Stage::Data, Self::Reply { code: 400..=499, .. }) => (deferred(trouble), Leaves::OpenTransaction),
            (Stage::Rcpt | Stage::Data, Self::Reply { code: 500.., .. }) => {
                (Outcome::Rejected(trouble), Leaves::OpenTransaction)
            }
            // No dot was sent, so nothing can have been accepted.
            (Stage::Rcpt | Stage::Data, Self::Reply { .. } | Self::Silent(_) | Self::Cut(_)) => {
                (deferred(trouble), Leaves::Nothing)
            }
            (Stage::Final, Self::Reply { code: 400..=499, .. }) => (deferred(trouble), Leaves::Ready),
            (Stage::Final, Self::Reply { code: 500.., .. }) => (Outcome::Rejected(trouble), Leaves::Ready),
            // The dot may have left.
            (Stage::Final, Self::Reply { .. } | Self::Silent(_) | Self::Cut(_)) => {
                (Outcome::Unknown(trouble), Leaves::Nothing)
            }
        };
        Talk::Ended(outcome, leaves)
    }

    /// This failure in words that name nobody.
    pub(super) fn trouble(&self, stage: Stage, to: &str) -> Trouble {
        self.in_words(stage.name(), to)
    }

    /// This failure in words that name nobody, after the step it happened at.
    pub(super) fn in_words(&self, step: &str, to: &str) -> Trouble {
        match self {
            Self::Reply { code, text } => {
                let category = match code {
                    500.. => ErrorCategory::Refused,
                    400..=499 => ErrorCategory::ProviderError,
                    _ => ErrorCategory::Unexpected,
                };
                Trouble::new(category, format!("{step}: {code} {}", redact(text, to)))
            }
            Self::Silent(patience) => {
                Trouble::new(ErrorCategory::Network, format!("{step}: no answer within {} s", patience.as_secs()))
            }
            Self::Cut(text) => Trouble::new(ErrorCategory::Network, format!("{step}: {}", redact(text, to))),
        }
    }
}
