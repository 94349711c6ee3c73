//! Recording providers, an SMTP relay and an HTTP API, which misbehave as the plan says. Every hand-over is written down
//! before it is answered: their ledgers are the truth that Volley's books are held against. The servers beneath play scripts
//! ([`script`]), for the tests, too.

pub mod act;
pub mod http;
pub mod kind;
pub mod script;
pub mod server;
pub mod wire;

pub(super) mod ledger;
pub(super) mod smtp;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::VerifyError;
use super::climate::Climate;
use super::provider_mode::ProviderMode;
use super::rng::mix;
use crate::verify::provider::kind::Kind;
use act::{Act, Moment, Stage, Step};
use ledger::{Ledger, number_in};
use script::Script;
use server::Server;
use wire::Protocol;

/// What an answer takes when there is nothing to wait for.
const QUICK: Duration = Duration::from_millis(2);

/// A provider on a thread of its own. Dropping it closes it.
pub(super) struct Provider {
    pub(super) kind: Kind,
    state: Arc<State>,
    server: Server,
}

/// What its answers depend on, beside the weather.
struct State {
    ledger: Arc<Ledger>,
    seed: u64,
    climate: Climate,
    pace: Pace,
}

/// How quickly answers come: slowly while the campaign is ahead of its time, quickly when it lags behind, so that it
/// lasts as long as the plan does.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the campaign was launched.
    pub(super) began: OnceLock<Instant>,
    /// How long it is to last.
    pub(super) length: Duration,
    /// What an answer takes when it is in time.
    pub(super) usual: Duration,
    /// The plan is over: no need to wait for anything.
    pub(super) hurry: AtomicBool,
}

/// What becomes of one hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Taken, and told so.
    Taken,
    /// Taken; the connection is cut instead of an answer.
    ReplyLost,
    /// Not taken; the connection is cut.
    CutBefore,
    /// Taken, and answered with an error.
    ErrorAfter,
    /// Not taken now.
    Later,
    /// Not taken, ever.
    Rejected,
}

impl Provider {
    /// # Errors
    /// The system gives no thread or no port.
    pub(super) fn start(kind: Kind, ledger: Ledger, seed: u64, climate: Climate, pace: Pace) -> io::Result<Self> {
        let state = Arc::new(State { ledger: Arc::new(ledger), seed, climate, pace });
        let protocol = match kind {
            Kind::Smtp => Protocol::Smtp,
            Kind::Http => Protocol::Http,
        };
        let witness = Arc::clone(&state.ledger);
        let server = Server::start(protocol, witness, {
            let state = Arc::clone(&state);
            move |moment: &Moment<'_>| state.act(moment)
        })?;
        Ok(Self { kind, state, server })
    }

    /// Where it listens.
    pub(super) fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// What it has seen.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    /// Behaves like this from now on.
    ///
    /// # Errors
    /// Another program has taken the port that was given up, or the weather's script is wrong.
    pub(super) fn set_weather(&self, weather: ProviderMode) -> Result<(), VerifyError> {
        let script = Script::parse(&weather.script(self.kind));
        let script = script.map_err(|error| VerifyError::failed("read the script of a weather", &error))?;
        let state = Arc::clone(&self.state);
        self.server.play(move |moment| script.act(moment).or_else(|| state.act(moment)));
        if weather == ProviderMode::Refused {
            self.server.refuse_connections();
            return Ok(());
        }
        if weather == ProviderMode::HangUp {
            self.server.cut_all();
        }
        self.server.accept_connections().map_err(VerifyError::io("open a provider's port again"))
    }

    /// Answers quickly from now on.
    pub(super) fn hurry(&self) {
        self.state.pace.hurry.store(true, Ordering::Relaxed);
    }
}

impl State {
    /// What it does in fair weather.
    fn act(&self, moment: &Moment<'_>) -> Option<Act> {
        let recipient = number_in(moment.recipient).unwrap_or(usize::MAX);
        match moment.stage {
            Stage::Ehlo => Some(Act::say("250-verify\n250-PIPELINING\n250 8BITMIME")),
            Stage::Rcpt => match self.fate(recipient, self.ledger.tried(recipient)) {
                Fate::Rejected => {
                    self.ledger.refuse(recipient);
                    Some(Act::say("550 5.1.1 no such mailbox"))
                }
                Fate::Later => Some(Act::say("451 4.3.0 try later")),
                Fate::Taken | Fate::ReplyLost | Fate::CutBefore | Fate::ErrorAfter => None,
            },
            Stage::Final => {
                let tries = self.ledger.tries(recipient).saturating_sub(1);
                Some(self.end(self.fate(recipient, tries), || Step::Cut.into(), || Step::Cut.into()))
            }
            Stage::Request => {
                let fate = self.fate(recipient, self.ledger.tried(recipient));
                if fate == Fate::Rejected {
                    self.ledger.refuse(recipient);
                }
                Some(self.end(fate, || Act::answer(400, Vec::new(), ""), || Act::answer(500, Vec::new(), "")))
            }
            Stage::Connect
            | Stage::Greeting
            | Stage::Helo
            | Stage::Auth
            | Stage::Mail
            | Stage::Data
            | Stage::Content
            | Stage::Rset
            | Stage::Noop
            | Stage::Quit
            | Stage::Other
            | Stage::Head
            | Stage::Reply => None,
        }
    }

    /// What becomes of a whole message: `no` where it is refused, `error` where it is taken and called an error.
    fn end(&self, fate: Fate, no: impl Fn() -> Act, error: impl Fn() -> Act) -> Act {
        let half = Step::Wait(self.half_latency());
        let taken = [half.clone(), Step::Take, half.clone()];
        let steps = match fate {
            Fate::Taken => taken.to_vec(),
            Fate::ReplyLost => [&taken[..], &[Step::Cut]].concat(),
            Fate::ErrorAfter => [taken.to_vec(), error().steps].concat(),
            Fate::CutBefore => vec![half, Step::Cut],
            Fate::Later => [vec![half], later().steps].concat(),
            Fate::Rejected => [vec![half], no().steps].concat(),
        };
        Act { steps }
    }

    /// What becomes of the hand-over of `recipient`: by its number and how often it was tried before, so that the same seed
    /// makes the same trouble whatever the order.
    fn fate(&self, recipient: usize, tries: u64) -> Fate {
        let thrown = |salt: u64| {
            let recipient = u64::try_from(recipient).unwrap_or(u64::MAX);
            mix(self.seed ^ mix(recipient.wrapping_mul(64).wrapping_add(salt))) % 1_000
        };
        let Climate { reply_lost, cut_before, error_after, later, rejected } = self.climate;
        if thrown(63) < rejected {
            return Fate::Rejected;
        }
        let roll = thrown(tries.min(60));
        let mut limit = 0;
        let ways = [
            (reply_lost, Fate::ReplyLost),
            (cut_before, Fate::CutBefore),
            (error_after, Fate::ErrorAfter),
            (later, Fate::Later),
        ];
        for (share, fate) in ways {
            limit += share;
            if roll < limit {
                return fate;
            }
        }
        Fate::Taken
    }

    /// Half of what an answer takes: it passes before the message counts as taken, and again before the sender hears.
    fn half_latency(&self) -> Duration {
        let Pace { began, length, usual, hurry } = &self.pace;
        let elapsed = began.get_or_init(Instant::now).elapsed();
        let latency = if hurry.load(Ordering::Relaxed) || elapsed >= *length {
            QUICK
        } else {
            let lead = self.ledger.share_done() - elapsed.as_secs_f64() / length.as_secs_f64();
            // A few per cent ahead: several times as slow. Behind: quick.
            if lead > 0.0 { usual.mul_f64((1.0 + lead * 50.0).min(4.0)) } else { usual.mul_f64(0.2).max(QUICK) }
        };
        latency / 2
    }
}

/// Said to one recipient in some hundreds, while all others are taken: what that is about shows only in how they fare. A word
/// about the pace would be a lie here, and slow the pool down each time; it belongs to the weather.
fn later() -> Act {
    Act::answer(425, Vec::new(), "not now")
}
