//! A small world: instances of a pool, a provider, and time that passes by events.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use volley::domain::dispatch::pace::{Decision, Held, Limits, Member, Refused, Shared, State};

use super::provider::Provider;

/// One in so many looks of an instance at what it may do, in seconds.
const LOOK_EVERY: f64 = 0.25;

/// Due, recipient, domain, how often put off; who is in here was refused before.
type PutOff = Reverse<(u64, i64, u8, u32)>;

struct Call {
    member: usize,
    recipient: i64,
    domain: u8,
    put_offs: u32,
    first_try: bool,
    began: f64,
    accepted: bool,
    has_connection: bool,
}

enum Event {
    Look(usize),
    Wake(usize),
    Ends(Call),
    SecondLook(usize, Box<Held>),
}

/// What came of it.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) accepted: Vec<(f64, usize)>,
    pub(super) refused: usize,
    /// Attempts that were counted, by the recipient.
    pub(super) counted: Vec<i64>,
    pub(super) failed: usize,
}

pub(super) struct World {
    pub(super) limits: Limits,
    pub(super) provider: Provider,
    pub(super) shared: Shared,
    pub(super) tally: Tally,
    pub(super) now: f64,
    members: Vec<Member>,
    busy: Vec<usize>,
    idle: Vec<usize>,
    waking: Vec<f64>,
    put_off: Vec<BinaryHeap<PutOff>>,
    events: BinaryHeap<Reverse<(u64, u64)>>,
    what: HashMap<u64, Event>,
    serial: u64,
    next_recipient: i64,
    /// How many recipients there are.
    pub(super) recipients: i64,
    rng: fastrand::Rng,
}

fn micros(at: f64) -> u64 {
    (at * 1e6) as u64
}

impl World {
    pub(super) fn new(provider: Provider, instances: usize, limits: Limits, seed: u64) -> Self {
        let shared = Shared::default();
        let members = (0..instances).map(|id| Member::new(id as i64 + 1, limits.clone(), shared.clone())).collect();
        let mut world = Self {
            limits,
            provider,
            shared,
            tally: Tally::default(),
            now: 0.0,
            members,
            busy: vec![0; instances],
            idle: vec![0; instances],
            waking: vec![0.0; instances],
            put_off: (0..instances).map(|_| BinaryHeap::new()).collect(),
            events: BinaryHeap::new(),
            what: HashMap::new(),
            serial: 0,
            next_recipient: 0,
            recipients: i64::MAX,
            rng: fastrand::Rng::with_seed(seed),
        };
        for member in 0..instances {
            world.at(0.05 * member as f64, Event::Look(member));
        }
        world
    }

    fn rng(&mut self) -> f64 {
        self.rng.f64()
    }

    fn at(&mut self, at: f64, event: Event) {
        self.serial += 1;
        self.events.push(Reverse((micros(at), self.serial)));
        self.what.insert(self.serial, event);
    }

    /// Lets time pass.
    pub(super) fn run_until(&mut self, end: f64) {
        while let Some(Reverse((at, serial))) = self.events.peek().copied() {
            if at > micros(end) {
                break;
            }
            self.events.pop();
            self.now = at as f64 / 1e6;
            match self.what.remove(&serial).unwrap() {
                Event::Look(member) => {
                    self.exchange(member);
                    self.pump(member);
                    self.at(self.now + LOOK_EVERY, Event::Look(member));
                }
                Event::Wake(member) => {
                    if self.waking[member] <= self.now + 1e-6 {
                        self.waking[member] = 0.0;
                    }
                    self.pump(member);
                }
                Event::Ends(call) => self.ends(call),
                Event::SecondLook(member, held) => {
                    let decision = self.members[member].look_again(&held, self.now);
                    self.decided(member, &held.refused, decision);
                }
            }
        }
        self.now = end;
    }

    fn exchange(&mut self, member: usize) {
        let report = self.members[member].take_report(self.now);
        let exchange = self.shared.exchange(&report, &self.limits, self.now);
        self.members[member].exchanged(self.shared.clone(), exchange, self.now);
        let places = self.members[member].places(self.now);
        self.close_beyond(member, places);
    }

    fn close_beyond(&mut self, member: usize, places: usize) {
        let keep = places.saturating_sub(self.busy[member]).min(self.idle[member]);
        self.provider.connections -= self.idle[member] - keep;
        self.idle[member] = keep;
    }

    fn pump(&mut self, member: usize) {
        for _ in 0..200 {
            let has_work = self.next_recipient < self.recipients || self.is_due(member);
            let free = self.limits.places.saturating_sub(self.busy[member]);
            let wanted = if !has_work {
                0
            } else if self.members[member].is_careful() {
                64
            } else {
                free
            };
            let admission = self.members[member].admit(wanted, self.busy[member], self.now);
            if admission.count > 0 {
                let mut count = 0;
                for _ in 0..admission.count {
                    count += usize::from(self.begin(member));
                }
                self.members[member].begin(count.max(1));
                self.members[member].started(count, self.now);
                if count == 0 {
                    return;
                }
                continue;
            }
            if self.members[member].is_urgent() {
                let before = self.members[member].shared.clone();
                self.exchange(member);
                let again = self.members[member].admit(wanted, self.busy[member], self.now);
                if again.count > 0 || before.rate.epoch_changed(&self.members[member].shared.rate) {
                    continue;
                }
                if let Some(at) = again.again_at {
                    self.wake(member, at);
                }
                return;
            }
            if let Some(at) = admission.again_at {
                self.wake(member, at);
            }
            return;
        }
    }

    fn wake(&mut self, member: usize, at: f64) {
        // Not a moment too early: then it would have to be waited for again.
        let at = (at.max(self.now + 0.0005) * 1e6).ceil() / 1e6;
        if self.waking[member] <= self.now || at < self.waking[member] {
            self.waking[member] = at;
            self.at(at + 1e-7, Event::Wake(member));
        }
    }

    fn is_due(&self, member: usize) -> bool {
        self.put_off[member].peek().is_some_and(|Reverse((due, ..))| *due <= micros(self.now))
    }

    fn begin(&mut self, member: usize) -> bool {
        let first_try = !self.is_due(member);
        let (recipient, domain, put_offs) = if self.is_due(member) {
            let Reverse((_, recipient, domain, put_offs)) = self.put_off[member].pop().unwrap();
            (recipient, domain, put_offs)
        } else if self.next_recipient < self.recipients {
            self.next_recipient += 1;
            // One domain has three in ten of them.
            let domain = if self.next_recipient % 10 < 3 { 1 } else { 2 + (self.next_recipient % 20) as u8 };
            (self.next_recipient, domain, 0)
        } else {
            return false;
        };
        if let Some(wait) = self.members[member].shared.domain_wait(Some(domain), self.now) {
            self.put_off[member].push(Reverse((micros(self.now + wait), recipient, domain, put_offs)));
            return true;
        }
        let kept = self.idle[member] > 0;
        let rng = self.rng();
        let (accepted, takes) = self.provider.call(recipient, domain, kept, rng, self.now);
        if kept {
            self.idle[member] -= 1;
        } else if accepted {
            self.provider.connections += 1;
        }
        self.provider.at_once += usize::from(accepted);
        self.busy[member] += 1;
        let has_connection = kept || accepted;
        let call = Call { member, recipient, domain, put_offs, first_try, began: self.now, accepted, has_connection };
        self.at(self.now + takes, Event::Ends(call));
        true
    }

    fn ends(&mut self, call: Call) {
        let member = call.member;
        self.provider.at_once -= usize::from(call.accepted);
        self.busy[member] -= 1;
        self.members[member].ended(call.began);
        if call.has_connection {
            if self.idle[member] + self.busy[member] < self.members[member].places(self.now) {
                self.idle[member] += 1;
            } else {
                self.provider.connections -= 1;
            }
        }
        if call.accepted {
            self.tally.accepted.push((self.now, member));
            self.members[member].accepted(call.began, Some(call.domain), self.now);
        } else {
            self.tally.refused += 1;
            let class = self.provider.class;
            let refused = Refused {
                began: call.began,
                at: self.now,
                domain: Some(call.domain),
                class,
                permanent: self.provider.permanent,
                wait: self.provider.wait,
                signature: format!("{class:?}"),
                detail: String::new(),
                recipient: call.recipient,
                put_offs: call.put_offs,
                first_try: call.first_try,
                answered: true,
            };
            let decision = self.members[member].refused(refused.clone(), self.now);
            self.decided(member, &refused, decision);
        }
        self.exchange(member);
        self.pump(member);
    }

    fn decided(&mut self, member: usize, refused: &Refused, decision: Decision) {
        let domain = refused.domain.unwrap();
        match decision {
            Decision::Count => {
                self.tally.counted.push(refused.recipient);
                self.tally.failed += usize::from(refused.permanent);
                // By the retry delays of e-mail.
                let due = micros(self.now + 300.0);
                self.put_off[member].push(Reverse((due, refused.recipient, domain, 0)));
            }
            Decision::PutOff(wait) => {
                let due = micros(self.now + wait);
                self.put_off[member].push(Reverse((due, refused.recipient, domain, refused.put_offs + 1)));
            }
            Decision::Hold(held) => {
                let at = held.until;
                self.at(at, Event::SecondLook(member, Box::new(held)));
            }
        }
    }

    /// Accepted a second between two times.
    pub(super) fn speed(&self, from: f64, to: f64) -> f64 {
        let count = self.tally.accepted.iter().filter(|(at, _)| (from..to).contains(at)).count();
        count as f64 / (to - from)
    }

    /// The least that an instance got, as a part of the mean.
    pub(super) fn fairness(&self, from: f64, to: f64) -> f64 {
        let mut counts = vec![0.0_f64; self.members.len()];
        for (_, member) in self.tally.accepted.iter().filter(|(at, _)| (from..to).contains(at)) {
            counts[*member] += 1.0;
        }
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        counts.iter().copied().fold(f64::MAX, f64::min) / mean
    }

    /// How long after `at` the first call was accepted that began after it.
    pub(super) fn first_after(&self, at: f64) -> f64 {
        self.tally.accepted.iter().map(|(ended, _)| ended - at).find(|after| *after > 0.0).unwrap_or(f64::MAX)
    }

    pub(super) fn instances(&self) -> usize {
        self.members.len()
    }

    pub(super) fn state(&self) -> State {
        self.shared.state(&self.limits, self.now)
    }

    pub(super) fn refused_per_thousand(&self) -> f64 {
        1000.0 * self.tally.refused as f64 / (self.tally.refused + self.tally.accepted.len()).max(1) as f64
    }
}
