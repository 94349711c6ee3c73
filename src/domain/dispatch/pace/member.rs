//! One instance's part of a pool's pace.

use super::rate::Block;
use super::report::{Refused, Report, Step};
use super::shared::{Exchange, Shared};
use super::verdict::Scope;
use super::{Limits, Seconds, put_off};
use crate::domain::dispatch::answer::AnswerClass;

/// What becomes of a refused delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// It is the recipient's own trouble: the attempt counts, a permanent answer is final.
    Count,
    /// It goes back without an attempt, for so long.
    PutOff(Seconds),
    /// Unclear: decided by a second look at how the others fared.
    Hold(Held),
}

/// A refusal that waits for its second look.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The refusal.
    pub refused: Refused,
    /// When it is looked at.
    pub until: Seconds,
}

/// How many calls may begin now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Admission {
    /// So many.
    pub count: usize,
    /// When to look again, where time alone may bring more.
    pub again_at: Option<Seconds>,
}

/// For so long at least nothing begins and nothing ends before calls that hold all places count as hanging.
const HANGS: Seconds = 3.0;

/// One instance of a pool.
#[derive(Debug, Clone)]
pub struct Member {
    /// What this instance knows of the row, with its own reports in it.
    pub shared: Shared,
    /// The settings.
    pub limits: Limits,
    report: Report,
    block: Option<Block>,
    probe: bool,
    /// Since when it goes one by one, and how many calls have begun since and not ended.
    careful: Option<(Seconds, usize)>,
    /// Since when calls hold all places, and none has begun or ended.
    stuck_since: Option<Seconds>,
    /// Spreads waits; the same of each instance each time.
    rng: fastrand::Rng,
}

impl Member {
    /// An instance that knows nothing yet.
    #[must_use]
    pub fn new(member: i64, limits: Limits, shared: Shared) -> Self {
        let rng = fastrand::Rng::with_seed(member.unsigned_abs());
        let report = Report { member, ..Report::default() };
        Self { shared, limits, report, block: None, probe: false, careful: None, stuck_since: None, rng }
    }

    /// Whether somebody should tell the row what this instance saw, or ask it for something, before the next regular time.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.report.has_trouble() || self.report.wants_tokens || self.report.wants_probe
    }

    /// Whether there is anything to tell that others need to know.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.is_urgent() || !self.shared.is_calm()
    }

    /// Forgets what nobody needs to be told any more.
    pub fn forget(&mut self, now: Seconds) {
        self.report.forget(now);
    }

    /// What the row is to be told now.
    pub fn take_report(&mut self, now: Seconds) -> Report {
        self.report.forget(now);
        let member = self.report.member;
        std::mem::replace(&mut self.report, Report { member, ..Report::default() })
    }

    /// The row could not be reached: what it was to be told is told later.
    pub fn give_back(&mut self, report: Report) {
        let later = std::mem::replace(&mut self.report, report);
        self.report.steps.extend(later.steps);
        self.report.hungry |= later.hungry;
        self.report.active |= later.active;
    }

    /// What the row says now, and what it granted. What was seen meanwhile is not in it yet.
    pub fn exchanged(&mut self, shared: Shared, exchange: Exchange, now: Seconds) {
        self.shared = shared;
        if exchange.block.is_some() {
            self.block = exchange.block;
            // Somebody may have wanted some while they were asked for: a second block would throw this one away unused.
            self.report.wants_tokens = false;
        }
        self.probe |= exchange.probe;
        self.look_careful(now);
    }

    fn look_careful(&mut self, now: Seconds) {
        let careful = self.shared.circuit.is_on_tiptoe() || self.shared.circuit.is_open();
        match (careful, self.careful) {
            (true, None) => self.careful = Some((now, 0)),
            (false, Some(_)) => (self.careful, self.probe) = (None, false),
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// How many places this instance has now.
    #[must_use]
    pub fn places(&self, now: Seconds) -> usize {
        self.shared.part_of(self.report.member, &self.limits, now)
    }

    /// Whether anything but the settings holds this pool back.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.is_careful() || self.shared.is_limited()
    }

    /// Whether it goes one by one.
    #[must_use]
    pub fn is_careful(&self) -> bool {
        self.careful.is_some()
    }

    /// How many of `wanted` calls may begin, with `busy` under way. Asks the row for what is missing.
    pub fn admit(&mut self, wanted: usize, busy: usize, now: Seconds) -> Admission {
        let none = |again_at| Admission { count: 0, again_at };
        if wanted == 0 {
            return none(None);
        }
        self.report.active = true;
        if self.shared.circuit.is_open() {
            if self.probe {
                return Admission { count: 1, again_at: None };
            }
            self.report.wants_probe = now >= self.shared.circuit.next_probe_at;
            return none(Some(self.shared.circuit.next_probe_at));
        }
        if now < self.shared.pause_until {
            return none(Some(self.shared.pause_until));
        }
        let places = self.places(now);
        let free = match self.careful {
            Some((_, under_way)) => places.min(1).saturating_sub(under_way),
            // How far claims may run ahead of free places is not decided here.
            None if places >= self.limits.places => wanted,
            None if places > busy => places - busy,
            None => self.beside_hanging_calls(places, now),
        };
        if wanted > free && places < self.limits.places {
            self.report.hungry = true;
        }
        let wanted = wanted.min(free);
        if wanted == 0 || self.shared.rate_in_force(&self.limits).is_none() {
            return Admission { count: wanted, again_at: None };
        }
        let epoch = self.shared.rate.epoch;
        let most = u32::try_from(wanted).unwrap_or(u32::MAX);
        let block = self.block.as_mut().filter(|block| block.epoch == epoch);
        let (matured, next) = block.map_or((0, None), |block| {
            let matured = block.matured(now, most);
            (matured, (block.left > matured).then_some(block.next + f64::from(matured) * block.gap))
        });
        if next.is_none() {
            self.report.wants_tokens = true;
        }
        Admission { count: usize::try_from(matured).unwrap_or(0), again_at: next }
    }

    /// How many calls may begin although calls hold all of the `places`: one, when nothing has moved for so long that those
    /// calls must hang. The provider may be well again, and nobody would find out before the last of them has timed out.
    fn beside_hanging_calls(&mut self, places: usize, now: Seconds) -> usize {
        let since = *self.stuck_since.get_or_insert(now);
        let hang = places > 0 && now - since >= HANGS.max(2.0 * self.shared.latency);
        usize::from(hang)
    }

    /// So many calls are to begin, if there are recipients for them.
    pub fn begin(&mut self, count: usize) {
        let calls = u32::try_from(count).unwrap_or(u32::MAX);
        (self.probe, self.stuck_since) = (false, None);
        if let Some((_, under_way)) = &mut self.careful {
            *under_way += count;
        }
        if let Some(block) = &mut self.block {
            block.spend(calls);
        }
    }

    /// So many calls begin.
    pub fn started(&mut self, count: usize, now: Seconds) {
        self.report.started(u32::try_from(count).unwrap_or(u32::MAX), now);
    }

    /// A call that was to begin at `admitted` ended, or did not begin after all.
    pub fn ended(&mut self, admitted: Seconds) {
        self.stuck_since = None;
        if let Some((since, under_way)) = &mut self.careful
            && admitted >= *since
        {
            *under_way = under_way.saturating_sub(1);
        }
    }

    /// A call was accepted.
    pub fn accepted(&mut self, began: Seconds, domain: Option<u8>, now: Seconds) {
        self.report.accepted(began, now, domain);
    }

    /// A call was refused, surely because of its recipient or message.
    pub fn answered(&mut self, now: Seconds) {
        self.report.answered(now);
    }

    /// A call went out and was never answered.
    pub fn lost(&mut self, detail: &str, now: Seconds) {
        self.report.steps.push(Step::Lost { at: now, detail: detail.to_owned() });
    }

    /// A call was refused: what becomes of the delivery. Answers that are surely about their recipient
    /// are not asked about here.
    pub fn refused(&mut self, refused: Refused, now: Seconds) -> Decision {
        if self.shared.is_own(&refused) {
            return Decision::Count;
        }
        let sure = refused.class != AnswerClass::Unsure;
        let scope = if sure { Scope::Relay } else { self.shared.judge(&refused, now) };
        self.report.steps.push(Step::Refused(refused.clone()));
        match scope {
            Scope::Relay => Decision::PutOff(self.wait(&refused, sure)),
            Scope::Domain => {
                let domain = self.shared.domain_wait(refused.domain, now).unwrap_or(60.0);
                Decision::PutOff(domain.max(self.wait(&refused, false)))
            }
            Scope::Undecided if !Shared::is_patience_over(&refused) => Decision::PutOff(self.wait(&refused, false)),
            Scope::Recipient | Scope::Undecided => {
                let until = refused.at + self.limits.second_look;
                Decision::Hold(Held { refused, until })
            }
        }
    }

    /// The second look at a refusal that was held. Never holds again.
    pub fn look_again(&mut self, held: &Held, now: Seconds) -> Decision {
        if self.shared.counts(&held.refused, self.limits.second_look, now) {
            Decision::Count
        } else {
            Decision::PutOff(self.wait(&held.refused, false))
        }
    }

    /// How long a delivery waits that is put off.
    pub fn wait(&mut self, refused: &Refused, sure: bool) -> Seconds {
        let jitter = self.rng.f64();
        let times = refused.put_offs.saturating_add(1);
        put_off::wait(&self.limits, sure, times, jitter).max(refused.wait.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_calls_are_not_thrown_away_for_others_that_were_wanted_before_they_came() {
        let mut row = Shared::default();
        row.rate.ceiling = Some(30.0);
        let limits = Limits::default();
        let mut member = Member::new(1, limits.clone(), row.clone());
        assert_eq!(member.admit(5, 0, 0.0).count, 0);
        let report = member.take_report(0.0);
        assert!(report.wants_tokens);
        // The row takes its time, and the pool looks again meanwhile.
        assert_eq!(member.admit(5, 0, 0.01).count, 0);
        let exchange = row.exchange(&report, &limits, 0.02);
        member.exchanged(row.clone(), exchange, 0.03);
        assert!(!member.is_urgent(), "a second block is asked for");
        let mut begun = 0;
        for at in 0..20 {
            let count = member.admit(5, 0, 0.03 + f64::from(at) * 0.01).count;
            member.begin(count);
            begun += count;
        }
        assert_eq!(begun, 3, "a tenth of a second's worth");
        assert!(member.is_urgent(), "more is asked for when that is used up");
    }

    #[test]
    fn calls_that_hang_and_hold_all_places_do_not_keep_the_pool_from_trying_again() {
        let limits = Limits { rate: 60.0, ..Limits::default() };
        let mut row = Shared::default();
        let mut member = Member::new(1, limits.clone(), row.clone());
        let mut tell = |member: &mut Member, now| {
            let report = member.take_report(now);
            let exchange = row.exchange(&report, &limits, now);
            member.exchanged(row.clone(), exchange, now);
        };
        member.accepted(10.0, None, 10.005);
        tell(&mut member, 10.01);
        // Fewer refusals than put a pool on tiptoe, and enough that nothing is raised any more.
        for recipient in 0..7 {
            let refused = Refused {
                began: 10.1,
                at: 10.105,
                domain: None,
                class: AnswerClass::RelayOutage,
                permanent: false,
                wait: None,
                signature: "421 shutting down".to_owned(),
                detail: "421 shutting down".to_owned(),
                recipient,
                put_offs: 0,
                first_try: true,
                answered: true,
            };
            assert!(matches!(member.refused(refused, 10.105), Decision::PutOff(_)));
        }
        tell(&mut member, 10.11);
        let hanging = 3;
        assert!(!member.is_careful() && member.places(10.11) <= hanging, "{} places", member.places(10.11));
        let mut begun = Vec::new();
        for tick in 1..=100 {
            let now = 10.11 + f64::from(tick) * 0.1;
            let count = member.admit(5, hanging, now).count;
            if count > 0 {
                member.begin(count);
                member.ended(now);
                begun.push((count, now));
            }
            tell(&mut member, now);
        }
        assert!(matches!(begun.as_slice(), [(1, first), ..] if *first > 13.0 && *first < 14.0), "{begun:?}");
        assert!(begun.len() <= 3, "one each three seconds: {begun:?}");
    }
}
