//! What all instances of a pool have in common: one row.

use serde::{Deserialize, Serialize};

use super::circuit::{CUTS_NOTHING, Circuit};
use super::places::Places;
use super::rate::{Block, RateCeiling};
use super::report::{Passed, Refused, Report, Step};
use super::tally::Tally;
use super::undo::Undo;
use super::verdict::{DomainWait, Scope, Verdict};
use super::window::{Window, second_of};
use super::{Limits, Seconds, number};
use crate::domain::dispatch::answer::AnswerClass;

/// The longest time of quiet that a provider is given, in seconds.
const LONGEST_QUIET: Seconds = 300.0;

/// An instance that did not report for so long has no part of the places.
const GONE_AFTER: Seconds = 5.0;

/// A delivery that was put off so often, and nobody else refused meanwhile, has a trouble of its own.
const ALONE: u32 = 6;

/// A delivery that was put off so often, while others were accepted, has a trouble of its own.
const FAULTS: u32 = 2;

/// A second recipient has to hear a wish for quiet within this time before the whole pool follows it.
const HEARD_WITHIN: Seconds = 60.0;

/// What all instances of a pool have in common.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shared {
    /// Rises with every change.
    pub version: i64,
    /// The ceiling on calls a second.
    pub rate: RateCeiling,
    /// The ceiling on calls at once.
    pub places: Places,
    /// Whether the provider is used at all.
    pub circuit: Circuit,
    /// What answers were found, or said, to be about.
    pub verdicts: Vec<Verdict>,
    /// Domains that are throttled alone.
    pub domains: Vec<DomainWait>,
    /// Until when the provider wants quiet.
    pub pause_until: Seconds,
    /// The last time a ceiling was lowered.
    pub last_cut: Option<Cut>,
    /// Cuts that were taken back.
    pub undo: Undo,
    /// What accepted calls take, smoothed.
    pub latency: Seconds,
    pub(super) window: Window,
    tally: Tally,
    /// Instances that have work, and when they last reported.
    members: Vec<(i64, Seconds)>,
    /// Who last heard a wish for quiet, and when.
    heard: Option<(i64, Seconds)>,
    /// A cut that is made if an accepted call ends the run of refusals.
    owed: Option<Owed>,
}

/// A ceiling that was lowered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// When.
    pub at: Seconds,
    /// What the provider said.
    pub detail: String,
    /// Calls a second before and after, where that ceiling was lowered.
    pub rate: Option<(Option<f64>, f64)>,
    /// Calls at once before and after, where that ceiling was lowered.
    pub places: Option<(f64, f64)>,
}

/// Which ceilings a refusal lowers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Lowers {
    Rate,
    Places,
    Both,
    /// Both, and taken back if it does not help.
    Doubtful,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Owed {
    lowers: Lowers,
    began: Seconds,
    signature: String,
    detail: String,
    share: f64,
    sample: u32,
}

/// How a pool stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing holds it back but the settings.
    Full,
    /// It may do fewer calls at once than the settings allow.
    SlowedPlaces,
    /// It may do fewer calls a second than the settings allow.
    SlowedRate,
    /// One call at a time: nothing was accepted lately.
    Tiptoe,
    /// The provider asked for quiet.
    Paused,
    /// The provider is left alone, and probed.
    CircuitOpen,
}

impl State {
    /// Its name in the API and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::SlowedPlaces => "slowed_places",
            Self::SlowedRate => "slowed_rate",
            Self::Tiptoe => "tiptoe",
            Self::Paused => "paused",
            Self::CircuitOpen => "circuit_open",
        }
    }
}

/// What comes of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Exchange {
    /// Calls that may begin, where there is a ceiling on them and some were asked for.
    pub block: Option<Block>,
    /// Whether one call may probe the provider.
    pub probe: bool,
}

impl Shared {
    /// Takes a report, and raises what may be raised.
    pub fn exchange(&mut self, report: &Report, limits: &Limits, now: Seconds) -> Exchange {
        if report.active || report.hungry {
            self.seen(report.member, now);
        }
        for step in &report.steps {
            match step {
                Step::Passed(passed) => self.passed(passed, limits, now),
                Step::Refused(refused) => self.refused(refused, limits, now),
                Step::Lost { detail, .. } => {
                    if self.circuit.lost() {
                        self.circuit.open(detail, false, limits, now);
                    }
                }
            }
        }
        let (latency, most) = (self.latency, self.most(limits));
        let span = (2.0 * latency).max(3.0);
        self.take_back(now);
        if !self.circuit.is_open() && self.circuit.run < CUTS_NOTHING && now >= self.pause_until {
            // A slow pool is looked at for longer.
            let slow = self.rate.ceiling.map_or(0.0, |ceiling| (3.0 / ceiling).min(15.0));
            let started = self.window.started_per_second(now, span.max(slow));
            self.rate.raise(started, latency, limits.rate, now);
            self.places.raise(report.hungry, latency, most, now);
        }
        self.rate.forget(now);
        self.places.forget(now);
        let probe = report.wants_probe && self.circuit.probe(limits, now);
        let block = if report.wants_tokens && !self.circuit.is_open() { self.reserve(limits, now) } else { None };
        Exchange { block, probe }
    }

    /// Takes cuts back that did not help. Returns whether it did.
    fn take_back(&mut self, now: Seconds) -> bool {
        let calls = self.window.results_per_second(now, (2.0 * self.latency).max(3.0));
        if self.circuit.run >= CUTS_NOTHING {
            return false;
        }
        let Some(restore) = self.undo.look(calls, now) else { return false };
        (self.rate.ceiling, self.places.total) = (restore.rate, restore.places);
        self.rate.void(now);
        self.verdicts.retain(|known| known.signature != restore.signature || known.until.is_none());
        true
    }

    fn reserve(&mut self, limits: &Limits, now: Seconds) -> Option<Block> {
        let rate = self.rate_in_force(limits)?;
        Some(self.rate.reserve(rate, now.max(self.pause_until)))
    }

    fn seen(&mut self, member: i64, now: Seconds) {
        self.members.retain(|(_, at)| now - at < GONE_AFTER);
        match self.members.binary_search_by_key(&member, |(known, _)| *known) {
            Ok(place) => self.members.iter_mut().skip(place).take(1).for_each(|(_, at)| *at = now),
            Err(place) => self.members.insert(place, (member, now)),
        }
    }

    /// How many instances have work, at least one.
    #[must_use]
    pub fn members(&self) -> usize {
        self.members.len().max(1)
    }

    /// Places that the settings give all instances together.
    fn most(&self, limits: &Limits) -> f64 {
        number(limits.places * self.members())
    }

    /// Calls a second that are allowed, where anything but the settings limits them.
    #[must_use]
    pub fn rate_in_force(&self, limits: &Limits) -> Option<f64> {
        self.rate.in_force(limits.rate, self.circuit.is_on_tiptoe())
    }

    /// The part that an instance has of the places.
    #[must_use]
    pub fn part_of(&self, member: i64, limits: &Limits, now: Seconds) -> usize {
        let rank = self.members.iter().position(|(known, _)| *known == member);
        let of = self.members() + usize::from(rank.is_none() && !self.members.is_empty());
        self.places.part(rank.unwrap_or(of - 1), of, limits.places, self.latency, now)
    }

    /// How the pool stands.
    #[must_use]
    pub fn state(&self, limits: &Limits, now: Seconds) -> State {
        if self.circuit.is_open() {
            State::CircuitOpen
        } else if now < self.pause_until {
            State::Paused
        } else if self.circuit.is_on_tiptoe() {
            State::Tiptoe
        } else if self.rate.ceiling.is_some() {
            State::SlowedRate
        } else if self.places.total(self.most(limits)) < self.most(limits) {
            State::SlowedPlaces
        } else {
            State::Full
        }
    }

    /// Whether nothing is held back and nothing was refused lately: then instances need not tell each other anything.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.rate.ceiling.is_none()
            && self.places.total.is_none()
            && !self.circuit.is_open()
            && self.circuit.run == 0
            && !self.window.has_refusals()
    }

    /// Whether anything but the settings holds the pool back.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.rate.ceiling.is_some() || self.places.total.is_some() || self.circuit.is_open()
    }

    /// Accepted a second, over the last seconds.
    #[must_use]
    pub fn accepted_per_second(&self, now: Seconds) -> f64 {
        self.window.accepted_per_second(now, (2.0 * self.latency).max(3.0))
    }

    /// How many of a thousand calls of the last ten minutes were refused, not surely for their recipient's sake. `None`: no calls.
    #[must_use]
    pub fn refused_per_thousand(&self, now: Seconds) -> Option<f64> {
        self.tally.refused_per_thousand(now)
    }

    /// The instances that have work, with the places that each may use now.
    #[must_use]
    pub fn places_by_instance(&self, limits: &Limits, now: Seconds) -> Vec<(i64, usize)> {
        let at_work = self.members.iter().filter(|(_, at)| now - at < GONE_AFTER);
        at_work.map(|(member, _)| (*member, self.part_of(*member, limits, now))).collect()
    }

    fn passed(&mut self, passed: &Passed, limits: &Limits, now: Seconds) {
        self.window.started(passed.second, passed.started);
        if passed.accepted + passed.answered > 0 {
            self.tally.add(passed.at, passed.accepted + passed.answered, 0);
        }
        if passed.answered > 0 {
            self.circuit.answered(passed.at);
        }
        if passed.accepted == 0 {
            return;
        }
        self.window.accepted(passed.second, passed.accepted, passed.latency);
        for (domain, count) in passed.domains.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.window.of_domain(passed.second, u8::try_from(domain).ok(), *count, 0);
        }
        let mean = passed.latency / f64::from(passed.accepted);
        let weight = 1.0 - 0.9_f64.powf(f64::from(passed.accepted));
        self.latency = if self.latency == 0.0 { mean } else { self.latency + (mean - self.latency) * weight };
        self.undo.results(passed.oldest, passed.accepted, 0, now);
        let run = self.circuit.run;
        if self.circuit.is_on_tiptoe() {
            // That was an outage, and says nothing about whether a cut helped.
            self.undo.forget();
        }
        if self.circuit.accepted(passed.oldest, passed.at) {
            self.come_back(limits, now);
        } else if run > 0
            && let Some(owed) = self.owed.take()
        {
            self.lower(&owed, limits, now);
        }
        self.owed = None;
    }

    /// The provider is back: at half the speed of before, raised at once.
    fn come_back(&mut self, limits: &Limits, now: Seconds) {
        (self.owed, self.last_cut) = (None, None);
        let Some((rate, measured, places)) = self.circuit.before.take() else { return };
        let most = self.most(limits);
        let before = places.unwrap_or(most).min(most);
        if !self.places.pinned {
            self.places.total = Some((0.5 * before).max(1.0));
            self.places.aim = Some(before);
            (self.places.next_at, self.places.raised_at) = (now, 0.0);
            (self.places.cut_at, self.places.came_back_at) = (0.0, now);
        }
        if !self.rate.pinned {
            self.rate.came_back_at = now;
            self.rate.ceiling = rate.map(|rate| (0.5 * rate).max(0.2));
            self.rate.measured = rate.unwrap_or(measured);
            (self.rate.cut_at, self.rate.next_raise_at, self.rate.step) = (0.0, now, 0.05);
        }
        self.rate.void(now);
    }

    fn refused(&mut self, refused: &Refused, limits: &Limits, now: Seconds) {
        self.window.refused(second_of(refused.at), refused.domain);
        self.tally.add(refused.at, 1, 1);
        let is_unsure = refused.class == AnswerClass::Unsure;
        let is_bare = is_unsure && refused.permanent;
        let before = (self.rate.ceiling, self.rate.measured, self.places.total);
        if !self.circuit.is_news(refused.began) {
            return;
        }
        if self.circuit.refused(refused.recipient, refused.at, is_bare, refused.first_try) {
            self.circuit.before = Some(before);
        }
        if is_unsure {
            self.undo.results(refused.began, 0, 1, now);
        }
        match refused.class {
            AnswerClass::RelayQuota => self.circuit.open(&refused.detail, true, limits, now),
            AnswerClass::RelayAuth => self.circuit.open(&refused.detail, false, limits, now),
            AnswerClass::RelayRate | AnswerClass::RelayOutage if refused.wait.is_some() => self.quiet(refused, now),
            AnswerClass::RelayRate => self.trouble(refused, Lowers::Rate, limits, now),
            AnswerClass::RelayConnections => self.trouble(refused, Lowers::Places, limits, now),
            AnswerClass::RelayOutage => self.trouble(refused, Lowers::Both, limits, now),
            AnswerClass::Unsure => match self.judge(refused, now) {
                Scope::Relay => self.trouble(refused, Lowers::Doubtful, limits, now),
                Scope::Domain => self.rest_domain(refused, now),
                Scope::Recipient | Scope::Undecided => {}
            },
            AnswerClass::Address | AnswerClass::Recipient => {}
            AnswerClass::Content | AnswerClass::Policy | AnswerClass::Sender => {}
        }
        if self.circuit.is_due(now) && !self.undo.is_no_matter_of_pace(now) {
            self.circuit.open(&refused.detail, false, limits, now);
        }
    }

    fn trouble(&mut self, refused: &Refused, lowers: Lowers, limits: &Limits, now: Seconds) {
        if self.circuit.is_open() {
            return;
        }
        let (share, sample) = self.others_refused(refused.domain, now);
        let (signature, detail) = (refused.signature.clone(), refused.detail.clone());
        let owed = Owed { lowers, began: refused.began, signature, detail, share, sample };
        if self.circuit.run >= CUTS_NOTHING {
            // What was measured around an outage says nothing about what the provider takes.
            self.owed = Some(owed).filter(|_| lowers != Lowers::Both);
        } else {
            self.lower(&owed, limits, now);
        }
    }

    /// Lowers ceilings, if the call began after they were last lowered.
    fn lower(&mut self, owed: &Owed, limits: &Limits, now: Seconds) {
        let (latency, most) = (self.latency, self.most(limits));
        let span = (2.0 * latency).max(3.0);
        let doubtful = owed.lowers == Lowers::Doubtful;
        if doubtful {
            if self.take_back(now) {
                return;
            }
            self.found_relay(&owed.signature, owed.share, owed.sample, now);
            if self.undo.waits(now) || owed.began <= self.rate.cut_at {
                return;
            }
            let calls = self.window.results_per_second(now, span);
            let standing = (self.rate.ceiling, self.places.total);
            self.undo.cutting((owed.share, calls), standing, &owed.signature, now);
        }
        let (rate, places) = (self.rate.ceiling, self.places.total(most));
        if owed.lowers != Lowers::Places && owed.began > self.rate.cut_at {
            self.rate.cut(self.window.accepted_per_second(now, span), now);
        }
        if owed.lowers == Lowers::Places && owed.began > self.places.cut_at {
            let at_once = self.window.accepted_at_once(now, span);
            self.places.cut(at_once, owed.began, latency, most, now);
        }
        if matches!(owed.lowers, Lowers::Both | Lowers::Doubtful)
            && owed.began > self.places.cut_at
            && let Some(ceiling) = self.rate.ceiling
        {
            self.places.cap((1.5 * ceiling * latency).ceil(), most, now);
        }
        let after = (self.rate.ceiling, self.places.total(most));
        if after != (rate, places) {
            self.last_cut = Some(Cut {
                at: now,
                detail: owed.detail.clone(),
                rate: after.0.filter(|after| Some(*after) != rate).map(|after| (rate, after)),
                places: (after.1 < places).then_some((places, after.1)),
            });
        }
    }

    /// The provider named a time. One recipient may be meant alone; the pool is quiet when a second one hears it.
    fn quiet(&mut self, refused: &Refused, now: Seconds) {
        let wait = refused.wait.unwrap_or_default().min(LONGEST_QUIET);
        let first = self.heard.replace((refused.recipient, now));
        let again = first.is_some_and(|(who, at)| who != refused.recipient && now - at <= HEARD_WITHIN);
        if !again || now + wait <= self.pause_until {
            return;
        }
        let known = self.pause_until;
        self.pause_until = now + wait;
        if refused.began > self.rate.cut_at && refused.began >= known {
            let span = (2.0 * self.latency).max(3.0);
            let accepted = self.window.accepted_per_second(now, span);
            let (before, hold) = (self.rate.ceiling, self.rate.hold);
            let long = if self.rate.is_confirmed(accepted) { (8.0 * wait).min(300.0) } else { wait };
            self.rate.cut(accepted, now);
            self.rate.hold = hold.max(long);
            if let Some(after) = self.rate.ceiling {
                let rate = Some((before, after));
                self.last_cut = Some(Cut { at: now, detail: refused.detail.clone(), rate, places: None });
            }
        }
        self.rate.void(self.pause_until);
        self.rate.next_raise_at = self.pause_until + 2.0;
    }

    /// Whether a refusal that would be the provider's is this recipient's own: it was put off before, there was an answer
    /// to it, and a call was accepted that began after a delivery's first try was last refused.
    #[must_use]
    pub fn is_own(&self, refused: &Refused) -> bool {
        let enough = match refused.class {
            AnswerClass::RelayOutage | AnswerClass::RelayAuth => FAULTS,
            AnswerClass::RelayRate if refused.wait.is_some() => FAULTS,
            // A few in a row may be met by anybody who is one too many.
            AnswerClass::RelayRate | AnswerClass::RelayConnections | AnswerClass::RelayQuota => ALONE,
            AnswerClass::Unsure | AnswerClass::Address | AnswerClass::Recipient => return false,
            AnswerClass::Content | AnswerClass::Policy | AnswerClass::Sender => return false,
        };
        let others_fare_well = refused.put_offs >= enough && self.circuit.takes_others();
        // The last of a campaign has nobody to be compared with any more. A quota is used up for the last one, too.
        let may_be_last = refused.put_offs >= ALONE && refused.class != AnswerClass::RelayQuota;
        let nobody_else = may_be_last && self.circuit.is_alone(refused.recipient);
        refused.answered && (others_fare_well || nobody_else)
    }

    /// An operator forgets all ceilings.
    pub fn reset(&mut self, now: Seconds) {
        let epoch = self.rate.epoch;
        self.rate = RateCeiling { epoch, ..RateCeiling::default() };
        self.rate.void(now);
        self.places = Places::default();
        self.undo = Undo::default();
        self.verdicts.retain(|known| known.until.is_none());
        self.domains.clear();
        (self.pause_until, self.owed, self.heard, self.last_cut) = (0.0, None, None, None);
    }

    /// An operator sets a ceiling, which is then neither raised nor lowered.
    pub fn pin(&mut self, rate: Option<f64>, places: Option<f64>, now: Seconds) {
        if let Some(rate) = rate {
            (self.rate.ceiling, self.rate.pinned) = (Some(rate), true);
            self.rate.void(now);
        }
        if let Some(places) = places {
            (self.places.total, self.places.pinned) = (Some(places.max(1.0)), true);
        }
    }

    /// An operator wants a provider that is left alone probed at once.
    pub fn probe_now(&mut self, now: Seconds) {
        self.circuit.probe_now(now);
        self.pause_until = self.pause_until.min(now);
        self.rate.tat = self.rate.tat.min(now);
    }
}
