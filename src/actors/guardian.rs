//! The guardian: a panic ends an actor for good, so somebody outside holds the factories and builds it again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix::prelude::*;
use serde::Serialize;

use super::dispatch::sender_pool::{Forget, Offer, SenderPool, Trusts, Wake};
use crate::domain::dispatch::backoff;
use crate::store::dispatch::pages::LeaseToken;

/// How often actors are looked at.
const CHECK_EVERY: Duration = Duration::from_millis(250);

/// The first wait before a dead actor is built again, and the longest.
const RESTART: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

/// The pools of this instance, by name, as they are now: a rebuilt pool replaces its former self here.
#[derive(Clone, Default)]
pub struct PoolDirectory {
    pools: Arc<Mutex<BTreeMap<String, Entry>>>,
    trusts: Trusts,
}

#[derive(Clone)]
struct Entry {
    addr: Addr<SenderPool>,
    generation: i64,
}

impl PoolDirectory {
    /// Enters a pool.
    pub fn enter(&self, name: &str, addr: Addr<SenderPool>, generation: i64) {
        self.lock().insert(name.to_owned(), Entry { addr, generation });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Entry>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a pool that there may be work. A full mailbox or a dead pool loses the hint, which costs one tick.
    pub fn wake(&self, name: &str) {
        if let Some(entry) = self.lock().get(name) {
            let _ = entry.addr.try_send(Wake);
        }
    }

    /// Tells a pool of a page. A full mailbox or a dead pool lets the page go, which is then found by a look.
    pub fn offer(&self, name: &str, offer: Offer) {
        if let Some(entry) = self.lock().get(name) {
            let _ = entry.addr.try_send(offer);
        }
    }

    /// Tells a pool that a lease of it was ended. Not heard, the pool learns it when it renews.
    pub fn forget(&self, name: &str, lease: Forget) {
        if let Some(entry) = self.lock().get(name) {
            let _ = entry.addr.try_send(lease);
        }
    }

    /// Where the pools enter their leases.
    #[must_use]
    pub fn trusts(&self) -> Trusts {
        self.trusts.clone()
    }

    /// Ends the trust in a lease of any pool here, at once: nothing begins under it any more ([`Trusts::end`]).
    pub fn fence(&self, token: LeaseToken) {
        self.trusts.end(token);
    }

    /// Tells every pool.
    pub fn wake_all(&self) {
        for entry in self.lock().values() {
            let _ = entry.addr.try_send(Wake);
        }
    }

    /// Each pool's address.
    #[must_use]
    pub fn all(&self) -> Vec<Addr<SenderPool>> {
        self.lock().values().map(|entry| entry.addr.clone()).collect()
    }

    /// Whether a lease of this generation belongs to a pool that lives. One that is not entered yet is just being built.
    #[must_use]
    pub fn is_alive(&self, name: &str, generation: i64) -> bool {
        self.lock().get(name).is_none_or(|entry| match entry.generation.cmp(&generation) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => entry.addr.connected(),
            std::cmp::Ordering::Greater => false,
        })
    }
}

/// Where an actor that may be built again is to be found at the moment.
pub struct Present<A: Actor>(Arc<Mutex<Option<Addr<A>>>>);

impl<A: Actor> Present<A> {
    /// Nowhere yet.
    #[must_use]
    pub fn nowhere() -> Self {
        Self(Arc::default())
    }

    /// Notes a newly built actor.
    pub fn enter(&self, addr: Addr<A>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(addr);
    }

    /// The actor, dead or alive.
    #[must_use]
    pub fn get(&self) -> Option<Addr<A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<A: Actor> Clone for Present<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Something that can be built again.
pub struct Ward {
    name: String,
    build: Box<dyn Fn(i64) -> Box<dyn Fn() -> bool>>,
    alive: Box<dyn Fn() -> bool>,
    generation: i64,
    since: Instant,
    failures: u32,
}

impl Ward {
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
        tracing::error!(actor = self.name, generation = self.generation, "an actor died and is built again");
        self.alive = (self.build)(self.generation);
    }
}

/// The actor.
pub struct Guardian {
    wards: Vec<Ward>,
}

/// Reports every ward.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Vec<WardState>")]
pub struct GetState;

/// How an actor fares.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct WardState {
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
    pub fn new(wards: Vec<Ward>) -> Self {
        Self { wards }
    }
}

impl Actor for Guardian {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(CHECK_EVERY, |guardian, _| {
            let now = Instant::now();
            guardian.wards.iter_mut().for_each(|ward| ward.check(now));
        });
    }
}

impl Handler<GetState> for Guardian {
    type Result = MessageResult<GetState>;

    fn handle(&mut self, _: GetState, _: &mut Self::Context) -> Self::Result {
        let state =
            |ward: &Ward| WardState { actor: ward.name.clone(), generation: ward.generation, alive: (ward.alive)() };
        MessageResult(self.wards.iter().map(state).collect())
    }
}
