//! SMTP relays. The conversation, its timeouts and the meaning of each answer are ours, because what an answer means
//! depends on what had been said: lettre's clients hide whether the final dot had left, and wait for ever.

mod ahead;
mod compose;
mod content;
mod encoded_words;
mod exchange;
mod login;
mod parts;
mod quoted_printable;
mod relay;
mod reply;
mod token;
mod wire;

use std::time::Duration;

use tokio::time::Instant;

use super::idle::{Idle, Lent};
use super::{Channel, Deliver, Gate, Probe, Unusable};
use crate::config::pools::{PoolConfig, SmtpConfig};
use crate::domain::content::message::Envelope;
use crate::domain::dispatch::answer::{AnswerClass, Refusal, signature};
use crate::domain::dispatch::answers::{Book, Way};
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::domain::dispatch::outcome::Outcome;
use crate::domain::dispatch::trouble::Trouble;
use ahead::Ahead;
use compose::{Composer, Letter};
use exchange::{ask, finish, within};
use relay::Relay;
use reply::{Failure, Stage};
use wire::{Offers, Wire};

/// A connection that lay idle for longer is closed instead of used: relays close idle ones, and so do firewalls.
const MAX_IDLE: Duration = Duration::from_secs(30);

/// An SMTP relay and the connections to it.
pub struct Smtp {
    relay: Relay,
    composer: Composer,
    timeout: Duration,
    final_reply_timeout: Duration,
    ahead: Ahead,
    idle: Idle<Kept>,
    /// What the relay's answers mean.
    book: Book,
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
    /// Certainly not accepted, and no answer to this delivery: a fresh connection may do.
    Lost(Refusal, Loss),
}

/// How a conversation was lost before any content was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// The relay hung up, or said 421, before `MAIL` was answered: it may have done so while the connection lay idle.
    HungUp,
    /// It hung up, without a word, on commands that were sent ahead of their answers.
    HungUpAhead,
    /// It fell silent on commands that were sent ahead of their answers.
    SilentAhead,
}

impl Smtp {
    /// A relay as the pool's settings describe it. Opens no connection.
    ///
    /// # Errors
    /// [`Unusable`] when `url`, `from`, or the credentials cannot work.
    pub(super) fn new(pool: &PoolConfig, config: &SmtpConfig) -> Result<Self, Unusable> {
        Ok(Self {
            relay: Relay::new(config, pool.timeout())?,
            composer: Composer::new(
                pool.from.as_deref(),
                pool.callbacks.as_ref().map(|callbacks| callbacks.format),
                config,
            )?,
            timeout: pool.timeout(),
            final_reply_timeout: config.final_reply_timeout(),
            ahead: Ahead::new(config.pipelining),
            idle: Idle::new(pool.concurrency, MAX_IDLE),
            book: config.server.book(Way::Smtp).map_err(Unusable)?,
        })
    }

    async fn hand_over(&self, envelope: &Envelope, gate: &dyn Gate) -> Outcome {
        let letter = match self.composer.compose(envelope) {
            Ok(letter) => letter,
            Err(trouble) => return Outcome::Unsendable(trouble),
        };
        let pooled = self.pooled().await;
        let was_pooled = pooled.is_some();
        let first = match pooled {
            Some(lent) => self.begin(lent, &letter, envelope, gate).await,
            None => self.begin_afresh(&letter, envelope, gate).await,
        };
        match first {
            Talk::Ended(outcome, _) => return outcome,
            Talk::Lost(refusal, Loss::HungUp) if !was_pooled => return Outcome::Refused(refusal),
            Talk::Lost(_, Loss::HungUpAhead) if !was_pooled => self.ahead.give_up(),
            Talk::Lost(_, Loss::SilentAhead) => self.ahead.give_up(),
            Talk::Lost(_, Loss::HungUp | Loss::HungUpAhead) => {}
        }
        // Certainly not accepted, and nobody's fault: a fresh connection, once.
        match self.begin_afresh(&letter, envelope, gate).await {
            Talk::Ended(outcome, _) => outcome,
            Talk::Lost(refusal, loss) => {
                if loss != Loss::HungUp {
                    self.ahead.give_up();
                }
                Outcome::Refused(refusal)
            }
        }
    }

    /// [`Self::begin`] on a connection made for it.
    async fn begin_afresh(&self, letter: &Letter, envelope: &Envelope, gate: &dyn Gate) -> Talk {
        match self.relay.connect(&self.book).await {
            Ok(wire) => self.begin(Lent::fresh(wire), letter, envelope, gate).await,
            Err(refusal) => Talk::Ended(Outcome::Refused(refusal), Leaves::Nothing),
        }
    }

    /// Asks the gate, holds the conversation, and keeps the connection if it is worth keeping.
    async fn begin(&self, lent: Lent<Wire>, letter: &Letter, envelope: &Envelope, gate: &dyn Gate) -> Talk {
        if let Err(outcome) = suits(letter, &lent.connection.offers) {
            self.put_back(lent);
            return Talk::Ended(outcome, Leaves::Ready);
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
            Talk::Ended(_, Leaves::Nothing) | Talk::Lost(..) => drop(wire),
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
            Err((stage, failure)) => {
                let (outcome, leaves) = failure.at(stage, to, &self.book);
                Talk::Ended(outcome, leaves)
            }
        }
    }

    /// `MAIL`, `RCPT` and `DATA`: in one piece where the relay offers PIPELINING (RFC 2920), else one after another.
    /// Either way each answer is judged by itself, and no content is sent before all three are known to be a yes. The
    /// answers to one piece share one timeout: a relay that hangs on it is asked again, step by step.
    async fn open(&self, wire: &mut Wire, letter: &Letter, to: &str) -> Result<(), Talk> {
        let mail = self.composer.mail_command(letter, &wire.offers);
        let steps = [
            (Stage::Mail, mail.as_str(), 250),
            (Stage::Rcpt, letter.rcpt_command.as_str(), 250),
            (Stage::Data, "DATA\r\n", 354),
        ];
        let ahead = wire.offers.pipelining && self.ahead.is_tried();
        let at_once = ahead.then(|| steps.map(|(_, command, _)| command).concat());
        let deadline = Instant::now() + self.timeout;
        for (unanswered, (stage, command, wanted)) in (0..steps.len()).rev().zip(steps) {
            let (words, patience) = match (&at_once, stage) {
                (None, _) => (command, self.timeout),
                (Some(all), Stage::Mail) => (all.as_str(), self.timeout),
                (Some(_), _) => ("", deadline.saturating_duration_since(Instant::now())),
            };
            if let Err(failure) = ask(wire, words, wanted, patience).await {
                return Err(self.stop(wire, failure, stage, ahead.then_some(unanswered), to).await);
            }
        }
        Ok(())
    }

    /// What it means that `stage` was not answered with a yes. `ahead` is how many answers are still to come to what was
    /// said in one piece, where it was.
    async fn stop(&self, wire: &mut Wire, failure: Failure, stage: Stage, ahead: Option<usize>, to: &str) -> Talk {
        // What was left of the shared timeout says nothing to anybody.
        let failure = if matches!(failure, Failure::Silent(_)) { Failure::Silent(self.timeout) } else { failure };
        let loss = match (&failure, stage, ahead) {
            (Failure::Silent(_), _, Some(_)) => Some(Loss::SilentAhead),
            (Failure::Cut(_), Stage::Mail, Some(_)) => Some(Loss::HungUpAhead),
            (Failure::Cut(_) | Failure::Reply { code: 421, .. }, Stage::Mail, _) => Some(Loss::HungUp),
            _ => None,
        };
        if ahead.is_none() && !matches!(failure, Failure::Reply { .. }) {
            self.ahead.acquit();
        }
        if let Some(loss) = loss {
            return Talk::Lost(failure.refusal(stage.place(), stage.name(), to, &self.book), loss);
        }
        let (outcome, mut leaves) = failure.at(stage, to, &self.book);
        if let Some(unanswered) = ahead
            && leaves == Leaves::OpenTransaction
        {
            leaves = self.hear_out(wire, unanswered).await;
        }
        Talk::Ended(outcome, leaves)
    }

    /// Hears the answers to what was said in one piece with a command that was refused. A relay that wants the content
    /// all the same is left: even an empty one might be taken for a message.
    async fn hear_out(&self, wire: &mut Wire, unanswered: usize) -> Leaves {
        for _ in 0..unanswered {
            match within(self.timeout, wire.hear()).await {
                Ok(reply) if reply.code != 421 && reply.code / 100 != 3 => {}
                Err(Failure::Silent(_)) => {
                    self.ahead.give_up();
                    return Leaves::Nothing;
                }
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
        Box::pin(async move {
            let _busy = self.idle.enter();
            self.hand_over(envelope, gate).await
        })
    }

    fn limit(&self, places: usize) {
        self.idle.limit(places);
    }

    fn kept(&self) -> usize {
        self.idle.len()
    }

    fn probe(&self) -> Probe<'_> {
        Box::pin(async {
            let mut wire = self.relay.connect(&self.book).await.map_err(|refusal| refusal.trouble.detail)?;
            let asked = ask(&mut wire, &self.composer.bare_mail_command(), 250, self.timeout).await;
            // The relay has said what it was asked; whether it says goodbye changes nothing.
            for farewell in ["RSET\r\n", "QUIT\r\n"] {
                if ask(&mut wire, farewell, 250, self.timeout).await.is_err() {
                    break;
                }
            }
            match asked {
                Ok(_) => Ok("the relay takes mail from this pool's sender (no message was sent)".to_owned()),
                Err(failure) => {
                    let refusal = failure.refusal(Stage::Mail.place(), "MAIL", "", &self.book);
                    Err(format!("the relay does not take this sender: {}", refusal.trouble.detail))
                }
            }
        })
    }

    /// `MAIL` unanswered by a dead connection, or commands sent ahead to a relay that hangs on them; a fresh connection;
    /// then `MAIL`, `RCPT` and `DATA`, each within `timeout`; and the reply to the final dot.
    fn call_timeout(&self) -> Duration {
        self.timeout * 5 + self.final_reply_timeout
    }
}

/// Whether a relay with these `offers` takes the letter, as far as it has said.
///
/// # Errors
/// The outcome of not asking it.
fn suits(letter: &Letter, offers: &Offers) -> Result<(), Outcome> {
    if letter.needs_utf8 && !offers.smtputf8 {
        let words = "the relay takes no addresses beyond ASCII (SMTPUTF8)";
        return Err(Outcome::Unsendable(Trouble::new(ErrorCategory::Refused, words)));
    }
    let Err(most) = offers.admit(letter.size()) else { return Ok(()) };
    let words = format!("the message has {} bytes, the relay takes at most {most} (SIZE)", letter.size());
    Err(Outcome::Refused(Refusal {
        class: AnswerClass::Content,
        permanent: true,
        wait: None,
        signature: signature(0, None, "the message is larger than the relay takes"),
        trouble: Trouble::new(ErrorCategory::Refused, words),
    }))
}
