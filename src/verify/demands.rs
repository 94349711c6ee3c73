//! What a run demands beside the promises: that people are sent to. A build that fails everybody, or calls everybody
//! uncertain, loses nobody and reaches nobody twice; it fails these.

use std::time::Duration;

use super::audit::Account;
use super::injector::Record;
use super::plan::Fault;
use super::provider::kind::Kind;
use crate::verify::climate::Demands;

/// A provider with fewer recipients is judged by what explains each one alone: there, one kill is a large share.
const FEW: usize = 1_000;
/// The most that one statement claims: so many more than its pool has places may be claimed when an instance dies.
const CHUNK: u64 = 64;

/// What the faults of a run explain.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Excuses {
    /// How often an instance died, or was held up for so long that its pages may have gone to others.
    pub(super) strikes: u64,
    /// How many calls an instance has under way at one provider.
    pub(super) concurrency: u64,
}

impl Excuses {
    /// Counts the strikes among the faults that began.
    pub(super) fn of(records: &[Record], instances: usize, lease: Duration, concurrency: u32) -> Self {
        let all = u64::try_from(instances).unwrap_or(u64::MAX);
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        // An instance trusts its lease for less time than the lease lasts, and asks for more of it before that.
        let outlasts = |for_ms: u64| for_ms >= lease_ms / 2;
        let strikes =
            records.iter().filter(|record| record.began_ms.is_some()).map(|record| match record.timed.fault {
                Fault::Kill { .. } | Fault::Freeze { .. } => 1,
                Fault::KillAll { .. } => all,
                Fault::DatabaseLink { for_ms, .. } if outlasts(for_ms) => 1,
                Fault::RestartDatabase { down_ms } if outlasts(down_ms + 2_000) => all,
                Fault::DatabaseLink { .. }
                | Fault::RestartDatabase { .. }
                | Fault::Pause { .. }
                | Fault::RollingRestart
                | Fault::RestartBroker { .. }
                | Fault::BrokerLink { .. }
                | Fault::BrokerMessages { .. }
                | Fault::Provider { .. } => 0,
            });
        Self { strikes: strikes.sum(), concurrency: u64::from(concurrency) }
    }

    /// The most recipients of one provider that all strikes can leave uncertain: at each, what was in flight, as many
    /// again that were claimed for places about to come free, and what one statement claims.
    pub(super) fn uncertain(&self) -> u64 {
        self.strikes.saturating_mul(2 * self.concurrency + CHUNK)
    }
}

/// What is wrong with an account, in words.
pub(super) fn complaints(account: &Account, demands: Demands, excuses: Excuses) -> Vec<String> {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let mut complaints = Vec::new();
    let mut complain = |what: String| complaints.push(format!("{}: {what}", account.provider.name()));
    let least = count(account.recipients).saturating_mul(demands.sent_per_thousand).div_ceil(1_000);
    let is_judged_by_share = account.recipients >= FEW || demands.sent_per_thousand == 1_000;
    if is_judged_by_share && count(account.sent) < least {
        complain(format!("{} of {} were sent; at least {least} are demanded", account.sent, account.recipients));
    }
    // Where keys are honoured nobody has to stay uncertain; who does is a complaint of its own.
    let explained = count(account.unanswered) + excuses.uncertain();
    if account.provider == Kind::Smtp && count(account.uncertain) > explained {
        complain(format!(
            "{} are uncertain; {} whole messages were left without an answer, and {} deaths and freezes explain {} more",
            account.uncertain,
            account.unanswered,
            excuses.strikes,
            excuses.uncertain()
        ));
    }
    if account.failed > account.failed_by_refusal {
        let others = account.failed - account.failed_by_refusal;
        complain(format!("{others} failed that the provider never refused permanently"));
    }
    if account.skipped > 0 {
        complain(format!("{} were skipped, though everyone has an address", account.skipped));
    }
    if account.counted != account.recipients {
        complain(format!("{} recipients in the books; the audience has {}", account.counted, account.recipients));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::climate::Faults;
    use crate::verify::plan::Timed;

    fn account(provider: Kind, sent: usize, failed: usize, uncertain: usize) -> Account {
        Account { sent, failed, uncertain, counted: 2_000, ..Account::empty(provider, 2_000) }
    }

    fn record(fault: Fault) -> Record {
        Record { timed: Timed { at_ms: 0, fault }, began_ms: Some(0), recovered_ms: None }
    }

    const HEAVY: Demands = Demands { sent_per_thousand: 900 };

    #[test]
    fn a_run_in_which_nearly_all_are_sent_and_the_rest_is_explained_is_well() {
        let mut good = account(Kind::Smtp, 1_900, 40, 60);
        good.failed_by_refusal = 40;
        good.unanswered = 50;
        let excuses = Excuses { strikes: 1, concurrency: 5 };
        assert!(complaints(&good, HEAVY, excuses).is_empty());
    }

    #[test]
    fn a_build_that_fails_everybody_does_not_pass() {
        let found = complaints(&account(Kind::Smtp, 0, 2_000, 0), HEAVY, Excuses::default());
        assert!(found[0].contains("0 of 2000 were sent; at least 1800"), "{found:?}");
        assert!(found[1].contains("2000 failed that the provider never refused"), "{found:?}");
    }

    #[test]
    fn a_build_that_calls_everybody_uncertain_does_not_pass() {
        let excuses = Excuses { strikes: 3, concurrency: 10 };
        let found = complaints(&account(Kind::Smtp, 0, 0, 2_000), HEAVY, excuses);
        assert!(found[0].contains("were sent"), "{found:?}");
        assert!(found[1].contains("2000 are uncertain"), "{found:?}");
        // Nor does one whose share is good, but whose uncertain ones nothing explains.
        let found = complaints(&account(Kind::Smtp, 1_900, 0, 100), HEAVY, Excuses::default());
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_build_that_skips_people_or_forgets_to_count_them_does_not_pass() {
        let mut skipping = account(Kind::Http, 1_990, 0, 0);
        skipping.skipped = 10;
        assert_eq!(complaints(&skipping, HEAVY, Excuses::default()).len(), 1);
        let mut short = account(Kind::Http, 1_990, 0, 0);
        short.counted = 1_990;
        assert_eq!(complaints(&short, HEAVY, Excuses::default()).len(), 1);
    }

    #[test]
    fn where_nothing_breaks_everyone_is_sent_to_however_few_they_are() {
        let mut one_missing = Account { sent: 9, counted: 10, uncertain: 1, ..Account::empty(Kind::Smtp, 10) };
        one_missing.unanswered = 1;
        let found = complaints(&one_missing, Demands::of(Faults::None), Excuses::default());
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn only_faults_that_take_an_instances_pages_away_are_strikes() {
        let lease = Duration::from_secs(10);
        let records = [
            record(Fault::Kill { instance: 0, down_ms: 0 }),
            record(Fault::KillAll { down_ms: 0 }),
            record(Fault::Freeze { instance: 1, for_ms: 12_000 }),
            record(Fault::RestartDatabase { down_ms: 500 }),
            record(Fault::Pause { for_ms: 1_000 }),
        ];
        assert_eq!(Excuses::of(&records, 3, lease, 5).strikes, 5);
        let mut not_begun = record(Fault::Kill { instance: 0, down_ms: 0 });
        not_begun.began_ms = None;
        assert_eq!(Excuses::of(&[not_begun], 3, lease, 5).uncertain(), 0);
    }
}
