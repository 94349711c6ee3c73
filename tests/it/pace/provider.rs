//! Providers as they are found in the world, in so far as they refuse.

use std::collections::{HashMap, VecDeque};

use volley::domain::dispatch::answer::AnswerClass;

/// What a provider refuses.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// More than so many a second.
    Rate(f64),
    /// More than so many calls at once.
    AtOnce(usize),
    /// More than so many connections, idle ones among them.
    Connections(usize),
    /// Everything from one time to another.
    Outage(f64, f64),
    /// Everything after so many.
    Quota(usize),
    /// Nothing; it slows down with what it has to do, and thrashes a little.
    Slows(usize),
    /// That share of the recipients, in the first 300 s after their first try.
    Greylist(f64),
    /// Four in five of one recipient domain.
    Domain,
    /// More a second than the first; than the second between 120 s and 240 s.
    Moving(f64, f64),
}

/// A provider.
pub(super) struct Provider {
    pub(super) rule: Rule,
    /// How it words its refusals.
    pub(super) class: AnswerClass,
    pub(super) permanent: bool,
    pub(super) wait: Option<f64>,
    pub(super) latency: f64,
    pub(super) at_once: usize,
    pub(super) connections: usize,
    accepted: usize,
    lately: VecDeque<f64>,
    first_tries: HashMap<i64, f64>,
}

impl Provider {
    pub(super) fn new(rule: Rule, class: AnswerClass, latency: f64) -> Self {
        let none = Vec::new();
        Self {
            rule,
            class,
            permanent: false,
            wait: None,
            latency,
            at_once: 0,
            connections: 0,
            accepted: 0,
            lately: none.into(),
            first_tries: HashMap::new(),
        }
    }

    fn allows(&mut self, rate: f64, now: f64) -> bool {
        while self.lately.front().is_some_and(|then| *then <= now - 1.0) {
            self.lately.pop_front();
        }
        let allowed = (self.lately.len() as f64) < rate;
        if allowed {
            self.lately.push_back(now);
        }
        allowed
    }

    /// Whether a call is taken, and how long it takes. A connection of its own is needed unless one was kept.
    pub(super) fn call(&mut self, recipient: i64, domain: u8, kept: bool, rng: f64, now: f64) -> (bool, f64) {
        let short = self.latency.min(0.02);
        let taken = match self.rule {
            Rule::Rate(rate) => self.allows(rate, now),
            Rule::Moving(low, high) => {
                let rate = if (120.0..240.0).contains(&now) { high } else { low };
                self.allows(rate, now)
            }
            Rule::AtOnce(most) => self.at_once < most,
            Rule::Connections(most) => kept || self.connections < most,
            Rule::Outage(from, to) => !(from..to).contains(&now),
            Rule::Quota(most) => self.accepted < most,
            Rule::Slows(_) => true,
            Rule::Greylist(share) => {
                let first = *self.first_tries.entry(recipient).or_insert(now);
                let listed = ((recipient * 7919) % 1000) as f64 / 1000.0 < share;
                !listed || now - first >= 300.0
            }
            Rule::Domain => domain != 1 || rng < 0.2,
        };
        if !taken {
            return (false, short);
        }
        self.accepted += 1;
        let slower = if let Rule::Slows(well) = self.rule { self.at_once as f64 / well as f64 } else { 1.0 };
        let takes = self.latency * slower.max(1.0).powf(1.25);
        (true, takes * (0.8 + 0.4 * rng))
    }

    /// What it would take a second, of so many places in all.
    pub(super) fn allowed(&self, places: usize, now: f64) -> f64 {
        let by_places = |most: usize| most.min(places) as f64 / self.latency;
        match self.rule {
            Rule::Rate(rate) => rate.min(by_places(places)),
            Rule::Moving(low, high) => if (120.0..240.0).contains(&now) { high } else { low }.min(by_places(places)),
            Rule::AtOnce(most) | Rule::Connections(most) | Rule::Slows(most) => by_places(most),
            Rule::Outage(..) | Rule::Quota(_) | Rule::Greylist(_) | Rule::Domain => by_places(places),
        }
    }
}
