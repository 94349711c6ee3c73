//! What a scripted server can do at each moment of a conversation.

use std::time::Duration;

/// Where a conversation stands when the server is to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// A connection was accepted; nothing was said. Only HTTP: SMTP begins with its greeting.
    Connect,
    /// SMTP: a connection was accepted.
    Greeting,
    /// SMTP: `EHLO`.
    Ehlo,
    /// SMTP: `HELO`.
    Helo,
    /// SMTP: `AUTH`, and each line of the exchange that follows it.
    Auth,
    /// SMTP: `MAIL`.
    Mail,
    /// SMTP: `RCPT`.
    Rcpt,
    /// SMTP: `DATA`.
    Data,
    /// SMTP: the first line of the content has arrived, the final dot has not been read.
    Content,
    /// SMTP: the final dot.
    Final,
    /// SMTP: `RSET`.
    Rset,
    /// SMTP: `NOOP`.
    Noop,
    /// SMTP: `QUIT`.
    Quit,
    /// SMTP: a command that the server does not know.
    Other,
    /// HTTP: the head of a request was read, its body was not.
    Head,
    /// HTTP: a whole request was read.
    Request,
    /// The answer to a final dot or a request is about to be written. Asked only when the script was replaced meanwhile.
    Reply,
}

impl Stage {
    /// All stages with the names they have in a script.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("connect", Self::Connect),
        ("greeting", Self::Greeting),
        ("ehlo", Self::Ehlo),
        ("helo", Self::Helo),
        ("auth", Self::Auth),
        ("mail", Self::Mail),
        ("rcpt", Self::Rcpt),
        ("data", Self::Data),
        ("content", Self::Content),
        ("final", Self::Final),
        ("rset", Self::Rset),
        ("noop", Self::Noop),
        ("quit", Self::Quit),
        ("other", Self::Other),
        ("head", Self::Head),
        ("request", Self::Request),
        ("reply", Self::Reply),
    ];

    /// Whether the server speaks HTTP when it comes here.
    #[must_use]
    pub fn is_http(self) -> bool {
        matches!(self, Self::Connect | Self::Head | Self::Request)
    }
}

/// A request of HTTP as it came.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `POST /path HTTP/1.1`
    pub line: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body; empty while it has not been read.
    pub body: Vec<u8>,
    /// The connection's number, from 0.
    pub connection: usize,
}

impl Request {
    /// The value of a header by its name in lower case; the last one where it came several times.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A message in the server's hands.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// SMTP: the argument of `MAIL`.
    pub from: String,
    /// SMTP: the argument of `RCPT`.
    pub to: String,
    /// The recipient's address: between the angle brackets, or `to` of a JSON body. Empty where there is none.
    pub recipient: String,
    /// The content, dot-stuffing undone; or the body.
    pub content: Vec<u8>,
    /// The value of `Idempotency-Key`.
    pub key: Option<String>,
}

/// One moment of one conversation.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// Where it stands.
    pub stage: Stage,
    /// The connection's number, from 0.
    pub connection: usize,
    /// Messages that this connection has accepted so far.
    pub accepted: usize,
    /// Connections that are open now, this one included.
    pub open: usize,
    /// Hand-overs that are under way now, this one included: from `MAIL`, or a request's head, to the answer.
    pub busy: usize,
    /// The command, or the request's first line.
    pub line: &'a str,
    /// The sender's address, where it is known.
    pub sender: &'a str,
    /// The recipient's address, where it is known.
    pub recipient: &'a str,
    /// The length of the content or the body, in bytes, where it is known.
    pub size: usize,
    /// The request, where the server speaks HTTP.
    pub request: Option<&'a Request>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// Lines of SMTP, separated by `\n`.
    Lines(Vec<u8>),
    /// An answer of HTTP; `Content-Length` is added unless the headers have it.
    Http {
        /// The status.
        status: u16,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// These bytes as they are.
    Bytes(Vec<u8>),
}

impl Words {
    /// Whether it is a yes: 2xx, or 3xx of SMTP.
    #[must_use]
    pub fn is_yes(&self) -> bool {
        match self {
            Self::Lines(text) => text.starts_with(b"2") || text.starts_with(b"3"),
            Self::Http { status, .. } => (200..300).contains(status),
            Self::Bytes(bytes) => {
                [&b"2"[..], b"3", b"HTTP/1.1 2", b"HTTP/1.0 2"].iter().any(|yes| bytes.starts_with(yes))
            }
        }
    }

    /// As they go over the wire.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Lines(text) => {
                for byte in text {
                    match byte {
                        b'\n' => out.extend_from_slice(b"\r\n"),
                        other => out.push(*other),
                    }
                }
                out.extend_from_slice(b"\r\n");
            }
            Self::Http { status, headers, body } => {
                let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
                let has = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
                if !has("content-length") && !has("transfer-encoding") {
                    head.push_str(&format!("Content-Length: {}\r\n", body.len()));
                }
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                head.push_str("\r\n");
                out.extend_from_slice(head.as_bytes());
                out.extend_from_slice(body);
            }
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
        }
    }
}

/// One thing that a server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Lets time pass.
    Wait(Duration),
    /// Takes the message: from now on it counts as accepted. At the end of a message a yes takes it, too.
    Take,
    /// Does not take the message, although the answer is a yes.
    Lose,
    /// Answers.
    Say(Words),
    /// Answers 200, promises this many bytes and gives them until the client has had enough.
    Flood(u64),
    /// Forgets what was sent ahead of the answer.
    Forget,
    /// Goes on when the script is replaced.
    Hold,
    /// Says nothing more until the client hangs up or the script is replaced, and hangs up then.
    Silent,
    /// Hangs up.
    Cut,
    /// Hangs up with a reset.
    Reset,
}

/// What a server does at one moment, step by step. Unless it answers or hangs up, the usual answer follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Act {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Act {
    /// Says these lines of SMTP, separated by `\n`.
    #[must_use]
    pub fn say(lines: &str) -> Self {
        Self::from(Step::Say(Words::Lines(lines.as_bytes().to_vec())))
    }

    /// Answers with a status of HTTP.
    #[must_use]
    pub fn answer(status: u16, headers: Vec<(String, String)>, body: &str) -> Self {
        Self::from(Step::Say(Words::Http { status, headers, body: body.as_bytes().to_vec() }))
    }

    /// Says these bytes.
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::from(Step::Say(Words::Bytes(bytes.to_vec())))
    }

    /// The same, with a step more.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl From<Step> for Act {
    fn from(step: Step) -> Self {
        Self { steps: vec![step] }
    }
}
