//! Looks at the campaigns all the time, through whatever instance answers, and holds them to the first promise.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::injector::{Found, millis};
use super::stage::{Campaign, Stage};
use super::{Event, Tell, VerifyError};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::dispatch::page::Counts;

/// How often the campaigns are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Every so many looks the rows are counted, too: the totals that a look shows are sums of the states themselves.
const AUDIT: u64 = 20;
/// How often progress is told.
const TELL: Duration = Duration::from_millis(500);
/// The most violations that are told in words.
const TOLD: usize = 20;

/// A campaign as the API shows it.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Sight {
    status: CampaignStatus,
    stats: Stats,
    packing: Option<Packing>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Packing {
    done: bool,
    expected: i64,
}

/// The rows, counted one by one.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Audit {
    consistent: bool,
    total: i64,
    expected: Option<i64>,
    packed: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Stats {
    total: i64,
    #[serde(flatten)]
    counts: Counts,
}

/// Where the run is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Since the launch.
    pub elapsed: Duration,
    /// Everyone.
    pub recipients: i64,
    /// Recipients by state, over all campaigns.
    pub counts: Counts,
    /// Handed over twice so far.
    pub twice: u64,
    /// Conservation violations so far.
    pub violations: u64,
}

impl Progress {
    /// How many have come to an end.
    #[must_use]
    pub fn settled(&self) -> i64 {
        self.counts.total() - self.counts.pending - self.counts.sending
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Counts { sent, failed, skipped, uncertain, .. } = self.counts;
        write!(
            f,
            "{:>3} s  {}/{}  sent {sent}  failed {failed}  skipped {skipped}  uncertain {uncertain}  twice {}  \
             violations {}",
            self.elapsed.as_secs(),
            self.settled(),
            self.recipients,
            self.twice,
            self.violations
        )
    }
}

/// What was seen from the side.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Looks that were answered.
    pub(super) looks: u64,
    /// Counts of the rows that were answered.
    pub(super) audits: u64,
    pub(super) violations: u64,
}

/// The watch over one run.
pub(super) struct Watch<'a> {
    pub(super) stage: &'a Stage,
    pub(super) campaigns: &'a [Campaign],
    pub(super) recipients: usize,
    pub(super) launched: Instant,
    /// Set when all campaigns have ended.
    pub(super) over: &'a Cell<bool>,
    /// The attack is over: from now on it may not stand still for longer than `patience`.
    pub(super) calm: &'a Cell<bool>,
    pub(super) patience: Duration,
    pub(super) tell: Tell<'a>,
    pub(super) found: &'a RefCell<Found>,
}

impl Watch<'_> {
    /// Looks until all campaigns have ended.
    ///
    /// # Errors
    /// They stand still though nothing is broken any more, or an instance that ended by itself does not start again.
    pub(super) async fn run(&self) -> Result<Seen, VerifyError> {
        let mut seen = Seen::default();
        let mut last: Vec<Option<Sight>> = vec![None; self.campaigns.len()];
        let mut told = Instant::now();
        let mut moved = (0, Instant::now());
        for turn in 0_u64.. {
            for (campaign, last) in self.campaigns.iter().zip(&mut last) {
                let path = format!("/v1/campaigns/{}", campaign.id);
                let answer = self.stage.fleet.look(&path).await;
                let Some(sight) = answer.and_then(|body| serde_json::from_value::<Sight>(body).ok()) else { continue };
                seen.looks += 1;
                let audience = i64::try_from(campaign.audience).unwrap_or(i64::MAX);
                for wrong in violations(last.as_ref(), &sight, audience) {
                    self.complain(&mut seen, campaign, wrong, &sight);
                }
                *last = Some(sight);
                if turn % AUDIT == AUDIT / 2 {
                    let path = format!("{path}/audit");
                    let answer = self.stage.fleet.look(&path).await;
                    let audit = answer.and_then(|body| serde_json::from_value::<Audit>(body).ok());
                    for wrong in audit.iter().flat_map(|audit| disagreements(audit, audience)) {
                        self.complain(&mut seen, campaign, wrong, &audit);
                    }
                    seen.audits += u64::from(audit.is_some());
                }
            }
            self.mourn().await?;
            let progress = self.progress(&last, &seen);
            if told.elapsed() >= TELL {
                (self.tell)(&Event::Progress(progress));
                told = Instant::now();
            }
            if last.iter().all(|sight| sight.is_some_and(|sight| sight.status.is_ended())) {
                self.over.set(true);
                (self.tell)(&Event::Progress(progress));
                return Ok(seen);
            }
            if progress.settled() != moved.0 || !self.calm.get() {
                moved = (progress.settled(), Instant::now());
            }
            if moved.1.elapsed() > self.patience {
                return Err(VerifyError::Stuck { seconds: self.patience.as_secs(), at: progress.to_string() });
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(seen)
    }

    fn complain(&self, seen: &mut Seen, campaign: &Campaign, wrong: &str, at: &impl std::fmt::Debug) {
        seen.violations += 1;
        let mut found = self.found.borrow_mut();
        if found.complaints.len() < TOLD {
            found.complaints.push(format!("campaign {}: {wrong}: {at:?}", campaign.id));
        }
    }

    /// Starts instances again that ended though nobody asked them to.
    async fn mourn(&self) -> Result<(), VerifyError> {
        for instance in &self.stage.fleet.instances {
            if let Some(how) = instance.ended_by_itself() {
                let at = millis(self.launched.elapsed());
                let complaint = format!("instance {} ended by itself at {at} ms: {how}", instance.number);
                self.found.borrow_mut().complaints.push(complaint);
                instance.start().await?;
            }
        }
        Ok(())
    }

    fn progress(&self, last: &[Option<Sight>], seen: &Seen) -> Progress {
        let mut counts = Counts::default();
        for sight in last.iter().flatten() {
            let Counts { pending, sending, sent, failed, skipped, uncertain } = sight.stats.counts;
            counts.pending += pending;
            counts.sending += sending;
            counts.sent += sent;
            counts.failed += failed;
            counts.skipped += skipped;
            counts.uncertain += uncertain;
        }
        Progress {
            elapsed: self.launched.elapsed(),
            recipients: i64::try_from(self.recipients).unwrap_or(i64::MAX),
            counts,
            twice: self.stage.providers.iter().map(|provider| provider.ledger().totals().twice).sum(),
            violations: seen.violations,
        }
    }
}

/// What is wrong with a campaign's books, beside those that were seen last and the number of people that were imported.
fn violations(before: Option<&Sight>, now: &Sight, audience: i64) -> Vec<&'static str> {
    let (total, counts) = (now.stats.total, now.stats.counts);
    let before = before.map(|sight| sight.stats);
    let is_packed = now.packing.is_some_and(|packing| packing.done);
    let rules = [
        (counts.total() != total, "the states do not add up to the total"),
        (total > audience, "more recipients than the audience has"),
        (is_packed && total != audience, "everyone is packed, and the audience is not whole"),
        (now.packing.is_some_and(|packing| packing.expected != audience), "the audience was counted wrongly"),
        (before.is_some_and(|before| before.total > total), "recipients have disappeared"),
        (before.is_some_and(|before| before.counts.sent > counts.sent), "a recipient that was sent is no longer sent"),
    ];
    rules.into_iter().filter_map(|(broken, what)| broken.then_some(what)).collect()
}

/// What a count of the rows shows to be wrong.
fn disagreements(audit: &Audit, audience: i64) -> Vec<&'static str> {
    let rules = [
        (!audit.consistent, "rows and page counts disagree"),
        (audit.total > audience, "more rows than the audience has people"),
        (audit.packed && audit.total != audience, "everyone is packed, and rows are missing"),
        (audit.expected.is_some_and(|expected| expected != audience), "the audience was counted wrongly"),
    ];
    rules.into_iter().filter_map(|(broken, what)| broken.then_some(what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(total: i64, pending: i64, sent: i64) -> Sight {
        let counts = Counts { pending, sent, ..Counts::default() };
        Sight { status: CampaignStatus::Sending, stats: Stats { total, counts }, packing: None }
    }

    #[test]
    fn books_that_balance_and_only_grow_are_right() {
        assert!(violations(Some(&sight(10, 9, 1)), &sight(20, 15, 5), 20).is_empty());
    }

    #[test]
    fn whoever_is_lost_is_seen() {
        assert_eq!(violations(None, &sight(10, 5, 4), 10), ["the states do not add up to the total"]);
        assert_eq!(violations(Some(&sight(10, 0, 10)), &sight(9, 0, 9), 10).len(), 2);
        assert_eq!(violations(None, &sight(11, 11, 0), 10), ["more recipients than the audience has"]);
    }

    #[test]
    fn an_audience_that_is_packed_is_as_large_as_what_was_imported() {
        let packed =
            |total, expected| Sight { packing: Some(Packing { done: true, expected }), ..sight(total, total, 0) };
        assert!(violations(None, &packed(10, 10), 10).is_empty());
        // The states add up, and yet one is missing.
        assert_eq!(violations(None, &packed(9, 10), 10), ["everyone is packed, and the audience is not whole"]);
        assert_eq!(violations(None, &packed(9, 9), 10).len(), 2);
    }

    #[test]
    fn rows_are_held_against_what_was_imported() {
        let audit = Audit { consistent: true, total: 10, expected: Some(10), packed: true };
        assert!(disagreements(&audit, 10).is_empty());
        assert_eq!(disagreements(&Audit { total: 9, ..audit }, 10), ["everyone is packed, and rows are missing"]);
        assert_eq!(disagreements(&Audit { consistent: false, ..audit }, 10), ["rows and page counts disagree"]);
        assert!(disagreements(&Audit { total: 9, packed: false, ..audit }, 10).is_empty());
    }
}
