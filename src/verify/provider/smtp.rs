//! The SMTP relay.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::ledger::{Seen, number_in};
use super::{Fate, State};
use crate::verify::plan::Weather;

/// The sender's address of an instance: by it the relay knows who speaks.
pub(in crate::verify) fn sender_of(instance: usize) -> String {
    format!("instance-{instance}@example.com")
}

/// Takes mail until either side has had enough.
pub(super) async fn serve(stream: TcpStream, state: Arc<State>) {
    let (reader, writer) = stream.into_split();
    let mut session =
        Session { reader: BufReader::new(reader), writer, replies: Vec::new(), line: Vec::new(), state: &state };
    tokio::select! {
        _gone = session.talk() => {}
        () = state.until_becomes(Weather::Refusing) => {}
    }
}

struct Session<'a> {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    replies: Vec<u8>,
    line: Vec<u8>,
    state: &'a State,
}

impl Session<'_> {
    async fn talk(&mut self) -> Option<()> {
        let mut to = None;
        self.say("220 verify ESMTP");
        loop {
            self.hear().await?;
            let verb = String::from_utf8_lossy(self.line.get(..4).unwrap_or_default()).to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => self.say("250-verify\r\n250-PIPELINING\r\n250 8BITMIME"),
                "HELO" | "NOOP" => self.say("250 ok"),
                "RSET" => {
                    to = None;
                    self.say("250 ok");
                }
                "MAIL" => {
                    self.begin();
                    to = None;
                    if self.state.weather() == Weather::Failing {
                        self.say("421 4.3.2 shutting down");
                        self.flush().await?;
                        return None;
                    }
                    self.say("250 ok");
                }
                "RCPT" => {
                    let number = number_in(&self.between_angles()).unwrap_or(usize::MAX);
                    let fate = self.state.fate(number);
                    match (fate, self.state.weather()) {
                        (Fate::Rejected, _) => {
                            self.state.ledger.refuse(number);
                            self.say("550 5.1.1 no such mailbox");
                        }
                        (Fate::Later, _) | (_, Weather::Busy) => self.say("451 4.3.0 try later"),
                        (
                            Fate::Taken | Fate::ReplyLost | Fate::CutBefore | Fate::ErrorAfter,
                            Weather::Fair | Weather::Refusing | Weather::Silent | Weather::Failing,
                        ) => {
                            to = Some((number, fate));
                            self.say("250 ok");
                        }
                    }
                }
                "DATA" => match to.take() {
                    None => self.say("503 5.5.1 no recipients"),
                    Some((number, fate)) => {
                        self.say("354 go ahead");
                        self.take(number, fate).await?;
                    }
                },
                "QUIT" => {
                    self.say("221 bye");
                    return self.flush().await;
                }
                _ => self.say("502 not here"),
            }
        }
    }

    fn begin(&self) {
        let sender = self.between_angles();
        let number = sender.strip_prefix("instance-").and_then(|rest| rest.split('@').next());
        let instance = number.and_then(|digits| digits.parse().ok()).unwrap_or(usize::MAX);
        self.state.ledger.begin(Instant::now(), instance);
    }

    /// Reads the message, writes it down and answers; nothing where the connection is to be cut.
    async fn take(&mut self, number: usize, fate: Fate) -> Option<()> {
        loop {
            self.hear().await?;
            if self.line == b".\r\n" {
                break;
            }
        }
        if self.state.weather() == Weather::Silent {
            self.state.until_not(Weather::Silent).await;
            return None;
        }
        self.state.half_latency().await;
        if fate == Fate::CutBefore {
            return None;
        }
        self.state.ledger.take(number, Seen { key: None, body: 0 });
        self.state.half_latency().await;
        match fate {
            Fate::ReplyLost | Fate::ErrorAfter => None,
            Fate::Taken | Fate::CutBefore | Fate::Later | Fate::Rejected => {
                self.say("250 2.0.0 queued");
                Some(())
            }
        }
    }

    /// Answers, together with the answers to whatever came in the same packet (RFC 2920).
    fn say(&mut self, reply: &str) {
        self.replies.extend_from_slice(reply.as_bytes());
        self.replies.extend_from_slice(b"\r\n");
    }

    async fn flush(&mut self) -> Option<()> {
        self.writer.write_all(&self.replies).await.ok()?;
        self.replies.clear();
        Some(())
    }

    async fn hear(&mut self) -> Option<()> {
        if self.reader.buffer().is_empty() && !self.replies.is_empty() {
            self.flush().await?;
        }
        self.line.clear();
        (self.reader.read_until(b'\n', &mut self.line).await.ok()? > 0).then_some(())
    }

    fn between_angles(&self) -> String {
        let text = String::from_utf8_lossy(&self.line);
        let inner = text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(address, _)| address);
        inner.unwrap_or_default().to_owned()
    }
}
