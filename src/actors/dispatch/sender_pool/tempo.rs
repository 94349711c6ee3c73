//! The pool's pace: what the actor tells the row that all instances share, and follows of what the row says.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::prelude::*;

use super::SenderPool;
use super::refusals::Undecided;
use crate::config::pools::PoolConfig;
use crate::config::timing::Timing;
use crate::domain::dispatch::pace::{Cut, Exchange, Held, Limits, Member, Seconds, Shared, State};
use crate::runtime::health::{AttentionCode, Trouble};
use crate::store::StoreError;
use crate::store::replicas::kept_paces::Heard;

/// How often an instance tells what it saw while there is nothing urgent.
const REGULARLY: Duration = Duration::from_secs(1);

/// For so long after a ceiling was lowered, in seconds, the campaigns show it.
const SHOWN: Seconds = 60.0;

/// The pool's pace, as this instance knows it.
pub(super) struct Tempo {
    pub(super) member: Member,
    /// The row's time at an instant here.
    clock: (Seconds, Instant),
    asking: bool,
    told: Instant,
    /// Not told again before: the database did not answer.
    not_before: Instant,
    /// Places, as the threads have them.
    places: usize,
    /// Whether operators see trouble.
    shown: bool,
    /// Whether the trouble that operators see, whatever it is, is over when nothing speaks of it any more.
    pub(super) clears: bool,
    /// Refusals that wait for their second look.
    pub(super) held: Vec<(Undecided, Held)>,
    /// What is wrong with the provider, since something was last accepted.
    pub(super) trouble: Option<String>,
    /// The journal takes no lines: nothing begins before.
    pub(super) rests_until: Option<Instant>,
}

impl Tempo {
    /// Nothing is known yet. `row_now`: the row's time.
    pub(super) fn new(instance: i64, limits: Limits, row_now: Seconds) -> Self {
        let now = Instant::now();
        Self {
            places: limits.places,
            member: Member::new(instance, limits, Shared::default()),
            clock: (row_now, now),
            asking: false,
            shown: false,
            clears: false,
            told: now.checked_sub(REGULARLY).unwrap_or(now),
            not_before: now,
            held: Vec::new(),
            trouble: None,
            rests_until: None,
        }
    }

    /// The row's time.
    pub(super) fn now(&self) -> Seconds {
        self.clock.0 + self.clock.1.elapsed().as_secs_f64()
    }

    /// Whether nothing may begin whatever the provider says.
    pub(super) fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// Whether the provider began or ceased to be in trouble since that was last shown.
    pub(super) fn has_changed(&self) -> bool {
        self.trouble.is_some() != self.shown
    }

    /// How long until the provider may be asked again, where it is left alone.
    pub(super) fn wait(&self) -> Duration {
        let shared = &self.member.shared;
        let probe = if shared.circuit.is_open() { shared.circuit.next_probe_at } else { 0.0 };
        self.until(probe.max(shared.pause_until))
    }

    /// How long until a time on the row's clock.
    pub(super) fn until(&self, at: Seconds) -> Duration {
        Duration::try_from_secs_f64((at - self.now()).max(0.0)).unwrap_or_default()
    }
}

/// What the settings say about a pool's pace.
#[must_use]
pub fn limits(pool: &PoolConfig, timing: &Timing) -> Limits {
    Limits {
        places: pool.concurrency,
        rate: pool.rate_per_second,
        second_look: timing.second_look().as_secs_f64(),
        put_off: timing.put_off().as_secs_f64(),
        step_back: timing.step_back().as_secs_f64(),
        probe_first: timing.circuit_first().as_secs_f64(),
        probe_longest: timing.circuit_max().as_secs_f64(),
    }
}

impl SenderPool {
    /// Tells the row what this instance saw and asks for what it needs. Returns whether something was granted at once. A pool
    /// that has nothing to tell, or nothing to do, reads the row all the same: an operator may have changed it.
    pub(super) fn exchange(&mut self, ctx: &mut Context<Self>) -> bool {
        let now = Instant::now();
        let regular = now.duration_since(self.admission.tempo.told) >= REGULARLY;
        let urgent = self.admission.tempo.member.is_urgent();
        if self.admission.tempo.asking || now < self.admission.tempo.not_before || !(urgent || regular) {
            return false;
        }
        self.admission.tempo.told = now;
        let row_now = self.admission.tempo.now();
        let news = self.admission.tempo.member.has_news();
        if !news {
            self.admission.tempo.member.forget(row_now);
        }
        let pool = self.context.pool.clone();
        let limits = self.admission.tempo.member.limits.clone();
        if !self.deps.paces.are_shared() {
            let heard = if news {
                let report = self.admission.tempo.member.take_report(row_now);
                self.deps.paces.exchange_here(&pool, &report, &limits)
            } else {
                let (shared, now) = self.deps.paces.read_here(&pool);
                (shared.unwrap_or_default(), Exchange::default(), now)
            };
            let granted = heard.1.block.is_some() || heard.1.probe;
            self.heard(heard);
            return granted;
        }
        self.admission.tempo.asking = true;
        let paces = self.deps.paces.clone();
        if news {
            let report = self.admission.tempo.member.take_report(row_now);
            let told = report.clone();
            let work = async move { paces.exchange(pool, told, limits).await };
            ctx.spawn(work.into_actor(self).map(move |result, pool, ctx| {
                if result.is_err() {
                    pool.admission.tempo.member.give_back(report);
                }
                pool.answered(result, ctx);
            }));
        } else {
            let work = async move { paces.read(pool).await };
            ctx.spawn(work.into_actor(self).map(move |result, pool, ctx| {
                let heard = result.map(|(shared, now)| (shared.unwrap_or_default(), Exchange::default(), now));
                pool.answered(heard, ctx);
            }));
        }
        false
    }

    fn answered(&mut self, result: Result<Heard, StoreError>, ctx: &mut Context<Self>) {
        self.admission.tempo.asking = false;
        match result {
            Ok(heard) => self.heard(heard),
            Err(error) => {
                self.admission.tempo.not_before = Instant::now() + self.deps.timing.due_tick();
                self.store_failed(&error);
            }
        }
        self.pump(ctx);
    }

    fn heard(&mut self, (shared, exchange, now): Heard) {
        self.admission.tempo.clock = (now, Instant::now());
        self.admission.tempo.member.exchanged(shared, exchange, now);
        self.follow_pace();
    }

    /// Follows what the row says: places and connections, whether anything begins, and what operators see.
    pub(super) fn follow_pace(&mut self) {
        let now = self.admission.tempo.now();
        let places = self.admission.tempo.member.places(now);
        if places != self.admission.tempo.places {
            self.admission.tempo.places = places;
            let count = self.shares.len().max(1);
            for (number, share) in self.shares.iter().enumerate() {
                share.limit(places / count + usize::from(number < places % count));
            }
        }
        let shared = &self.admission.tempo.member.shared;
        let state = shared.state(&self.admission.tempo.member.limits, now);
        self.context.halted.store(matches!(state, State::CircuitOpen | State::Paused), Ordering::Release);
        self.context.meters.pace(shared.rate.ceiling, places, state);
        self.admission.tempo.shown = self.admission.tempo.trouble.is_some();
        let trouble = self.trouble(state, now);
        let code = trouble.as_ref().map(|(code, _)| *code);
        // Other troubles of the pool are over when something is accepted.
        let says = code.is_some() || std::mem::take(&mut self.admission.tempo.clears);
        self.admission.tempo.clears |= code.is_some();
        if says && self.deps.health.note_pool(&self.context.pool, trouble) {
            match code {
                None => tracing::info!(
                    event = "pool.recovered",
                    pool = self.context.pool,
                    "the provider of the pool answers again"
                ),
                Some(AttentionCode::ProviderThrottling) => {
                    tracing::info!(
                        event = "pool.throttled",
                        pool = self.context.pool,
                        "the provider asks for fewer calls, so the pool slows down"
                    )
                }
                Some(_) => tracing::warn!(
                    event = "pool.unavailable",
                    pool = self.context.pool,
                    "the provider of the pool cannot be used; deliveries stay pending"
                ),
            }
        }
    }

    fn trouble(&self, state: State, now: Seconds) -> Option<Trouble> {
        let shared = &self.admission.tempo.member.shared;
        if state == State::CircuitOpen {
            return Some((AttentionCode::ProviderUnreachable, shared.circuit.reason.clone()));
        }
        if let Some(detail) = &self.admission.tempo.trouble {
            return Some((AttentionCode::ProviderUnreachable, detail.clone()));
        }
        // Slow is a trouble only to who has work.
        let lately = |cut: &&Cut| now - cut.at < SHOWN && !self.holdings.is_empty();
        let said = shared.last_cut.as_ref().filter(lately).map(|cut| cut.detail.as_str());
        match state {
            State::Tiptoe => {
                Some((AttentionCode::ProviderUnreachable, "nothing was accepted lately: one call at a time".to_owned()))
            }
            State::Paused => {
                let seconds = (shared.pause_until - now).ceil();
                Some((AttentionCode::ProviderThrottling, format!("the provider asked for a pause: {seconds} s left")))
            }
            State::SlowedRate => {
                let rate = shared.rate.ceiling.unwrap_or_default();
                said.map(|said| {
                    (AttentionCode::ProviderThrottling, format!("slowed to {rate:.1} a second after: {said}"))
                })
            }
            State::SlowedPlaces => {
                let places = self.admission.tempo.places;
                said.map(|said| {
                    (AttentionCode::ProviderThrottling, format!("slowed to {places} calls at once after: {said}"))
                })
            }
            State::Full | State::CircuitOpen => None,
        }
    }
}
