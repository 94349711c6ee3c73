//! Recording providers, an SMTP relay and an HTTP API, which misbehave as the plan says. Every hand-over is written down
//! before it is answered: their ledgers are the truth that Volley's books are held against.

pub(super) mod http;
pub(super) mod ledger;
pub(super) mod smtp;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;

use super::dice::mix;
use super::lab::Lab;
use super::plan::{Climate, Weather};
use ledger::Ledger;

/// What an answer takes when there is nothing to wait for.
const QUICK: Duration = Duration::from_millis(2);

/// The kinds of provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An SMTP relay: knows no keys.
    Smtp,
    /// An HTTP API that honours idempotency keys.
    Http,
}

impl Kind {
    /// Its name; also that of the pool and the campaign that go to it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Http => "http",
        }
    }
}

/// A provider on a thread of its own. Dropping it closes it.
pub(super) struct Provider {
    pub(super) kind: Kind,
    pub(super) addr: SocketAddr,
    state: Arc<State>,
    _lab: Lab,
}

/// What all connections of a provider share.
struct State {
    ledger: Ledger,
    seed: u64,
    climate: Climate,
    pace: Pace,
    weather: watch::Sender<Weather>,
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
        let lab = Lab::start(&format!("verify-{}", kind.name()))?;
        let (weather, _) = watch::channel(Weather::Fair);
        let state = Arc::new(State { ledger, seed, climate, pace, weather });
        let serving = Arc::clone(&state);
        let addr = match kind {
            Kind::Smtp => lab.listen(move |stream| smtp::serve(stream, Arc::clone(&serving)))?,
            Kind::Http => lab.listen(move |stream| http::serve(stream, Arc::clone(&serving)))?,
        };
        Ok(Self { kind, addr, state, _lab: lab })
    }

    /// What it has seen.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    /// Behaves like this from now on.
    pub(super) fn set_weather(&self, weather: Weather) {
        self.state.weather.send_replace(weather);
    }

    /// Answers quickly from now on.
    pub(super) fn hurry(&self) {
        self.state.pace.hurry.store(true, Ordering::Relaxed);
    }
}

impl State {
    fn weather(&self) -> Weather {
        *self.weather.borrow()
    }

    /// Comes back when the weather is no longer `bad`.
    async fn until_not(&self, bad: Weather) {
        let mut weather = self.weather.subscribe();
        let _sender_gone = weather.wait_for(|weather| *weather != bad).await;
    }

    /// Comes back when the weather is `bad`.
    async fn until_becomes(&self, bad: Weather) {
        let mut weather = self.weather.subscribe();
        let _sender_gone = weather.wait_for(|weather| *weather == bad).await;
    }

    /// What becomes of the hand-over of `recipient`: by its number and how often it was tried, so that the same seed
    /// makes the same trouble whatever the order.
    fn fate(&self, recipient: usize) -> Fate {
        let tries = self.ledger.tried(recipient);
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
    async fn half_latency(&self) {
        let Pace { began, length, usual, hurry } = &self.pace;
        let elapsed = began.get_or_init(Instant::now).elapsed();
        let latency = if hurry.load(Ordering::Relaxed) || elapsed >= *length {
            QUICK
        } else {
            let lead = self.ledger.share_done() - elapsed.as_secs_f64() / length.as_secs_f64();
            // A few per cent ahead: several times as slow. Behind: quick.
            if lead > 0.0 { usual.mul_f64((1.0 + lead * 50.0).min(4.0)) } else { usual.mul_f64(0.2).max(QUICK) }
        };
        tokio::time::sleep(latency / 2).await;
    }
}
