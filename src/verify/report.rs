//! What a run came to.

use std::time::Duration;

use serde::Serialize;

use super::audit::Account;
use super::climate::Faults;
use super::injector::{Pauses, Record};
use super::people::SegmentAccount;
use super::plan::{Fault, LinkTrouble, Plan};

/// The report, as it is written to a file.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether nobody was lost, nobody reached twice, and no promise broken.
    pub passed: bool,
    /// Volley's version.
    pub version: &'static str,
    /// Makes the same run again.
    pub seed: u64,
    /// How much was broken.
    pub faults: Faults,
    /// How many instances.
    pub instances: usize,
    /// `sqlite`, `postgres`.
    pub database: &'static str,
    /// Whether pages went over a broker.
    pub broker: bool,
    /// From launch to end, in milliseconds.
    pub elapsed_ms: u64,
    /// Looks at the books while it went on.
    pub looks: u64,
    /// Counts of the rows while it went on.
    pub audits: u64,
    /// Looks and counts that found them wrong.
    pub violations: u64,
    /// A book for each provider.
    pub accounts: Vec<Account>,
    /// What became of live segments.
    pub segments: SegmentAccount,
    /// What pauses showed.
    pub pauses: Pauses,
    /// What broke, and how long until things moved again.
    pub records: Vec<Record>,
    /// Everything that is wrong, in words.
    pub complaints: Vec<String>,
    /// The plan.
    pub plan: Plan,
}

impl Report {
    /// The accounts as rows under a header.
    #[must_use]
    pub fn accounts_table(&self) -> (Vec<&'static str>, Vec<Vec<String>>) {
        let header = vec![
            "PROVIDER",
            "RECIPIENTS",
            "SENT",
            "FAILED",
            "SKIPPED",
            "UNCERTAIN",
            "(TAKEN)",
            "TWICE",
            "LOST",
            "FALSE",
        ];
        let rows = self.accounts.iter().map(|account| {
            let numbers = [
                account.recipients,
                account.sent,
                account.failed,
                account.skipped,
                account.uncertain,
                account.uncertain_taken,
                account.twice,
                account.lost,
                account.misreported,
            ];
            [account.provider.name().to_owned()].into_iter().chain(numbers.map(|number| number.to_string())).collect()
        });
        (header, rows.collect())
    }

    /// The faults as rows under a header: kind by kind, with the times until things moved again.
    #[must_use]
    pub fn faults_table(&self) -> (Vec<&'static str>, Vec<Vec<String>>) {
        let header = vec!["FAULT", "TIMES", "MEDIAN MS", "WORST MS"];
        let mut kinds: Vec<&'static str> = self.records.iter().map(|record| record.timed.fault.kind()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let rows = kinds.into_iter().map(|kind| {
            let of_kind = self.records.iter().filter(|record| record.timed.fault.kind() == kind);
            let began = of_kind.clone().filter(|record| record.began_ms.is_some()).count();
            let mut times: Vec<u64> = of_kind.filter_map(|record| record.recovered_ms).collect();
            times.sort_unstable();
            let shown = |time: Option<&u64>| time.map_or_else(|| "-".to_owned(), u64::to_string);
            vec![kind.to_owned(), began.to_string(), shown(times.get(times.len() / 2)), shown(times.last())]
        });
        (header, rows.collect())
    }

    /// One line: what it came to.
    #[must_use]
    pub fn verdict(&self) -> String {
        let sum = |part: fn(&Account) -> usize| self.accounts.iter().map(part).sum::<usize>();
        format!(
            "{}: lost {}, twice {}, falsely reported {}, violations {} in {} looks, worst start after a pause {} ms; \
             {} transitions of segments after {} events, {} wrong; seed {}, {} s",
            if self.passed { "PASSED" } else { "FAILED" },
            sum(|account| account.lost),
            sum(|account| account.twice),
            sum(|account| account.misreported),
            self.violations,
            self.looks,
            self.pauses.worst_start_ms,
            self.segments.transitions,
            self.segments.events,
            self.segments.complaints.len(),
            self.seed,
            Duration::from_millis(self.elapsed_ms).as_secs(),
        )
    }
}

impl Fault {
    /// Its name in the report.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill -9",
            Self::KillAll { .. } => "kill -9 of all",
            Self::Freeze { .. } => "freeze",
            Self::Pause { .. } => "pause",
            Self::RollingRestart => "rolling restart",
            Self::RestartDatabase { .. } => "database restart",
            Self::RestartBroker { .. } => "broker restart",
            Self::DatabaseLink { .. } => "database link",
            Self::BrokerLink { .. } => "broker link",
            Self::BrokerMessages { .. } => "broker messages",
            Self::Provider { .. } => "provider",
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.kind();
        match self {
            Self::Kill { instance, down_ms } => write!(f, "{kind} instance {instance}, back after {down_ms} ms"),
            Self::KillAll { down_ms } => write!(f, "{kind}, back after {down_ms} ms"),
            Self::Freeze { instance, for_ms } => write!(f, "{kind} instance {instance} for {for_ms} ms"),
            Self::Pause { for_ms } => write!(f, "{kind} for {for_ms} ms"),
            Self::RollingRestart => write!(f, "{kind}"),
            Self::RestartDatabase { down_ms } | Self::RestartBroker { down_ms } => {
                write!(f, "{kind}, back after {down_ms} ms")
            }
            Self::DatabaseLink { instance, trouble, for_ms } | Self::BrokerLink { instance, trouble, for_ms } => {
                let trouble = match trouble {
                    LinkTrouble::Cut => "cut",
                    LinkTrouble::Refuse => "refused",
                    LinkTrouble::BlackHole => "a black hole",
                    LinkTrouble::Slow => "slow",
                    LinkTrouble::Sliced => "in slices",
                };
                write!(f, "{kind} of instance {instance} {trouble} for {for_ms} ms")
            }
            Self::BrokerMessages { copies } => write!(f, "{kind} {copies} times, shuffled, with forged ones"),
            Self::Provider { weather, for_ms } => write!(f, "{kind} {weather} for {for_ms} ms"),
        }
    }
}
