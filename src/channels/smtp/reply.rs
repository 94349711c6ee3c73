//! What a relay's answer, its silence and its hanging up mean at each stage of a conversation.

use std::io;
use std::time::Duration;

use super::Leaves;
use crate::channels::redact::redact;
use crate::domain::dispatch::answer::{AnswerClass, Refusal};
use crate::domain::dispatch::answers::{Book, Stage as Place};
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::domain::dispatch::outcome::Outcome;
use crate::domain::dispatch::trouble::Trouble;

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
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Content => "content",
            Self::Final => "final dot",
        }
    }

    pub(super) fn place(self) -> Place {
        match self {
            Self::Mail => Place::Mail,
            Self::Rcpt => Place::Rcpt,
            Self::Data | Self::Content | Self::Final => Place::Content,
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
        Failure::Reply { code: self.code, text: self.text }
    }

    pub(super) fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Cut(error.to_string())
    }
}

impl Failure {
    /// What this failure means when it comes at `stage` of handing over to `to`, and for the connection.
    pub(super) fn at(&self, stage: Stage, to: &str, book: &Book) -> (Outcome, Leaves) {
        match (stage, self) {
            (_, Self::Reply { code: code @ 400.., .. }) => {
                let leaves = match (code, stage) {
                    (421, _) => Leaves::Nothing,
                    (_, Stage::Final) => Leaves::Ready,
                    (_, Stage::Mail | Stage::Rcpt | Stage::Data) => Leaves::OpenTransaction,
                    // The relay is not where the next command is expected.
                    (_, Stage::Content) => Leaves::Nothing,
                };
                (Outcome::Refused(self.refusal(stage.place(), stage.name(), to, book)), leaves)
            }
            (Stage::Mail, Self::Reply { .. } | Self::Silent(_) | Self::Cut(_)) => {
                (Outcome::Refused(self.refusal(stage.place(), stage.name(), to, book)), Leaves::Nothing)
            }
            // No dot was sent, so nothing can have been accepted.
            (Stage::Rcpt | Stage::Data | Stage::Content, Self::Reply { .. } | Self::Silent(_) | Self::Cut(_)) => {
                let refusal = self.refusal(stage.place(), stage.name(), to, book);
                (Outcome::Refused(Refusal { class: AnswerClass::Unsure, ..refusal }), Leaves::Nothing)
            }
            // The dot may have left.
            (Stage::Final, Self::Reply { .. } | Self::Silent(_) | Self::Cut(_)) => {
                (Outcome::Unknown(self.in_words(stage.name(), to)), Leaves::Nothing)
            }
        }
    }

    /// The refusal that this is at `place`, after the `step` it happened at. What is no answer is the relay's outage.
    pub(super) fn refusal(&self, place: Place, step: &str, to: &str, book: &Book) -> Refusal {
        let trouble = self.in_words(step, to);
        let Self::Reply { code: code @ 400.., text } = self else { return Refusal::unreachable(trouble) };
        let meaning = book.smtp(place, *code, text);
        let is_pace =
            matches!(meaning.class, AnswerClass::RelayRate | AnswerClass::RelayConnections | AnswerClass::RelayQuota);
        let is_security = matches!(meaning.enhanced, Some([_, 7, _]));
        let trouble = if is_pace || is_security && *code < 500 {
            Trouble { category: ErrorCategory::Throttled, ..trouble }
        } else if is_security && !meaning.class.is_recipients() && place >= Place::Mail {
            Trouble::new(ErrorCategory::Policy, format!("refused by policy: {}", trouble.detail))
        } else {
            trouble
        };
        meaning.refusal(&redact(&one_line(text), to), trouble)
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
                Trouble::new(category, format!("{step}: {code} {}", redact(&one_line(text), to)))
            }
            Self::Silent(patience) => {
                Trouble::new(ErrorCategory::Network, format!("{step}: no answer within {} s", patience.as_secs()))
            }
            Self::Cut(text) => Trouble::new(ErrorCategory::Network, format!("{step}: {}", redact(text, to))),
        }
    }
}

/// The lines of a reply as one. An enhanced code that each of them begins with is said once.
fn one_line(text: &str) -> String {
    /// More than is ever shown, and less than a relay could send.
    const MOST: usize = 2000;
    let mut line = String::new();
    let first = text.split_whitespace().next().unwrap_or_default();
    let is_code = first.contains('.') && first.chars().all(|c| c.is_ascii_digit() || c == '.');
    for (n, more) in text.lines().enumerate() {
        let more = if n > 0 && is_code { more.strip_prefix(first).unwrap_or(more) } else { more };
        if n > 0 {
            line.push(' ');
        }
        line.push_str(more.trim());
    }
    line.chars().take(MOST).collect()
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
    fn the_lines_of_a_reply_become_one_that_says_their_code_once() {
        for (text, line) in [
            ("5.1.1 nobody\n5.1.1 by that name\n5.1.1", "5.1.1 nobody by that name "),
            ("one\n\ntwo", "one  two"),
            ("", ""),
        ] {
            assert_eq!(one_line(text), line);
        }
        assert_eq!(one_line(&"ü".repeat(9000)).chars().count(), 2000);
    }
}
