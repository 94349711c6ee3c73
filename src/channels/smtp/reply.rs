//! Asking a relay, and what its answer, its silence and its hanging up mean at each stage of a conversation.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::time::timeout;

use super::Leaves;
use super::wire::{END, Wire};
use crate::channels::redact::redact;
use crate::domain::delivery::ErrorCategory;
use crate::domain::dispatch::answer::{AnswerClass, Refusal, signature};
use crate::domain::outcome::{Outcome, Trouble};

/// How far a conversation had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Mail,
    Rcpt,
    Data,
    /// While the content was written, before its end can have left.
    Content,
    /// From the end of the content to the reply to the final dot.
    Final,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Content => "content",
            Self::Final => "final dot",
        }
    }
}

/// What a relay said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// Its lines without their codes.
    pub(super) text: String,
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

/// Sends one command and wants a reply that [`Reply::expect`]s `wanted`.
pub(super) async fn ask(wire: &mut Wire, command: &str, wanted: u16, patience: Duration) -> Result<Reply, Failure> {
    within(patience, async {
        wire.say(command.as_bytes()).await?;
        wire.hear().await?.expect(wanted)
    })
    .await
}

/// Sends the content, which holds its final dot, and returns the relay's id of the message if its answer names one. A
/// failure comes with the stage that it happened at: as long as the end cannot have left, nothing can have been accepted.
pub(super) async fn finish(
    wire: &mut Wire,
    content: &[u8],
    patience: Duration,
) -> Result<Option<String>, (Stage, Failure)> {
    let mut sent = 0;
    let reply = within(patience, async { wire.deliver(content, &mut sent).await?.expect(250) }).await;
    let stage = if sent + END.len() > content.len() { Stage::Final } else { Stage::Content };
    reply.map(|reply| queue_id(reply.first_line())).map_err(|failure| (stage, failure))
}

/// A step of a conversation, for which a relay has so long.
pub(super) async fn within<T>(
    patience: Duration,
    step: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(patience, step).await.unwrap_or(Err(Failure::Silent(patience)))
}

impl Reply {
    /// The first whole reply in `bytes`, and how many of them it takes (RFC 5321 4.2.1); nothing while it is not whole.
    ///
    /// # Errors
    /// What is there is no SMTP.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Failure> {
        let nonsense = || Failure::Cut("the answer is no SMTP reply".to_owned());
        let (mut text, mut length) = (String::new(), 0);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(line_text) = line.strip_suffix(b"\n") else { return Ok(None) };
            length += line.len();
            let line_text = String::from_utf8_lossy(line_text.strip_suffix(b"\r").unwrap_or(line_text));
            let (code, rest) = line_text.split_at_checked(3).ok_or_else(nonsense)?;
            let code: u16 = code.parse().map_err(|_not_a_number| nonsense())?;
            if !(200..600).contains(&code) || !rest.is_empty() && !rest.starts_with([' ', '-']) {
                return Err(nonsense());
            }
            text.push_str(rest.get(1..).unwrap_or_default());
            if !rest.starts_with('-') {
                return Ok(Some((Self { code, text }, length)));
            }
            text.push('\n');
        }
        Ok(None)
    }

    /// This reply if it is of the class of `wanted`: any 2yz for 250, exactly 354 for 354, because to write a message
    /// after any other answer would be to talk out of turn.
    pub(super) fn expect(self, wanted: u16) -> Result<Self, Failure> {
        let fits = if wanted == 354 { self.code == 354 } else { self.code / 100 == wanted / 100 };
        if fits { Ok(self) } else { Err(self.into_failure()) }
    }

    pub(super) fn into_failure(self) -> Failure {
        Failure::Reply { code: self.code, text: self.first_line().to_owned() }
    }

    fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

/// `2.0.0 Ok: queued as 4XyZ` (Postfix and most others), `OK id=1abc-DEF` (Exim).
fn queue_id(line: &str) -> Option<String> {
    let (_, tail) = line.split_once("queued as ").or_else(|| line.split_once("id="))?;
    let id = tail.split_whitespace().next()?;
    Some(id.chars().filter(|c| c.is_ascii_graphic()).take(100).collect())
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Cut(error.to_string())
    }
}

impl Failure {
    /// What this failure means when it comes at `stage` of handing over to `to`, and for the connection.
    pub(super) fn at(&self, stage: Stage, to: &str) -> (Outcome, Leaves) {
        let trouble = self.trouble(stage, to);
        let passes = self.passes(stage);
        let refused = |class, permanent, trouble| {
            let signature = self.signature();
            Outcome::Refused(Refusal { class, permanent, wait: None, signature, trouble })
        };
        let relay = |trouble| refused(AnswerClass::RelayOutage, false, trouble);
        let deferred = |trouble| refused(AnswerClass::Unsure, false, trouble);
        let rejected = |trouble: Trouble| {
            let is_policy = trouble.category == ErrorCategory::Policy;
            refused(if is_policy { AnswerClass::Policy } else { AnswerClass::Recipient }, true, trouble)
        };
        match (stage, self) {
            (_, Self::Reply { code: 421, .. }) => (relay(trouble), Leaves::Nothing),
            (Stage::Mail, Self::Reply { code: 400.., .. }) => (relay(trouble), Leaves::OpenTransaction),
            (Stage::Mail, Self::Reply { .. } | Self::Silent(_) | Self::Cut(_)) => (relay(trouble), Leaves::Nothing),
            (Stage::Rcpt | Stage::Data, Self::Reply { .. }) if passes => (deferred(trouble), Leaves::OpenTransaction),
            (Stage::Rcpt | Stage::Data, Self::Reply { code: 500.., .. }) => {
                (rejected(trouble), Leaves::OpenTransaction)
            }
            // Refused, or cut, while it was being told: the relay is not where the next command is expected.
            (Stage::Content, Self::Reply { .. }) if passes => (deferred(trouble), Leaves::Nothing),
            (Stage::Content, Self::Reply { code: 500.., .. }) => (rejected(trouble), Leaves::Nothing),
            // No dot was sent, so nothing can have been accepted.
            (Stage::Rcpt | Stage::Data | Stage::Content, Self::Reply { .. } | Self::Silent(_) | Self::Cut(_)) => {
                (deferred(trouble), Leaves::Nothing)
            }
            (Stage::Final, Self::Reply { .. }) if passes => (deferred(trouble), Leaves::Ready),
            (Stage::Final, Self::Reply { code: 500.., .. }) => (rejected(trouble), Leaves::Ready),
            // The dot may have left.
            (Stage::Final, Self::Reply { .. } | Self::Silent(_) | Self::Cut(_)) => {
                (Outcome::Unknown(trouble), Leaves::Nothing)
            }
        }
    }

    /// Whether this is a no that may be a yes later.
    fn passes(&self, stage: Stage) -> bool {
        match self {
            Self::Reply { code: 400..=499, .. } => true,
            // RFC 5321 4.5.3.1.10: some relays say 552 for "too many recipients" where 452 is meant.
            Self::Reply { code: 552, .. } if stage == Stage::Rcpt => true,
            // RFC 3463 3.3: a mailbox that is full now.
            Self::Reply { code: 500.., .. } => self.enhanced() == Some((2, 2)),
            Self::Reply { .. } | Self::Silent(_) | Self::Cut(_) => false,
        }
    }

    fn signature(&self) -> String {
        match self {
            Self::Reply { code, text } => {
                let enhanced = self.enhanced().map(|(subject, detail)| [code / 100, subject, detail]);
                signature(*code, enhanced, text)
            }
            Self::Silent(_) => signature(0, None, "no answer"),
            Self::Cut(text) => signature(0, None, text),
        }
    }

    /// Subject and detail of the enhanced status code (RFC 3463), where there is one that agrees with the reply's own.
    fn enhanced(&self) -> Option<(u16, u16)> {
        let Self::Reply { code, text } = self else { return None };
        let mut numbers = text.split_ascii_whitespace().next()?.splitn(3, '.').map(|number| number.parse().ok());
        let (class, subject, detail): (u16, u16, u16) = (numbers.next()??, numbers.next()??, numbers.next()??);
        (class == code / 100).then_some((subject, detail))
    }

    /// This failure in words that name nobody.
    pub(super) fn trouble(&self, stage: Stage, to: &str) -> Trouble {
        const POLICY: u16 = 7;
        let trouble = self.in_words(stage.name(), to);
        match self {
            Self::Reply { code: 500.., .. } if matches!(self.enhanced(), Some((POLICY, _))) => {
                Trouble::new(ErrorCategory::Policy, format!("refused by policy: {}", trouble.detail))
            }
            Self::Reply { code: 400..=499, .. } if matches!(self.enhanced(), Some((POLICY, _))) => {
                Trouble { category: ErrorCategory::Throttled, ..trouble }
            }
            Self::Reply { .. } | Self::Silent(_) | Self::Cut(_) => trouble,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_taken_when_it_is_whole_and_what_follows_is_left() {
        for (bytes, expected) in [
            ("250 2.1.0 ok\r\n", Some((250, "2.1.0 ok", 14))),
            ("250\r\n", Some((250, "", 5))),
            ("250 \r\n", Some((250, "", 6))),
            ("250-one\r\n250-\r\n250 three\r\n354 go", Some((250, "one\n\nthree", 26))),
            ("550 5.1.1 no\n", Some((550, "5.1.1 no", 13))),
            ("", None),
            ("250 ok", None),
            ("250-one\r\n250", None),
        ] {
            let found = Reply::parse(bytes.as_bytes()).unwrap();
            let expected = expected.map(|(code, text, length)| (Reply { code, text: text.to_owned() }, length));
            assert_eq!(found, expected, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_reply_is_nonsense() {
        for bytes in
            ["\r\n", "25\r\n", "2500 ok\r\n", "999 ok\r\n", "-50 ok\r\n", "250_ok\r\n", "HTTP/1.1 400\r\n", "äöü\r\n"]
        {
            assert!(matches!(Reply::parse(bytes.as_bytes()), Err(Failure::Cut(_))), "{bytes:?}");
        }
    }

    #[test]
    fn enhanced_codes_are_read_where_they_stand_and_agree() {
        for (code, text, expected) in [
            (550, "5.7.1 no", Some((7, 1))),
            (451, "4.7.500 Server busy", Some((7, 500))),
            (552, "5.2.2", Some((2, 2))),
            (550, "no 5.7.1", None),
            (450, "5.7.1 no", None),
            (550, "5.7 no", None),
            (550, "5.7.1.2 no", None),
            (550, "", None),
        ] {
            assert_eq!(Failure::Reply { code, text: text.to_owned() }.enhanced(), expected, "{code} {text}");
        }
    }

    #[test]
    fn queue_ids_are_found_where_relays_put_them() {
        for (line, id) in
            [("2.0.0 Ok: queued as 4XyZ", Some("4XyZ")), ("OK id=1abc-DEF", Some("1abc-DEF")), ("2.0.0 ok", None)]
        {
            assert_eq!(queue_id(line).as_deref(), id, "{line}");
        }
    }
}
