//! The guardian: a panic ends an actor forever, so the guardian holds the factories and starts it again.

use std::time::{Duration, Instant};

use actix::prelude::*;
use serde::Serialize;

use crate::domain::dispatch::backoff;

/// How often actors are looked at.
const CHECK_EVERY: Duration = Duration::from_millis(250);

/// The first wait before a dead actor is built again, and the longest.
const RESTART: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

/// Something that can be built again.
pub struct Supervised {
    name: String,
    build: Box<dyn Fn(i64) -> Box<dyn Fn() -> bool>>,
    alive: Box<dyn Fn() -> bool>,
    generation: i64,
    since: Instant,
    failures: u32,
}

impl Supervised {
    /// Builds generation 1 at once. `build` starts the given generation and returns how to ask whether it lives.
    pub fn new(name: impl Into<String>, build: impl Fn(i64) -> Box<dyn Fn() -> bool> + 'static) -> Self {
        let alive = build(1);
        Self { name: name.into(), build: Box::new(build), alive, generation: 1, since: Instant::now(), failures: 0 }
    }

    fn check(&mut self, now: Instant) {
        if (self.alive)() {
            if now.duration_since(self.since) > RESTART.1 {
                self.failures = 0;
            }
            return;
        }
        let wait = backoff::doubling(RESTART.0, self.failures + 1, RESTART.1);
        if now.duration_since(self.since) < wait {
            return;
        }
        self.failures += 1;
        self.generation += 1;
        self.since = now;
        metrics::counter!("volley_actor_restarts_total", "actor" => self.name.clone()).increment(1);
        tracing::error!(
            event = "actor.died",
            actor = self.name,
            generation = self.generation,
            "an actor has died and is started again"
        );
        self.alive = (self.build)(self.generation);
    }
}

/// The actor.
pub struct Guardian {
    supervised: Vec<Supervised>,
}

/// Reports every ward.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Vec<SupervisedState>")]
pub struct GetState;

/// The state of an actor.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SupervisedState {
    /// The actor.
    pub actor: String,
    /// How often it was built.
    pub generation: i64,
    /// Whether it lives.
    pub alive: bool,
}

impl Guardian {
    /// A guardian of these.
    #[must_use]
    pub fn new(supervised: Vec<Supervised>) -> Self {
        Self { supervised }
    }
}

impl Actor for Guardian {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(CHECK_EVERY, |guardian, _| {
            let now = Instant::now();
            guardian.supervised.iter_mut().for_each(|supervised| supervised.check(now));
        });
    }
}

impl Handler<GetState> for Guardian {
    type Result = MessageResult<GetState>;

    fn handle(&mut self, _: GetState, _: &mut Self::Context) -> Self::Result {
        let state = |supervised: &Supervised| SupervisedState {
            actor: supervised.name.clone(),
            generation: supervised.generation,
            alive: (supervised.alive)(),
        };
        MessageResult(self.supervised.iter().map(state).collect())
    }
}
