//! The sandbox: no network, latency and failures by dice. For trying Volley out and for its own tests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Channel, Deliver, Gate, Probe, Unusable};
use crate::config::pools::SandboxConfig;
use crate::domain::content::message::Envelope;
use crate::domain::dispatch::answer::{AnswerClass, Refusal};
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::domain::dispatch::outcome::Outcome;
use crate::domain::dispatch::trouble::Trouble;

/// Shortest and longest call unless `latency_ms` says otherwise, in milliseconds.
const DEFAULT_LATENCY_MS: [u64; 2] = [50, 200];

/// A provider made of dice.
#[derive(Debug)]
pub struct Sandbox {
    shortest: Duration,
    longest: Duration,
    failure_rate: f64,
    crash_on: Option<String>,
    dice: Dice,
}

impl Sandbox {
    /// A sandbox as the pool's settings describe it.
    ///
    /// # Errors
    /// `latency_ms` is upside down, `failure_rate` is no share, or the system gives no randomness.
    pub(super) fn new(config: &SandboxConfig) -> Result<Self, Unusable> {
        let [shortest, longest] = config.latency_ms.unwrap_or(DEFAULT_LATENCY_MS);
        if shortest > longest {
            return Err(Unusable::new("latency_ms: the first must not be greater than the second"));
        }
        let failure_rate = config.failure_rate.unwrap_or(0.0);
        if !(0.0..=1.0).contains(&failure_rate) {
            return Err(Unusable::new("failure_rate must be between 0.0 and 1.0"));
        }
        let seed = getrandom::u64()
            .map_err(|error| Unusable::new(format!("failure_rate: no randomness to draw from ({error})")))?;
        Ok(Self {
            shortest: Duration::from_millis(shortest),
            longest: Duration::from_millis(longest),
            failure_rate,
            crash_on: config.crash_on.clone(),
            dice: Dice(AtomicU64::new(seed)),
        })
    }

    async fn call(&self, envelope: &Envelope, gate: &dyn Gate) -> Outcome {
        // Like a message that ends the process that composes it: nothing has left, so nothing is uncertain about it.
        if self.crash_on.as_deref() == Some(envelope.to.as_str()) {
            std::process::abort();
        }
        if let Err(reason) = gate.begin() {
            return Outcome::NotBegun(reason);
        }
        tokio::time::sleep(self.shortest + (self.longest - self.shortest).mul_f64(self.dice.share())).await;
        let luck = self.dice.share();
        if luck >= self.failure_rate {
            Outcome::Accepted { provider_id: Some(format!("sandbox-{:016x}", self.dice.roll())) }
        } else if luck < self.failure_rate / 2.0 {
            refused(true, Trouble::new(ErrorCategory::Refused, "sandbox: refused permanently"))
        } else {
            refused(false, Trouble::new(ErrorCategory::ProviderError, "sandbox: refused temporarily"))
        }
    }
}

/// The dice mean this recipient.
fn refused(permanent: bool, trouble: Trouble) -> Outcome {
    let signature = trouble.detail.clone();
    Outcome::Refused(Refusal { class: AnswerClass::Recipient, permanent, wait: None, signature, trouble })
}

impl Channel for Sandbox {
    fn deliver<'a>(&'a self, envelope: &'a Envelope, gate: &'a dyn Gate) -> Deliver<'a> {
        Box::pin(self.call(envelope, gate))
    }

    fn probe(&self) -> Probe<'_> {
        Box::pin(std::future::ready(Ok("the sandbox is always there".to_owned())))
    }

    fn call_timeout(&self) -> Duration {
        self.longest + Duration::from_secs(1)
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, shared without a lock, and good enough for dice.
#[derive(Debug)]
struct Dice(AtomicU64);

impl Dice {
    fn roll(&self) -> u64 {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0.0 (included) to 1.0 (excluded).
    fn share(&self) -> f64 {
        let top = u32::try_from(self.roll() >> 32).unwrap_or(u32::MAX);
        f64::from(top) / 4_294_967_296.0
    }
}
