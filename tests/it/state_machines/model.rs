//! A model of everything around the pure decisions: the rows of one page, a process, its journal, a provider, a clock.
//!
//! What an outcome does (`settle`), what becomes of an abandoned claim (`Fate::of`) and the counts are the program's own;
//! the rest is the protocol in its simplest form, a few lines for each transaction of the store.

mod recovery;

use std::time::Duration;

use volley::domain::campaigns::OnUncertain;
use volley::domain::dispatch::abandoned::Repeat;
use volley::domain::dispatch::deaths::{self, DEATHS_BEFORE_SINGLE, LeaseOutcome};
use volley::domain::dispatch::delivery::DeliveryState;
use volley::domain::dispatch::outcome::{NotBegun, Outcome};
use volley::domain::dispatch::page::Counts;
use volley::domain::dispatch::retries::Retries;
use volley::domain::dispatch::settlement::{Attempt, Verdict, settle};

const START_DEADLINE: i64 = 500;
pub(super) const CALL: i64 = 3_000;
const MARGIN: i64 = 2_000;
const LEASE: i64 = 10_000;
const TRUST: i64 = 8_000;
const MAX_ATTEMPTS: u32 = 4;
/// How long the provider remembers a key; it is relied on for a tenth less.
const KEY_REMEMBERED: i64 = 60_000;
const KEY_VALID: i64 = KEY_REMEMBERED / 10 * 9;

/// Which claim of which delivery, under which lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) row: usize,
    claim_no: u32,
    token: u32,
}

/// A delivery as the database has it, and what the provider really did.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) state: DeliveryState,
    claim_no: u32,
    token: Option<u32>,
    attempts: i32,
    deaths: i32,
    ambiguous: bool,
    key_until: Option<i64>,
    due_at: i64,
    claimed_at: i64,
    /// The words of an attempt that is to be repeated.
    content: Option<u32>,
    seen_version: Option<u32>,
    /// The contact's version; its words follow from it.
    version: u32,
    /// An operator has decided: the truth is theirs.
    pub(super) resolved: bool,
    /// When the provider took it, once for each message that was really sent, and in which words.
    pub(super) accepted: Vec<(i64, u32)>,
}

struct Lease {
    token: u32,
    owner: u32,
    until: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Claimed,
    Begun,
    Sent,
}

/// A claimed recipient in the hands of the process.
struct Over {
    key: Key,
    asked_at: i64,
    attempts: i32,
    ambiguous: bool,
    key_lives: bool,
    words: u32,
    stage: Stage,
}

#[derive(Clone)]
struct Settlement {
    key: Key,
    verdict: Verdict,
    key_valid: Option<i64>,
    content: Option<u32>,
}

/// The process's view of the page that it holds.
struct Run {
    token: u32,
    trusted_until: i64,
    closing: bool,
}

struct Process {
    incarnation: u32,
    run: Option<Run>,
    overs: Vec<Over>,
    inbox: Vec<Settlement>,
    unwritten: Vec<Line>,
}

#[derive(Clone)]
enum Line {
    Leased(u32),
    Begun(Key),
    Ended(Key, Verdict),
}

/// The journal as it lies on the disk, of the incarnation and the boot in its header.
struct Journal {
    incarnation: u32,
    boot: u32,
    lines: Vec<Line>,
}

/// A message on its way to the provider.
struct Call {
    key: Key,
    began: i64,
    words: u32,
}

/// What is left of the journal when the next incarnation starts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Left {
    /// All of it.
    Everything,
    /// The machine has booted again, and this many of the last lines are gone.
    AnotherBoot(usize),
    /// Nothing.
    Nothing,
}

/// What the provider does with a call.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) takes: bool,
    pub(super) says: Outcome,
}

pub(super) struct World {
    keyed: bool,
    now: i64,
    pub(super) rows: Vec<Row>,
    counts: Counts,
    lease: Option<Lease>,
    deaths: i64,
    settled: u32,
    pub(super) closed: bool,
    process: Option<Process>,
    journals: Vec<Journal>,
    disk_full: bool,
    boot: u32,
    incarnations: u32,
    tokens: u32,
    calls: Vec<Call>,
}

fn pick<T>(all: &[T], n: usize) -> Option<usize> {
    (!all.is_empty()).then(|| n % all.len())
}

impl World {
    pub(super) fn new(people: usize, keyed: bool) -> Self {
        let row = Row {
            state: DeliveryState::Pending,
            claim_no: 0,
            token: None,
            attempts: 0,
            deaths: 0,
            ambiguous: false,
            key_until: None,
            due_at: 0,
            claimed_at: 0,
            content: None,
            seen_version: None,
            version: 0,
            resolved: false,
            accepted: Vec::new(),
        };
        let counts = Counts::default().shifted(DeliveryState::Pending, i64::try_from(people).unwrap());
        Self {
            keyed,
            now: 1,
            rows: vec![row; people],
            counts,
            lease: None,
            deaths: 0,
            settled: 0,
            closed: false,
            process: None,
            journals: Vec::new(),
            disk_full: false,
            boot: 0,
            incarnations: 0,
            tokens: 0,
            calls: Vec::new(),
        }
    }

    fn repeat(&self) -> Repeat {
        Repeat {
            key_valid_ms: self.keyed.then_some(KEY_VALID),
            on_the_wire_ms: START_DEADLINE + CALL + MARGIN,
            max_attempts: i32::try_from(MAX_ATTEMPTS).unwrap(),
            provider: None,
        }
    }

    /// Time passes. What passed the gate leaves at once; calls end at their timeouts.
    pub(super) fn tick(&mut self, ms: i64) {
        while self.process.as_ref().is_some_and(|process| process.overs.iter().any(|over| over.stage == Stage::Begun)) {
            self.send(0);
        }
        self.now += ms;
        let (now, mut silent) = (self.now, Vec::new());
        let heard = |key: Key, process: &Option<Process>| {
            process.as_ref().is_some_and(|process| process.overs.iter().any(|over| over.key == key))
        };
        self.calls.retain(|call| {
            let patience = if heard(call.key, &self.process) { CALL } else { CALL + MARGIN };
            let over = now >= call.began + patience;
            if over {
                silent.push(call.key);
            }
            !over
        });
        for key in silent {
            self.hear(key, &Outcome::Unknown(super::crashes::trouble()));
        }
    }

    /// The process leases the page.
    pub(super) fn lease(&mut self) {
        let pending = |row: &Row| row.state == DeliveryState::Pending;
        let due = self.rows.iter().filter(|row| pending(row)).map(|row| row.due_at).min();
        let Some(process) = self.process.as_mut().filter(|process| process.run.is_none()) else { return };
        if self.closed || self.lease.is_some() || due.is_none_or(|due| due > self.now) {
            return;
        }
        self.tokens += 1;
        let token = self.tokens;
        self.lease = Some(Lease { token, owner: process.incarnation, until: self.now + LEASE });
        self.settled = 0;
        process.run = Some(Run { token, trusted_until: self.now + TRUST, closing: false });
        process.unwritten.push(Line::Leased(token));
        self.flush_journal();
    }

    pub(super) fn renew(&mut self) {
        let Some(run) = self.process.as_mut().and_then(|process| process.run.as_mut()) else { return };
        match self.lease.as_mut().filter(|lease| lease.token == run.token) {
            Some(lease) => (lease.until, run.trusted_until) = (self.now + LEASE, self.now + TRUST),
            None => (run.trusted_until, run.closing) = (0, true),
        }
    }

    /// Claims up to `most`; the COMMIT may go unanswered.
    pub(super) fn claim(&mut self, most: usize, answered: bool) {
        let now = self.now;
        let Some(process) = self.process.as_mut() else { return };
        let busy = !process.overs.is_empty() || !process.inbox.is_empty();
        let single = self.deaths >= DEATHS_BEFORE_SINGLE;
        let Some(run) = process.run.as_mut().filter(|run| !(run.closing || single && busy)) else { return };
        if !self.lease.as_ref().is_some_and(|lease| lease.token == run.token && lease.until > now) {
            (run.trusted_until, run.closing) = (0, true);
            return;
        }
        let due = |row: &Row| row.state == DeliveryState::Pending && row.due_at <= now;
        let most = if single { 1 } else { most };
        for (n, row) in self.rows.iter_mut().enumerate().filter(|(_, row)| due(row)).take(most) {
            let forgotten = row.key_until.is_some_and(|until| until <= now);
            let changed = row.content.is_none() && row.seen_version != Some(row.version);
            if row.ambiguous && (forgotten || changed) {
                row.state = DeliveryState::Uncertain;
                row.content = None;
                self.counts.shift(DeliveryState::Pending, DeliveryState::Uncertain, 1);
                continue;
            }
            row.state = DeliveryState::Sending;
            row.claim_no += 1;
            row.token = Some(run.token);
            row.claimed_at = now;
            row.seen_version = Some(row.version);
            self.counts.shift(DeliveryState::Pending, DeliveryState::Sending, 1);
            if answered {
                process.overs.push(Over {
                    key: Key { row: n, claim_no: row.claim_no, token: run.token },
                    asked_at: now,
                    attempts: row.attempts,
                    ambiguous: row.ambiguous,
                    key_lives: !forgotten,
                    words: row.content.unwrap_or(row.version),
                    stage: Stage::Claimed,
                });
            }
        }
        run.closing |= !answered;
    }

    /// The gate, and the line in the journal.
    pub(super) fn begin(&mut self, n: usize) {
        let (now, full) = (self.now, self.disk_full);
        let Some(process) = self.process.as_mut() else { return };
        let claimed: Vec<usize> =
            (0..process.overs.len()).filter(|n| process.overs[*n].stage == Stage::Claimed).collect();
        let Some(n) = pick(&claimed, n).map(|n| claimed[n]) else { return };
        let over = &mut process.overs[n];
        let key = over.key;
        let trusted = process.run.as_ref().is_some_and(|run| run.token == key.token && now < run.trusted_until);
        let refused = if now > over.asked_at + START_DEADLINE {
            Some(NotBegun::Late)
        } else if !trusted {
            Some(NotBegun::Fenced)
        } else {
            full.then_some(NotBegun::JournalUnavailable)
        };
        match refused {
            Some(reason) => self.hear(key, &Outcome::NotBegun(reason)),
            None => {
                over.stage = Stage::Begun;
                process.unwritten.push(Line::Begun(key));
                self.flush_journal();
            }
        }
    }

    /// The first byte leaves.
    pub(super) fn send(&mut self, n: usize) {
        let Some(process) = self.process.as_mut() else { return };
        let begun: Vec<usize> = (0..process.overs.len()).filter(|n| process.overs[*n].stage == Stage::Begun).collect();
        let Some(over) = pick(&begun, n).map(|n| &mut process.overs[begun[n]]) else { return };
        over.stage = Stage::Sent;
        let (key, words) = (over.key, over.words);
        assert!(self.calls.iter().all(|call| call.key.row != key.row), "two calls for one delivery are on the wire");
        self.calls.push(Call { key, began: self.now, words });
    }

    /// The provider ends a call; whoever is left to hear of it does.
    pub(super) fn reply(&mut self, n: usize, reply: &Reply) {
        let Some(n) = pick(&self.calls, n) else { return };
        let Call { key, words, .. } = self.calls.swap_remove(n);
        let row = &mut self.rows[key.row];
        let known = row.accepted.last().filter(|(at, _)| self.keyed && self.now < at + KEY_REMEMBERED);
        if let Some((_, said)) = known {
            assert_eq!(*said, words, "one key carried two bodies");
        } else if reply.takes {
            row.accepted.push((self.now, words));
        }
        // What it says may not have looked at the key: "too busy", for one.
        self.hear(key, &reply.says);
    }

    /// A hand-over ends in the process, if it is still there: the outcome goes into the journal and the inbox.
    fn hear(&mut self, key: Key, outcome: &Outcome) {
        let Some(process) = self.process.as_mut() else { return };
        let Some(n) = process.overs.iter().position(|over| over.key == key) else { return };
        let over = process.overs.swap_remove(n);
        let begun = over.stage != Stage::Claimed;
        let delays = [1, 2, 4].map(Duration::from_secs).to_vec();
        let retries = Retries::new(delays, Duration::from_secs(900), MAX_ATTEMPTS);
        let attempt = Attempt {
            attempts_before: u32::try_from(over.attempts).unwrap(),
            retries: &retries,
            retry_for: None,
            was_ambiguous: over.ambiguous,
            key_honoured: self.keyed && over.key_lives,
            on_uncertain: OnUncertain::Hold,
            jitter: 0.5,
        };
        let verdict = settle(outcome, attempt);
        if begun {
            process.unwritten.push(Line::Ended(key, verdict.clone()));
        }
        let content = (begun && verdict.state == DeliveryState::Pending).then_some(over.words);
        let key_valid = (begun && self.keyed).then_some(KEY_VALID);
        process.inbox.push(Settlement { key, verdict, key_valid, content });
    }

    pub(super) fn flush_journal(&mut self) {
        if let (Some(process), Some(journal)) = (self.process.as_mut(), self.journals.last_mut())
            && !self.disk_full
        {
            journal.lines.append(&mut process.unwritten);
        }
    }

    /// The recorder writes what lies in its inbox, once or (after an unanswered COMMIT) twice.
    pub(super) fn record(&mut self, times: usize) {
        self.flush_journal();
        let batch = self.process.as_mut().map(|process| std::mem::take(&mut process.inbox)).unwrap_or_default();
        for _ in 0..times {
            batch.iter().for_each(|settlement| self.write(settlement));
        }
    }

    fn write(&mut self, settlement: &Settlement) {
        let Settlement { key, verdict, key_valid, content } = settlement;
        let row = &mut self.rows[key.row];
        let too_late = self.closed && verdict.state == DeliveryState::Pending;
        let state = match (too_late, verdict.ambiguous) {
            (false, _) => verdict.state,
            (true, true) => DeliveryState::Uncertain,
            (true, false) => DeliveryState::Failed,
        };
        let from = row.state;
        let late = from == DeliveryState::Uncertain;
        let is_final = matches!(verdict.state, DeliveryState::Sent | DeliveryState::Failed);
        let put_back = from == DeliveryState::Pending && is_final;
        let mine = row.claim_no == key.claim_no && row.token == Some(key.token);
        if !mine || !(from == DeliveryState::Sending || late || put_back) || state == from {
            return;
        }
        let pending = state == DeliveryState::Pending;
        row.state = state;
        row.attempts += i32::from(verdict.counted) - i32::from(late || put_back && row.ambiguous);
        row.ambiguous = verdict.ambiguous || row.ambiguous && from == DeliveryState::Sending;
        row.key_until = row.key_until.or(key_valid.map(|ms| row.claimed_at + ms));
        row.due_at = self.now + verdict.wait_ms;
        row.token = row.token.filter(|_| !pending);
        row.content = if pending { row.content.or(*content) } else { None };
        self.counts.shift(from, state, 1);
        if !pending {
            self.settled += 1;
        }
    }

    /// The process ends its lease, with nothing of the page in its hands.
    pub(super) fn settle_page(&mut self) {
        let Some(process) =
            self.process.as_mut().filter(|process| process.overs.is_empty() && process.inbox.is_empty())
        else {
            return;
        };
        let Some(run) = process.run.take() else { return };
        if self.lease.as_ref().is_none_or(|lease| lease.token != run.token) {
            return;
        }
        self.lease = None;
        self.deaths = deaths::after(self.deaths, LeaseOutcome::of(false, self.settled > 0));
        for row in self.rows.iter_mut().filter(|row| row.state == DeliveryState::Sending) {
            (row.state, row.token) = (DeliveryState::Pending, None);
            self.counts.shift(DeliveryState::Sending, DeliveryState::Pending, 1);
        }
    }

    pub(super) fn fill_disk(&mut self, full: bool) {
        self.disk_full = full;
    }

    pub(super) fn change_contact(&mut self, n: usize) {
        let n = n % self.rows.len();
        self.rows[n].version += 1;
    }

    /// An operator knows better.
    pub(super) fn resolve(&mut self, n: usize, state: DeliveryState) {
        let n = n % self.rows.len();
        let row = &mut self.rows[n];
        if row.state == DeliveryState::Uncertain {
            (row.state, row.token, row.ambiguous, row.key_until) = (state, None, false, None);
            row.resolved = true;
            self.counts.shift(DeliveryState::Uncertain, state, 1);
        }
    }

    /// Closes the campaign when there is nothing left to do in it.
    pub(super) fn complete(&mut self) {
        self.closed |= self.lease.is_none() && self.counts.pending == 0 && self.counts.sending == 0;
    }

    /// What holds after every single effect.
    pub(super) fn check(&self) {
        let counted = self.rows.iter().fold(Counts::default(), |counts, row| counts.shifted(row.state, 1));
        assert_eq!(counted, self.counts, "rows and counts differ");
        assert_eq!(self.counts.total(), i64::try_from(self.rows.len()).unwrap(), "somebody is lost");
        let token = self.lease.as_ref().map(|lease| lease.token);
        for row in &self.rows {
            assert!(row.accepted.len() <= 1, "messaged twice: {row:?}");
            let right = match row.state {
                DeliveryState::Sending => row.token.is_some() && row.token == token,
                DeliveryState::Sent => row.resolved || row.accepted.len() == 1,
                DeliveryState::Failed => row.resolved || row.accepted.is_empty(),
                DeliveryState::Pending => !self.closed,
                DeliveryState::Uncertain => true,
                DeliveryState::Skipped => false,
            };
            assert!(right, "the books say what is not so: {row:?}");
        }
    }
}
