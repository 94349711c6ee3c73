//! Leases that end without their owner, and the next start.

use std::collections::HashSet;

use volley::domain::campaigns::OnUncertain;
use volley::domain::dispatch::abandoned::{Abandoned, Evidence, Fate, LeaseEnd};
use volley::domain::dispatch::deaths::{self, DEATHS_BEFORE_SINGLE, LeaseOutcome};
use volley::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use volley::domain::dispatch::settlement::Verdict;
use volley::domain::instant::UtcInstant;
use volley::domain::reports::Reported;

use super::{Journal, Key, Left, Line, Process, Row, Settlement, World};

/// What these lines, of a writer that cannot begin any more, say of a claim.
fn evidence(lines: &[&Line], key: Key) -> Evidence {
    let ended = lines.iter().find_map(|line| match line {
        Line::Ended(of, verdict) if *of == key => Some(verdict.clone()),
        Line::Ended(..) | Line::Begun(_) | Line::Leased(_) => None,
    });
    let begun = lines.iter().any(|line| matches!(line, Line::Begun(of) if *of == key));
    match (ended, begun) {
        (Some(verdict), _) => Evidence::Ended(verdict),
        (None, true) => Evidence::Ambiguous,
        (None, false) => Evidence::NotBegun,
    }
}

impl World {
    /// Somebody who cannot read the journal ends a lease that has expired.
    pub(in crate::state_machines) fn others_end(&mut self, takes_it_for_dead: bool) {
        let Some(lease) = self.lease.as_ref().filter(|lease| lease.until <= self.now) else { return };
        let lives = self.process.as_ref().is_some_and(|process| process.incarnation == lease.owner);
        self.end_lease(takes_it_for_dead || !lives, |_| Evidence::Ambiguous);
    }

    /// The process finds that its own page stands still, or that nobody has renewed it: it fences the lease, reads its
    /// journal, and ends the lease under the feet of its living pool.
    pub(in crate::state_machines) fn stand_still(&mut self) {
        self.flush_journal();
        let Some(lease) = &self.lease else { return };
        let Some(process) = self.process.as_mut().filter(|process| process.incarnation == lease.owner) else { return };
        if process.run.as_ref().is_some_and(|run| run.token == lease.token) {
            process.run = None;
        }
        let lines = self.journals.last().map(|journal| journal.lines.clone()).unwrap_or_default();
        self.end_lease(false, |key| evidence(&lines.iter().collect::<Vec<_>>(), key));
    }

    fn end_lease(&mut self, died: bool, evidence: impl Fn(Key) -> Evidence) {
        let Some(lease) = self.lease.take() else { return };
        let sending = self.rows.iter().filter(|row| row.state == DeliveryState::Sending).count();
        let repeat = self.repeat();
        let (mut settled, mut is_found) = (self.settled > 0, false);
        for (n, row) in self.rows.iter_mut().enumerate().filter(|(_, row)| row.state == DeliveryState::Sending) {
            let key = Key { row: n, claim_no: row.claim_no, token: lease.token };
            let left = Abandoned {
                attempts: row.attempts,
                deaths: row.deaths,
                ambiguous: row.ambiguous,
                key_until: row.key_until.map(UtcInstant),
                claimed_at: UtcInstant(row.claimed_at),
                provider: None,
                claim_no: i32::try_from(row.claim_no).unwrap(),
                reported: Reported::NONE,
            };
            let died_alone = died && sending == 1 && self.deaths >= DEATHS_BEFORE_SINGLE;
            let end = LeaseEnd {
                repeat,
                on_uncertain: OnUncertain::Hold,
                owner_lives: !died,
                died_alone,
                now: UtcInstant(self.now),
            };
            let fate = Fate::of(&left, &evidence(key), &end);
            let pending = fate.state() == DeliveryState::Pending;
            settled |= fate.known;
            is_found |= fate.verdict.category == Some(ErrorCategory::Poison);
            row.state = fate.state();
            row.due_at = fate.due_at.0;
            row.attempts += i32::from(fate.verdict.counted);
            row.ambiguous |= fate.verdict.ambiguous;
            row.deaths += i32::from(fate.died_alone);
            row.key_until = fate.key_until.map(|until| until.0);
            row.token = row.token.filter(|_| !pending || fate.keeps_claim);
            row.content = row.content.filter(|_| pending);
            self.counts.shift(DeliveryState::Sending, fate.state(), 1);
        }
        self.deaths = deaths::after(self.deaths, LeaseOutcome::of(died && !is_found, settled || is_found));
    }

    pub(in crate::state_machines) fn kill(&mut self) {
        self.process = None;
    }

    /// The next incarnation starts, and recovers by whatever is left of the journals.
    pub(in crate::state_machines) fn start(&mut self, left: Left) {
        if self.process.is_some() {
            return;
        }
        match left {
            Left::Everything => {}
            Left::AnotherBoot(lost) => {
                self.boot += 1;
                if let Some(journal) = self.journals.last_mut() {
                    journal.lines.truncate(journal.lines.len().saturating_sub(lost));
                }
            }
            Left::Nothing => self.journals.clear(),
        }
        let journals = std::mem::take(&mut self.journals);
        let of_this_boot = |journal: &&Journal| journal.boot == self.boot;
        let owner = self.lease.as_ref().map(|lease| lease.owner);
        let valid = journals.iter().filter(of_this_boot).any(|journal| Some(journal.incarnation) == owner);
        let all: Vec<&Line> = journals.iter().flat_map(|journal| &journal.lines).collect();
        let begun: HashSet<Key> =
            all.iter().filter_map(|line| if let Line::Begun(key) = line { Some(*key) } else { None }).collect();
        let whole: Vec<u32> = journals
            .iter()
            .filter(of_this_boot)
            .flat_map(|journal| &journal.lines)
            .filter_map(|line| if let Line::Leased(token) = line { Some(*token) } else { None })
            .collect();
        self.end_lease(true, |key| if valid { evidence(&all, key) } else { Evidence::Ambiguous });
        for line in &all {
            if let Line::Ended(key, verdict) = line
                && matches!(self.rows[key.row].state, DeliveryState::Uncertain | DeliveryState::Pending)
            {
                self.write(&Settlement { key: *key, verdict: verdict.clone(), key_valid: None, content: None });
            }
        }
        for n in 0..self.rows.len() {
            let Row { state, claim_no, token: Some(token), attempts, .. } = self.rows[n] else { continue };
            let key = Key { row: n, claim_no, token };
            let first = state == DeliveryState::Uncertain && attempts <= 1;
            if first && whole.contains(&token) && !begun.contains(&key) {
                self.write(&Settlement { key, verdict: Verdict::untouched(), key_valid: None, content: None });
            }
        }
        self.incarnations += 1;
        let incarnation = self.incarnations;
        self.journals.push(Journal { incarnation, boot: self.boot, lines: Vec::new() });
        self.process =
            Some(Process { incarnation, run: None, overs: Vec::new(), inbox: Vec::new(), unwritten: Vec::new() });
    }
}
