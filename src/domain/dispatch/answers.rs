//! What a provider's answer means: a table of answers, and what holds for those that are not in it.
//!
//! The words of an answer decide before its enhanced code (RFC 3463), that before its basic code; the provider's own rows
//! before those for any provider. docs/provider-answers.md shows the table and the rules.

mod row;
mod said;

use std::sync::LazyLock;
use std::time::Duration;

pub use self::row::{BadRow, Enhanced, Row, Standing, Way};
pub use self::said::named_wait;
use self::said::{Said, said_over_http, said_over_smtp};
use super::answer::{AnswerClass, Refusal, signature};
use crate::domain::dispatch::trouble::Trouble;

/// The table as it stands in its file, one row a line.
const TABLE: &str = include_str!("answers/table.tsv");

/// Every row of the table, in its order.
#[must_use]
pub fn rows() -> &'static [Row] {
    // A line that cannot be read is left out; a test sees that there is none.
    static ROWS: LazyLock<Vec<Row>> =
        LazyLock::new(|| TABLE.lines().skip(1).filter_map(|line| Row::parse(line).ok()).collect());
    &ROWS
}

/// Providers that a pool's address gives away, with the ends of their host names.
const HOSTS: &[(&str, &[&str])] = &[
    ("apple", &["mail.me.com", "icloud.com"]),
    ("google", &["gmail.com", "google.com", "googlemail.com"]),
    ("mailgun", &["mailgun.org", "mailgun.net"]),
    ("meta", &["graph.facebook.com"]),
    ("microsoft", &["office365.com", "outlook.com", "graph.microsoft.com"]),
    ("mimecast", &["mimecast.com"]),
    ("postmark", &["postmarkapp.com"]),
    ("proofpoint", &["pphosted.com"]),
    ("qq", &["qq.com"]),
    ("resend", &["resend.com"]),
    ("sendgrid", &["sendgrid.net", "sendgrid.com"]),
    ("ses", &["amazonaws.com"]),
    ("sparkpost", &["sparkpostmail.com", "sparkpost.com"]),
    ("twilio", &["twilio.com"]),
    ("vonage", &["nexmo.com", "vonage.com"]),
    ("yahoo", &["yahoo.com", "aol.com"]),
];

/// The provider behind a host, where its name gives it away.
#[must_use]
pub fn provider_of(host: &str) -> Option<&'static str> {
    let host = host.to_ascii_lowercase();
    let ends = |end: &&str| host.strip_suffix(*end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    HOSTS.iter().find(|(_, ends_of)| ends_of.iter().any(&ends)).map(|(name, _)| *name)
}

/// Whether the table has rows of a provider of this name.
#[must_use]
pub fn is_provider(name: &str) -> bool {
    rows().iter().any(|row| row.provider == name)
}

/// How far an SMTP conversation had come when the answer was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The greeting, TLS, `EHLO`.
    Connect,
    /// `AUTH`.
    Auth,
    /// `MAIL`.
    Mail,
    /// `RCPT`.
    Rcpt,
    /// `DATA`, the content, and the reply to the final dot.
    Content,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// Whose trouble it is.
    pub class: AnswerClass,
    /// Whether the same message to the same recipient will be refused again.
    pub permanent: bool,
    /// How long the provider asked to be left alone: the time that its words name, else the time of the table's row.
    pub wait: Option<Duration>,
    /// The basic code.
    pub code: u16,
    /// The enhanced code.
    pub enhanced: Option<[u16; 3]>,
}

impl Meaning {
    /// The refusal, with the answer's `words` as they may be stored.
    #[must_use]
    pub fn refusal(self, words: &str, trouble: Trouble) -> Refusal {
        let signature = signature(self.code, self.enhanced, words);
        Refusal { class: self.class, permanent: self.permanent, wait: self.wait, signature, trouble }
    }
}

/// The rows that count for one pool, best first.
#[derive(Debug)]
pub struct Book {
    rows: Vec<Row>,
}

impl Book {
    /// The table for a way of sending and a provider, with a pool's `own` rows before it.
    #[must_use]
    pub fn new(way: Way, provider: Option<&str>, own: impl IntoIterator<Item = Row>) -> Self {
        let counts = |row: &&Row| row.way == way && row.counts_for(provider);
        let mut rows: Vec<Row> = rows().iter().filter(counts).cloned().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.rank(provider)));
        Self { rows: own.into_iter().chain(rows).collect() }
    }

    /// What an SMTP reply means that came at `stage`: its code, and its lines without their codes.
    #[must_use]
    pub fn smtp(&self, stage: Stage, code: u16, text: &str) -> Meaning {
        let said = said_over_smtp(code, text);
        let row = self.rows.iter().find(|row| row.fits(&said));
        let temporary = code < 500;
        let (class, permanent) = match row {
            Some(row) if row.standing == Standing::Own => return said.means(row.class, row.permanent, row.wait),
            // A row without a code of its own speaks of both kinds of reply.
            Some(row) => (row.class, row.permanent && (row.code.is_some() || !temporary)),
            // RFC 5321 4.5.3.1.10: some relays say 552 for "too many recipients" where 452 is meant.
            None if code == 552 && stage == Stage::Rcpt && said.enhanced.is_none() => (AnswerClass::Unsure, false),
            None => (unlisted(&said), !temporary),
        };
        let by_words = row.is_some_and(|row| !row.words.is_empty());
        let class =
            if class == AnswerClass::Address && !names_address(stage, &said) { AnswerClass::Recipient } else { class };
        let class = at(stage, class, permanent, &said, by_words);
        said.means(class, permanent, row.and_then(|row| row.wait))
    }

    /// What an HTTP answer that is no 2xx means, by its status and body.
    #[must_use]
    pub fn http(&self, status: u16, body: &str) -> Meaning {
        let said = said_over_http(status, body);
        match self.rows.iter().find(|row| row.fits(&said)) {
            Some(row) => said.means(row.class, row.permanent, row.wait),
            None if (300..500).contains(&status) => said.means(AnswerClass::Policy, true, None),
            None => said.means(AnswerClass::Unsure, false, None),
        }
    }

    /// What a pool's own rows say of an HTTP answer, whatever its status.
    #[must_use]
    pub fn own(&self, status: u16, body: &str) -> Option<Meaning> {
        let said = said_over_http(status, body);
        let row = self.rows.iter().find(|row| row.standing == Standing::Own && row.fits(&said))?;
        Some(said.means(row.class, row.permanent, row.wait))
    }
}

/// Whether a reply can mean that the recipient's address does not exist: the recipient is named, and the enhanced code, where
/// there is one, speaks of the address (RFC 3463 3.2, RFC 7505 for x.1.10). A block by policy has such words, too, and says
/// nothing about the address.
fn names_address(stage: Stage, said: &Said) -> bool {
    stage >= Stage::Rcpt && matches!(said.enhanced, None | Some([_, 1, 1 | 2 | 3 | 6 | 10]))
}

/// What an SMTP reply speaks of that no row fits, by its enhanced code.
fn unlisted(said: &Said) -> AnswerClass {
    let permanent = said.code >= 500;
    match said.enhanced {
        Some([_, 1, 7 | 8]) => AnswerClass::Sender,
        Some([_, 1 | 2, _]) => AnswerClass::Recipient,
        Some([_, 3, 4] | [_, 6, _]) => AnswerClass::Content,
        // The recipient's domain does not answer, has no route, or answers in a circle.
        Some([_, 4, 1 | 4 | 6]) => AnswerClass::Recipient,
        Some([_, 4, _]) => AnswerClass::RelayOutage,
        Some([_, 3, _]) if permanent => AnswerClass::RelayOutage,
        Some([_, 7, _]) if permanent => AnswerClass::Policy,
        _ => AnswerClass::Unsure,
    }
}

/// What an answer speaks of, given how far the conversation had come. Before a recipient is named, and with 421 and 432, it
/// is the relay that refuses, whatever it says of this kind of message.
fn at(stage: Stage, class: AnswerClass, permanent: bool, said: &Said, by_words: bool) -> AnswerClass {
    let is_relays = stage < Stage::Rcpt || matches!(said.code, 421 | 432);
    if !is_relays || class.is_relay() {
        return class;
    }
    // The only address that was named is the sender's.
    let class = match said.enhanced {
        Some([_, 1, _]) if stage == Stage::Mail && !by_words => AnswerClass::Sender,
        _ => class,
    };
    let speaks_of_another = match class {
        AnswerClass::Address | AnswerClass::Recipient => true,
        AnswerClass::Sender | AnswerClass::Content => permanent,
        AnswerClass::Policy
        | AnswerClass::RelayRate
        | AnswerClass::RelayConnections
        | AnswerClass::RelayQuota
        | AnswerClass::RelayAuth
        | AnswerClass::RelayOutage
        | AnswerClass::Unsure => false,
    };
    if stage >= Stage::Mail && speaks_of_another { class } else { the_relays(stage, permanent, said) }
}

fn the_relays(stage: Stage, permanent: bool, said: &Said) -> AnswerClass {
    let is_security = matches!(said.enhanced, Some([_, 7, _]));
    match said.code {
        432 => AnswerClass::RelayConnections,
        _ if stage == Stage::Auth || is_security && permanent => AnswerClass::RelayAuth,
        _ if is_security => AnswerClass::RelayRate,
        _ => AnswerClass::RelayOutage,
    }
}

#[cfg(test)]
mod tests;
