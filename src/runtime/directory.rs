//! Where the actors of this process are to be found at the moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use actix::dev::ToEnvelope;
use actix::prelude::*;

use super::pool::{Drain, Forget, GetState, Offer, Wake};
use super::trust::Trusts;
use crate::domain::dispatch::lease::LeaseToken;

/// The pools of this instance, by name, as they are now: a rebuilt pool replaces its former self here.
#[derive(Clone, Default)]
pub struct PoolDirectory {
    pools: Arc<Mutex<BTreeMap<String, Entry>>>,
    trusts: Trusts,
}

#[derive(Clone)]
struct Entry {
    wake: Recipient<Wake>,
    offer: Recipient<Offer>,
    forget: Recipient<Forget>,
    drain: Recipient<Drain>,
    state: Recipient<GetState>,
    generation: i64,
}

impl PoolDirectory {
    /// Enters a pool.
    pub fn enter<A>(&self, name: &str, addr: &Addr<A>, generation: i64)
    where
        A: Actor + Handler<Wake> + Handler<Offer> + Handler<Forget> + Handler<Drain> + Handler<GetState>,
        A::Context: ToEnvelope<A, Wake>
            + ToEnvelope<A, Offer>
            + ToEnvelope<A, Forget>
            + ToEnvelope<A, Drain>
            + ToEnvelope<A, GetState>,
    {
        let entry = Entry {
            wake: addr.clone().recipient(),
            offer: addr.clone().recipient(),
            forget: addr.clone().recipient(),
            drain: addr.clone().recipient(),
            state: addr.clone().recipient(),
            generation,
        };
        self.lock().insert(name.to_owned(), entry);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Entry>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a pool that there may be work. A full mailbox or a dead pool loses the hint, which costs one tick.
    pub fn wake(&self, name: &str) {
        if let Some(entry) = self.lock().get(name) {
            let _ = entry.wake.try_send(Wake);
        }
    }

    /// Tells a pool of a page. A full mailbox or a dead pool lets the page go, which is then found by a look.
    pub fn offer(&self, name: &str, offer: Offer) {
        if let Some(entry) = self.lock().get(name) {
            let _ = entry.offer.try_send(offer);
        }
    }

    /// Tells a pool that a lease of it was ended. Not heard, the pool learns it when it renews.
    pub fn forget(&self, name: &str, lease: Forget) {
        if let Some(entry) = self.lock().get(name) {
            let _ = entry.forget.try_send(lease);
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
            let _ = entry.wake.try_send(Wake);
        }
    }

    /// The addresses that take [`Drain`], one for each pool.
    #[must_use]
    pub fn drains(&self) -> Vec<Recipient<Drain>> {
        self.lock().values().map(|entry| entry.drain.clone()).collect()
    }

    /// The addresses that answer [`GetState`], one for each pool.
    #[must_use]
    pub fn states(&self) -> Vec<Recipient<GetState>> {
        self.lock().values().map(|entry| entry.state.clone()).collect()
    }

    /// Whether a lease of this generation belongs to a pool that lives. One that is not entered yet is just being built.
    #[must_use]
    pub fn is_alive(&self, name: &str, generation: i64) -> bool {
        self.lock().get(name).is_none_or(|entry| match entry.generation.cmp(&generation) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => entry.wake.connected(),
            std::cmp::Ordering::Greater => false,
        })
    }
}

/// Where an actor that may be built again is to be found at the moment.
pub struct Current<A: Actor>(Arc<Mutex<Option<Addr<A>>>>);

impl<A: Actor> Current<A> {
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

impl<A: Actor> Clone for Current<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
