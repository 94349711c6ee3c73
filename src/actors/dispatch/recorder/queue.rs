//! Outcomes that wait for a flush, and pages that resist: one that cannot be recorded must not keep the others waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{RETRY_EVERY, Record};
use crate::domain::dispatch::backoff;
use crate::domain::ids::PageId;

/// The longest wait before a page that resists is tried again.
const RETRY_AT_MOST: Duration = Duration::from_secs(15);

/// An outcome, and when it came.
pub(super) type Waiting = (Record, Instant);

/// Outcomes in the order they came. A page that a failed flush had in it is flushed alone until that succeeds: first at
/// once, to find out which of them it was, then less and less often.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Vec<Waiting>,
    resisting: BTreeMap<PageId, Resistance>,
}

struct Resistance {
    /// Flushes of this page alone that failed.
    failures: u32,
    not_before: Instant,
}

impl Queue {
    pub(super) fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }

    /// Whether some page could not be recorded the last time.
    pub(super) fn is_resisted(&self) -> bool {
        !self.resisting.is_empty()
    }

    /// Adds what came, and leaves `outcomes` empty.
    pub(super) fn append(&mut self, outcomes: &mut Vec<Waiting>) {
        self.waiting.append(outcomes);
    }

    /// What to flush next, at most `most`: those of a page that resists and whose time has come, else the oldest of all
    /// other pages.
    pub(super) fn take(&mut self, now: Instant, most: usize) -> Vec<Waiting> {
        if self.resisting.is_empty() {
            return self.waiting.drain(..most.min(self.waiting.len())).collect();
        }
        let is_due = |page: &PageId| self.resisting.get(page).is_some_and(|resistance| resistance.not_before <= now);
        let due = self.waiting.iter().map(page).find(is_due);
        let fits = |outcome: &mut Waiting| match due {
            Some(due) => page(outcome) == due,
            None => !self.resisting.contains_key(&page(outcome)),
        };
        self.waiting.extract_if(.., fits).take(most).collect()
    }

    /// A flush of these succeeded.
    pub(super) fn recorded(&mut self, batch: &[Waiting]) {
        for page in batch.iter().map(page) {
            self.resisting.remove(&page);
        }
    }

    /// A flush of these failed. They wait again; whether a page of them is to blame, each will show alone.
    pub(super) fn resisted(&mut self, batch: Vec<Waiting>, now: Instant) {
        let pages: BTreeSet<PageId> = batch.iter().map(page).collect();
        let alone = pages.len() == 1;
        for page in pages {
            let resistance = self.resisting.entry(page).or_insert(Resistance { failures: 0, not_before: now });
            if alone {
                resistance.failures = resistance.failures.saturating_add(1);
                resistance.not_before = now + backoff::doubling(RETRY_EVERY, resistance.failures, RETRY_AT_MOST);
            }
        }
        self.waiting.extend(batch);
    }

    /// The database did not take a flush of these, and no page is to blame.
    pub(super) fn put_back(&mut self, batch: Vec<Waiting>) {
        self.waiting.extend(batch);
    }
}

fn page((record, _): &Waiting) -> PageId {
    record.settlement.page
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::dispatch::claim::ClaimKey;
    use crate::domain::dispatch::lease::LeaseToken;
    use crate::domain::dispatch::settlement::{Settlement, Verdict};
    use crate::domain::ids::{CampaignId, ContactId};
    use crate::runtime::batcher::Batcher;

    fn outcomes(pages: &[i64], now: Instant) -> Vec<Waiting> {
        let outcome = |(contact, page): (usize, &i64)| {
            let contact = ContactId(i64::try_from(contact).unwrap());
            let key = ClaimKey { campaign: CampaignId(1), contact, claim_no: 1, token: LeaseToken(1) };
            let verdict = Verdict::untouched();
            let settlement = Settlement { key, page: PageId(*page), verdict, key_valid_ms: None, content: None };
            (Record { settlement, begun: None, ack: Arc::new(Batcher::new()) }, now)
        };
        pages.iter().enumerate().map(outcome).collect()
    }

    fn pages_of(batch: &[Waiting]) -> Vec<i64> {
        batch.iter().map(|outcome| page(outcome).0).collect()
    }

    #[test]
    fn a_page_that_cannot_be_recorded_does_not_hold_up_the_others() {
        let mut now = Instant::now();
        let mut queue = Queue::default();
        queue.append(&mut outcomes(&[1, 2, 1, 3], now));
        let all = queue.take(now, 100);
        assert_eq!(pages_of(&all), [1, 2, 1, 3]);
        queue.resisted(all, now);
        // Each alone; the second is to blame.
        for alone in [vec![1, 1], vec![2], vec![3]] {
            let batch = queue.take(now, 100);
            assert_eq!(pages_of(&batch), alone);
            match alone == [2] {
                true => queue.resisted(batch, now),
                false => queue.recorded(&batch),
            }
        }
        // From now on the others go on together, and it is tried alone, less and less often.
        for wait in [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000] {
            queue.append(&mut outcomes(&[1, 2, 3], now));
            let others = queue.take(now, 100);
            assert_eq!(pages_of(&others), [1, 3], "{wait}");
            queue.recorded(&others);
            assert!(queue.take(now, 100).is_empty());
            now += Duration::from_millis(wait);
            let again = queue.take(now, 100);
            assert!(pages_of(&again).iter().all(|page| *page == 2) && !again.is_empty());
            queue.resisted(again, now);
        }
        now += RETRY_AT_MOST;
        let gives_in = queue.take(now, 100);
        queue.recorded(&gives_in);
        queue.append(&mut outcomes(&[1, 2], now));
        assert_eq!(pages_of(&queue.take(now, 100)), [1, 2], "together again");
    }

    #[test]
    fn an_outage_of_the_database_is_held_against_no_page() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.append(&mut outcomes(&[1, 2], now));
        let batch = queue.take(now, 100);
        queue.put_back(batch);
        assert_eq!(pages_of(&queue.take(now, 100)), [1, 2]);
    }
}
