//! The ground truth: what a provider in the harness saw and accepted.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Everything a provider remembers.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// When each hand-over began: `MAIL FROM`, or the request line.
    pub(crate) begun: Vec<Instant>,
    /// When each recipient was accepted; more than one instant is a message sent twice.
    pub(crate) accepted: HashMap<String, Vec<Instant>>,
    /// What each recipient was last told: the mail with its headers, or the request's body.
    pub(crate) messages: HashMap<String, String>,
    /// The idempotency keys that were accepted, with the body each came with.
    pub(crate) keys: HashMap<String, String>,
    /// Requests that were answered with 429.
    pub(crate) throttled: usize,
    /// Requests that repeated an accepted key and were answered as before.
    pub(crate) repeats: usize,
    /// Requests that repeated an accepted key with another body: one key never carries two.
    pub(crate) conflicts: usize,
}

/// A provider's memory, shared with its connections.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Entries>);

impl Ledger {
    pub(crate) fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, at: Instant) {
        self.entries().begun.push(at);
    }

    pub(crate) fn accept(&self, recipient: &str, message: &str) {
        let now = Instant::now();
        let mut entries = self.entries();
        entries.accepted.entry(recipient.to_owned()).or_default().push(now);
        entries.messages.insert(recipient.to_owned(), message.to_owned());
    }

    /// What a recipient was told.
    #[track_caller]
    pub(crate) fn message_to(&self, recipient: &str) -> String {
        self.entries().messages.get(recipient).cloned().unwrap_or_else(|| panic!("nothing reached {recipient}"))
    }

    /// How many recipients were accepted.
    pub(crate) fn reached(&self) -> usize {
        self.entries().accepted.len()
    }

    /// How many hand-overs began.
    pub(crate) fn begun(&self) -> usize {
        self.entries().begun.len()
    }

    /// Who was accepted more than once.
    pub(crate) fn twice(&self) -> Vec<String> {
        let entries = self.entries();
        entries.accepted.iter().filter(|(_, times)| times.len() > 1).map(|(who, _)| who.clone()).collect()
    }

    /// Who of `everyone` was not accepted.
    pub(crate) fn missing(&self, everyone: &[String]) -> BTreeSet<String> {
        let entries = self.entries();
        everyone.iter().filter(|who| !entries.accepted.contains_key(*who)).cloned().collect()
    }

    /// How long after `moment` the latest hand-over began, if one began after it.
    pub(crate) fn latest_after(&self, moment: Instant) -> Option<Duration> {
        let latest = self.entries().begun.iter().max().copied()?;
        latest.checked_duration_since(moment).filter(|late| !late.is_zero())
    }

    /// Fails the test unless everyone was accepted, and nobody twice.
    #[track_caller]
    pub(crate) fn assert_each_once(&self, everyone: &[String]) {
        self.assert_nobody_twice();
        let missing = self.missing(everyone);
        assert!(missing.is_empty(), "{} never reached the provider: {:?}", missing.len(), few(&missing));
        assert_eq!(self.reached(), everyone.len(), "the provider was given strangers");
    }

    /// Fails the test when somebody was accepted twice.
    #[track_caller]
    pub(crate) fn assert_nobody_twice(&self) {
        let twice = self.twice();
        assert!(twice.is_empty(), "{} got the message twice: {:?}", twice.len(), few(&twice));
        assert_eq!(self.entries().conflicts, 0, "a key was repeated with another body");
    }
}

fn few<'a>(who: impl IntoIterator<Item = &'a String>) -> Vec<&'a String> {
    who.into_iter().take(5).collect()
}
