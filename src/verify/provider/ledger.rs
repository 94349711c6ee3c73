//! What a provider saw and took, recipient by recipient.

use std::hash::{DefaultHasher, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::act::Message;
use super::wire::Witness;

/// A provider's memory, shared with its connections: some thirty bytes a recipient.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// The number of the first recipient.
    first: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug)]
struct Entries {
    recipients: Vec<Recipient>,
    instances: Vec<Begun>,
    totals: Totals,
}

#[derive(Debug, Clone, Default)]
struct Recipient {
    /// Hand-overs that came as far as naming the recipient.
    tries: u8,
    /// How often it was taken, repeats under the same key aside.
    taken: u8,
    /// Whether it was refused permanently.
    refused: bool,
    key: u64,
    body: u64,
}

/// Hand-overs that an instance began.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Begun {
    pub(crate) count: u64,
    pub(crate) last: Option<Instant>,
}

/// Sums.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    /// Hand-overs that began.
    pub(crate) begun: u64,
    /// Recipients who were taken at least once.
    pub(crate) taken: usize,
    /// Hand-overs beyond the first of somebody who was taken already.
    pub(crate) twice: u64,
    /// Requests that repeated a key and were answered as before.
    pub(crate) repeats: u64,
    /// Whole messages that were left without an answer.
    pub(crate) unanswered: usize,
    /// Keys that came with two bodies.
    pub(crate) conflicts: u64,
    /// Recipients that are not in the audience.
    pub(crate) strangers: u64,
    /// When somebody was last taken.
    pub(crate) last_taken: Option<Instant>,
}

/// A message by its key and body, hashed; without a key where the provider knows none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) key: Option<u64>,
    pub(crate) body: u64,
}

impl Ledger {
    /// For recipients `first` to `first + count - 1`, from so many instances.
    pub(crate) fn new(first: usize, count: usize, instances: usize) -> Self {
        let entries = Entries {
            recipients: vec![Recipient::default(); count],
            instances: vec![Begun::default(); instances],
            totals: Totals::default(),
        };
        Self { first, entries: Mutex::new(entries) }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a hand-over begins. Whose it is, is known a moment later: [`Ledger::begun_by`].
    pub(crate) fn begin(&self, at: Instant, instance: usize) {
        let mut entries = self.entries();
        entries.totals.begun += 1;
        if let Some(begun) = entries.instances.get_mut(instance) {
            begun.count += 1;
            begun.last = begun.last.max(Some(at));
        }
    }

    /// How often this recipient was tried before; this is one more.
    pub(crate) fn tried(&self, recipient: usize) -> u64 {
        let mut entries = self.entries();
        let Some(entry) = self.entry(&mut entries, recipient) else { return 0 };
        let before = entry.tries;
        entry.tries = entry.tries.saturating_add(1);
        u64::from(before)
    }

    /// How often this recipient was tried so far.
    pub(crate) fn tries(&self, recipient: usize) -> u64 {
        self.entry(&mut self.entries(), recipient).map_or(0, |entry| u64::from(entry.tries))
    }

    /// Notes that the provider takes a message.
    pub(crate) fn take(&self, recipient: usize, seen: Seen) {
        let now = Instant::now();
        let mut entries = self.entries();
        let Some(entry) = self.entry(&mut entries, recipient) else {
            entries.totals.strangers += 1;
            return;
        };
        let is_repeat = entry.taken > 0 && seen.key == Some(entry.key);
        let is_conflict = is_repeat && seen.body != entry.body;
        let is_first = entry.taken == 0;
        if !is_repeat {
            *entry = Recipient {
                taken: entry.taken.saturating_add(1),
                key: seen.key.unwrap_or_default(),
                body: seen.body,
                ..*entry
            };
        }
        let totals = &mut entries.totals;
        totals.repeats += u64::from(is_repeat);
        totals.conflicts += u64::from(is_conflict);
        totals.taken += usize::from(is_first);
        totals.twice += u64::from(!is_first && !is_repeat);
        totals.last_taken = Some(now);
    }

    /// Notes that the provider refuses a recipient permanently.
    pub(crate) fn refuse(&self, recipient: usize) {
        if let Some(entry) = self.entry(&mut self.entries(), recipient) {
            entry.refused = true;
        }
    }

    /// Whether a recipient was refused permanently.
    pub(crate) fn has_refused(&self, recipient: usize) -> bool {
        self.entry(&mut self.entries(), recipient).is_some_and(|entry| entry.refused)
    }

    fn entry<'a>(&self, entries: &'a mut Entries, recipient: usize) -> Option<&'a mut Recipient> {
        entries.recipients.get_mut(recipient.checked_sub(self.first)?)
    }

    /// How often a recipient was taken; `None` for one that is not in the audience.
    pub(crate) fn times_taken(&self, recipient: usize) -> Option<u8> {
        let place = recipient.checked_sub(self.first)?;
        self.entries().recipients.get(place).map(|entry| entry.taken)
    }

    /// The recipients it knows.
    pub(crate) fn recipients(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.entries().recipients.len()
    }

    /// How much of the whole was taken, 0 to 1.
    pub(crate) fn share_done(&self) -> f64 {
        let (taken, all) = {
            let entries = self.entries();
            (entries.totals.taken, entries.recipients.len())
        };
        let exact = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        exact(taken) / exact(all.max(1))
    }

    /// The sums so far.
    pub(crate) fn totals(&self) -> Totals {
        self.entries().totals
    }

    /// What an instance began so far.
    pub(crate) fn begun_by(&self, instance: usize) -> Begun {
        self.entries().instances.get(instance).copied().unwrap_or_default()
    }
}

impl Witness for Ledger {
    fn begun(&self, at: Instant, by: &str) {
        let digits = by.strip_prefix("instance-").unwrap_or(by).split('@').next().unwrap_or_default();
        self.begin(at, digits.parse().unwrap_or(usize::MAX));
    }

    fn unanswered(&self) {
        self.entries().totals.unanswered += 1;
    }

    fn taken(&self, message: &Message) {
        let key = message.key.as_deref().map(|key| hash(key.as_bytes()));
        // Only under a key may a body come again.
        let body = if key.is_some() { hash(&message.content) } else { 0 };
        self.take(number_in(&message.recipient).unwrap_or(usize::MAX), Seen { key, body });
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// The number in an address of the made-up audience.
pub(crate) fn number_in(address: &str) -> Option<usize> {
    let digits = address.strip_prefix("recipient-")?.split('@').next()?;
    digits.parse().ok()
}

/// The address of a recipient.
pub(crate) fn address(number: usize) -> String {
    format!("recipient-{number}@example.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_key_is_not_twice_but_another_key_and_another_mail_are() {
        let ledger = Ledger::new(1, 2, 1);
        let with = |key| Seen { key, body: 9 };
        ledger.take(1, with(Some(5)));
        ledger.take(1, with(Some(5)));
        assert_eq!((ledger.times_taken(1), ledger.totals().repeats, ledger.totals().twice), (Some(1), 1, 0));
        ledger.take(1, Seen { key: Some(5), body: 8 });
        assert_eq!(ledger.totals().conflicts, 1);
        ledger.take(1, with(Some(6)));
        assert_eq!((ledger.times_taken(1), ledger.totals().twice), (Some(2), 1));
        ledger.take(2, with(None));
        ledger.take(2, with(None));
        assert_eq!((ledger.times_taken(2), ledger.totals().twice, ledger.totals().taken), (Some(2), 2, 2));
        ledger.take(3, with(None));
        assert_eq!(ledger.totals().strangers, 1);
    }

    #[test]
    fn addresses_carry_their_number() {
        assert_eq!(number_in(&address(17)), Some(17));
        assert_eq!(number_in("recipient-x@example.com"), None);
    }
}
