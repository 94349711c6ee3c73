//! SMTP relays. lettre speaks the protocol; the sockets, the timeouts and the meaning of each answer are ours, because
//! lettre's one-call `send` hides whether the final dot had left, and its async client waits for ever.

mod compose;
mod quoted_printable;
mod relay;
mod reply;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::Extension;

use super::{BuildError, Channel, Deliver, Gate};
use crate::config::pools::PoolConfig;
use crate::domain::delivery::ErrorCategory;
use crate::domain::message::Envelope;
use crate::domain::outcome::{Outcome, Trouble};
use compose::{Composer, Letter};
use relay::Relay;
use reply::{Failure, Stage, ask, finish};

/// A connection that lay idle for longer is closed instead of used: relays close idle ones, and so do firewalls.
const MAX_IDLE: Duration = Duration::from_secs(30);

/// An SMTP relay and the connections to it.
pub struct Smtp {
    relay: Relay,
    composer: Composer,
    timeout: Duration,
    final_reply_timeout: Duration,
    idle: Mutex<VecDeque<Idle>>,
    max_idle: usize,
}

/// A connection between two deliveries. Only one that ended its last conversation in order comes here.
struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
    /// A transaction was left open on it: `RSET` before the next.
    open_transaction: bool,
}

/// What a conversation leaves of its connection.
enum Leaves {
    /// Ready for the next `MAIL FROM`.
    Ready,
    /// In step, with a transaction open.
    OpenTransaction,
    /// Out of step, silent or closed.
    Nothing,
}

/// How a conversation ended.
enum Talk {
    /// With an outcome.
    Ended(Outcome, Leaves),
    /// The connection was cut, or the relay said 421, when nothing but `MAIL FROM` had been written.
    DeadBeforeMail(Trouble),
}

impl Smtp {
    /// A relay as the pool's settings describe it. Opens no connection.
    ///
    /// # Errors
    /// [`BuildError`] when `url`, `from`, or the credentials cannot work.
    pub fn new(pool: &PoolConfig) -> Result<Self, BuildError> {
        Ok(Self {
            relay: Relay::new(pool)?,
            composer: Composer::new(pool)?,
            timeout: pool.timeout(),
            final_reply_timeout: pool.final_reply_timeout(),
            idle: Mutex::new(VecDeque::with_capacity(pool.concurrency)),
            max_idle: pool.concurrency,
        })
    }

    async fn hand_over(&self, envelope: &Envelope, gate: &dyn Gate) -> Outcome {
        let letter = match self.composer.compose(envelope) {
            Ok(letter) => letter,
            Err(trouble) => return Outcome::Rejected(trouble),
        };
        if let Some(connection) = self.pooled().await {
            match self.begin(connection, &letter, envelope, gate).await {
                Talk::Ended(outcome, _) => return outcome,
                // Certainly not accepted, and nobody's fault: a fresh connection, once.
                Talk::DeadBeforeMail(_) => {}
            }
        }
        let connection = match self.relay.connect().await {
            Ok(connection) => connection,
            Err(trouble) => return Outcome::PoolFault(trouble),
        };
        match self.begin(connection, &letter, envelope, gate).await {
            Talk::Ended(outcome, _) => outcome,
            Talk::DeadBeforeMail(trouble) => Outcome::PoolFault(trouble),
        }
    }

    /// Asks the gate, holds the conversation, and keeps the connection if it is worth keeping.
    async fn begin(
        &self,
        mut connection: AsyncSmtpConnection,
        letter: &Letter,
        envelope: &Envelope,
        gate: &dyn Gate,
    ) -> Talk {
        if letter.needs_utf8 && !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            self.keep(connection, false);
            let trouble = Trouble::new(ErrorCategory::Refused, "the relay takes no addresses beyond ASCII (SMTPUTF8)");
            return Talk::Ended(Outcome::Rejected(trouble), Leaves::Ready);
        }
        if let Err(reason) = gate.begin() {
            self.keep(connection, false);
            return Talk::Ended(Outcome::NotBegun(reason), Leaves::Ready);
        }
        let talk = self.converse(&mut connection, letter, &envelope.to).await;
        match &talk {
            Talk::Ended(_, Leaves::Ready) => self.keep(connection, false),
            Talk::Ended(_, Leaves::OpenTransaction) => self.keep(connection, true),
            Talk::Ended(_, Leaves::Nothing) | Talk::DeadBeforeMail(_) => drop(connection),
        }
        talk
    }

    /// One message, stage by stage. RELIABILITY of the answer depends on the stage it came at.
    async fn converse(&self, connection: &mut AsyncSmtpConnection, letter: &Letter, to: &str) -> Talk {
        if let Err(failure) = ask(connection, self.composer.mail_command(letter), 250, self.timeout).await {
            return match failure {
                Failure::Cut(_) | Failure::Reply { code: 421, .. } => {
                    Talk::DeadBeforeMail(failure.trouble(Stage::Mail, to))
                }
                Failure::Reply { .. } | Failure::Silent(_) => failure.at(Stage::Mail, to),
            };
        }
        if let Err(failure) = ask(connection, &letter.rcpt_command, 250, self.timeout).await {
            return failure.at(Stage::Rcpt, to);
        }
        if let Err(failure) = ask(connection, "DATA\r\n", 354, self.timeout).await {
            return failure.at(Stage::Data, to);
        }
        match finish(connection, &letter.content, self.final_reply_timeout).await {
            Ok(provider_id) => Talk::Ended(Outcome::Accepted { provider_id }, Leaves::Ready),
            Err(failure) => failure.at(Stage::Final, to),
        }
    }

    /// The connection used last, if it is fresh enough and in order.
    async fn pooled(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let mut idle = {
                let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                while all.front().is_some_and(|oldest| oldest.since.elapsed() > MAX_IDLE) {
                    all.pop_front();
                }
                all.pop_back()?
            };
            if !idle.open_transaction || ask(&mut idle.connection, "RSET\r\n", 250, self.timeout).await.is_ok() {
                return Some(idle.connection);
            }
        }
    }

    fn keep(&self, connection: AsyncSmtpConnection, open_transaction: bool) {
        let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < self.max_idle {
            all.push_back(Idle { connection, since: Instant::now(), open_transaction });
        }
    }
}

impl Channel for Smtp {
    fn deliver<'a>(&'a self, envelope: &'a Envelope, gate: &'a dyn Gate) -> Deliver<'a> {
        Box::pin(self.hand_over(envelope, gate))
    }

    fn probe(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async {
            let mut connection = self.relay.connect().await.map_err(|trouble| trouble.detail)?;
            // The relay was reached; whether it says goodbye changes nothing.
            let _ = ask(&mut connection, "QUIT\r\n", 221, self.timeout).await;
            Ok(())
        })
    }

    /// `MAIL` unanswered by a dead connection, a fresh connection, then `MAIL`, `RCPT` and `DATA`, each within `timeout`;
    /// and the reply to the final dot.
    fn call_timeout(&self) -> Duration {
        self.timeout * 5 + self.final_reply_timeout
    }
}
