//! SMTP relays. The conversation, its timeouts and the meaning of each answer are ours, because what an answer means
//! depends on what had been said: lettre's clients hide whether the final dot had left, and wait for ever.

mod compose;
mod quoted_printable;
mod relay;
mod reply;
mod wire;

use std::time::Duration;

use super::idle::{Idle, Lent};
use super::{BuildError, Channel, Deliver, Gate, Probe};
use crate::config::pools::PoolConfig;
use crate::domain::delivery::ErrorCategory;
use crate::domain::dispatch::answer::Refusal;
use crate::domain::message::Envelope;
use crate::domain::outcome::{Outcome, Trouble};
use compose::{Composer, Letter};
use relay::Relay;
use reply::{Failure, Stage, ask, finish, within};
use wire::Wire;

/// A connection that lay idle for longer is closed instead of used: relays close idle ones, and so do firewalls.
const MAX_IDLE: Duration = Duration::from_secs(30);

/// An SMTP relay and the connections to it.
pub struct Smtp {
    relay: Relay,
    composer: Composer,
    timeout: Duration,
    final_reply_timeout: Duration,
    idle: Idle<Kept>,
}

/// A connection between two deliveries.
struct Kept {
    wire: Wire,
    /// A transaction was left open on it: `RSET` before the next.
    open_transaction: bool,
}

/// What a conversation leaves of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// The connection was cut, or the relay said 421, before `MAIL FROM` was answered.
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
            idle: Idle::new(pool.concurrency, MAX_IDLE),
        })
    }

    async fn hand_over(&self, envelope: &Envelope, gate: &dyn Gate) -> Outcome {
        let letter = match self.composer.compose(envelope) {
            Ok(letter) => letter,
            Err(trouble) => return Outcome::Unsendable(trouble),
        };
        if let Some(wire) = self.pooled().await {
            match self.begin(wire, &letter, envelope, gate).await {
                Talk::Ended(outcome, _) => return outcome,
                // Certainly not accepted, and nobody's fault: a fresh connection, once.
                Talk::DeadBeforeMail(_) => {}
            }
        }
        let wire = match self.relay.connect().await {
            Ok(wire) => Lent::fresh(wire),
            Err(trouble) => return Outcome::Refused(Refusal::unreachable(trouble)),
        };
        match self.begin(wire, &letter, envelope, gate).await {
            Talk::Ended(outcome, _) => outcome,
            Talk::DeadBeforeMail(trouble) => Outcome::Refused(Refusal::unreachable(trouble)),
        }
    }

    /// Asks the gate, holds the conversation, and keeps the connection if it is worth keeping.
    async fn begin(&self, lent: Lent<Wire>, letter: &Letter, envelope: &Envelope, gate: &dyn Gate) -> Talk {
        if letter.needs_utf8 && !lent.connection.offers.smtputf8 {
            self.put_back(lent);
            let trouble = Trouble::new(ErrorCategory::Refused, "the relay takes no addresses beyond ASCII (SMTPUTF8)");
            return Talk::Ended(Outcome::Unsendable(trouble), Leaves::Ready);
        }
        if let Err(reason) = gate.begin() {
            self.put_back(lent);
            return Talk::Ended(Outcome::NotBegun(reason), Leaves::Ready);
        }
        let mut wire = lent.connection;
        let talk = self.converse(&mut wire, letter, &envelope.to).await;
        match &talk {
            Talk::Ended(_, Leaves::Ready) => self.keep(wire, false),
            Talk::Ended(_, Leaves::OpenTransaction) => self.keep(wire, true),
            Talk::Ended(_, Leaves::Nothing) | Talk::DeadBeforeMail(_) => drop(wire),
        }
        talk
    }

    /// One message, stage by stage. RELIABILITY of the answer depends on the stage it came at.
    async fn converse(&self, wire: &mut Wire, letter: &Letter, to: &str) -> Talk {
        if let Err(talk) = self.open(wire, letter, to).await {
            return talk;
        }
        match finish(wire, &letter.content, self.final_reply_timeout).await {
            Ok(provider_id) => Talk::Ended(Outcome::Accepted { provider_id }, Leaves::Ready),
            Err(failure) => {
                let (outcome, leaves) = failure.at(Stage::Final, to);
                Talk::Ended(outcome, leaves)
            }
        }
    }

    /// `MAIL`, `RCPT` and `DATA`: in one piece where the relay offers PIPELINING (RFC 2920), else one after another.
    /// Either way each answer is judged by itself, and no content is sent before all three are known to be a yes.
    async fn open(&self, wire: &mut Wire, letter: &Letter, to: &str) -> Result<(), Talk> {
        let mail = self.composer.mail_command(letter);
        let steps =
            [(Stage::Mail, mail, 250), (Stage::Rcpt, &letter.rcpt_command, 250), (Stage::Data, "DATA\r\n", 354)];
        let at_once = wire.offers.pipelining.then(|| steps.map(|(_, command, _)| command).concat());
        for (unanswered, (stage, command, wanted)) in (0..steps.len()).rev().zip(steps) {
            let words = match (&at_once, stage) {
                (None, _) => command,
                (Some(all), Stage::Mail) => all,
                (Some(_), Stage::Rcpt | Stage::Data | Stage::Final) => "",
            };
            if let Err(failure) = ask(wire, words, wanted, self.timeout).await {
                let hung_up = matches!(failure, Failure::Cut(_) | Failure::Reply { code: 421, .. });
                if stage == Stage::Mail && hung_up {
                    return Err(Talk::DeadBeforeMail(failure.trouble(stage, to)));
                }
                let (outcome, mut leaves) = failure.at(stage, to);
                if at_once.is_some() && leaves == Leaves::OpenTransaction {
                    leaves = self.hear_out(wire, unanswered).await;
                }
                return Err(Talk::Ended(outcome, leaves));
            }
        }
        Ok(())
    }

    /// Hears the answers to what was said in one piece with a command that was refused. A relay that wants the content
    /// all the same is left: even an empty one might be taken for a message.
    async fn hear_out(&self, wire: &mut Wire, unanswered: usize) -> Leaves {
        for _ in 0..unanswered {
            match within(self.timeout, wire.hear()).await {
                Ok(reply) if reply.code != 421 && reply.code / 100 != 3 => {}
                Ok(_) | Err(_) => return Leaves::Nothing,
            }
        }
        Leaves::OpenTransaction
    }

    /// The connection used last, if it is fresh enough and in order.
    async fn pooled(&self) -> Option<Lent<Wire>> {
        loop {
            let Lent { connection: mut kept, since } = self.idle.take()?;
            if !kept.wire.is_quiet().await {
                continue;
            }
            if !kept.open_transaction {
                return Some(Lent { connection: kept.wire, since });
            }
            if ask(&mut kept.wire, "RSET\r\n", 250, self.timeout).await.is_ok() {
                return Some(Lent::fresh(kept.wire));
            }
        }
    }

    /// Puts back a connection on which this delivery said nothing.
    fn put_back(&self, lent: Lent<Wire>) {
        let kept = Kept { wire: lent.connection, open_transaction: false };
        self.idle.put_back(Lent { connection: kept, since: lent.since });
    }

    fn keep(&self, wire: Wire, open_transaction: bool) {
        self.idle.keep(Kept { wire, open_transaction });
    }
}

impl Channel for Smtp {
    fn deliver<'a>(&'a self, envelope: &'a Envelope, gate: &'a dyn Gate) -> Deliver<'a> {
        Box::pin(self.hand_over(envelope, gate))
    }

    fn probe(&self) -> Probe<'_> {
        Box::pin(async {
            let mut wire = self.relay.connect().await.map_err(|trouble| trouble.detail)?;
            // The relay was reached; whether it says goodbye changes nothing.
            let _ = ask(&mut wire, "QUIT\r\n", 221, self.timeout).await;
            Ok("the relay was reached, with encryption and login where they are set".to_owned())
        })
    }

    /// `MAIL` unanswered by a dead connection, a fresh connection, then `MAIL`, `RCPT` and `DATA`, each within `timeout`;
    /// and the reply to the final dot.
    fn call_timeout(&self) -> Duration {
        self.timeout * 5 + self.final_reply_timeout
    }
}
