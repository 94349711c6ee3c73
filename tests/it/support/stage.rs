//! A campaign about to be sent: process, provider, people.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use volley::verify::lateness::Lateness;

use super::api::{Api, Campaign};
use super::database::Database;
use super::people;
use super::provider::{POOL, Provider};
use super::volley::{Builder, Volley};
use super::waiting::{stays, wait_until};
use super::watch::Watch;

/// Longer than any campaign of these tests takes, on a slow machine too.
pub(crate) const LONG: Duration = Duration::from_secs(180);

/// How long after the answer to a pause a hand-over may still reach a provider.
pub(crate) const GRACE: Duration = Duration::from_millis(100);

/// For how long nothing may begin, to be believed.
pub(crate) const QUIET: Duration = Duration::from_millis(600);

/// The most that a crowded machine excuses. A campaign that is not held goes on long after it.
const MOST_LATE: Duration = Duration::from_millis(200);

/// Everything a test of one campaign needs. Fields drop in order: the process before its provider.
pub(crate) struct Stage {
    pub(crate) volley: Volley,
    pub(crate) api: Api,
    pub(crate) provider: Provider,
    pub(crate) campaign: i64,
    pub(crate) everyone: Vec<String>,
}

impl Stage {
    /// A campaign to that many people, launched.
    pub(crate) fn launched(db: &Database, provider: Provider, people: usize) -> Self {
        let stage = Self::set(db, provider, people, |builder| builder);
        stage.api.send(stage.campaign);
        stage
    }

    /// A campaign to that many people, not launched, on a process that `change` may alter before it starts.
    pub(crate) fn set(
        db: &Database,
        provider: Provider,
        people: usize,
        change: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        Self::with(db, provider, people, change, &json!({}))
    }

    /// The same, with fields of the campaign added or replaced.
    pub(crate) fn with(
        db: &Database,
        provider: Provider,
        people: usize,
        change: impl FnOnce(Builder) -> Builder,
        fields: &Value,
    ) -> Self {
        let volley = change(Volley::on(db).pool(provider.pool())).start();
        let api = volley.api();
        let list = api.a_list_of(people);
        let campaign = api.create_campaign(provider.channel(), POOL, list, fields);
        Self { volley, api, provider, campaign, everyone: people::addresses(people) }
    }

    /// Polls the campaign from another thread until the answer is finished, checking its books at every look.
    pub(crate) fn watch(&self) -> Watch {
        Watch::start(self.api.another(), self.campaign, self.everyone.len())
    }

    /// Waits until the provider has accepted that many recipients.
    #[track_caller]
    pub(crate) fn wait_reached(&self, recipients: usize) {
        wait_until(&format!("{recipients} recipients are reached"), LONG, || {
            self.provider.ledger().reached() >= recipients
        });
    }

    /// Waits until the campaign has ended.
    #[track_caller]
    pub(crate) fn wait_ended(&self) -> Campaign {
        self.api.wait_ended(self.campaign, LONG)
    }

    /// Waits for the end and checks that everyone was reached exactly once, and that the books say so.
    #[track_caller]
    pub(crate) fn assert_everyone_once(&self) {
        let ended = self.wait_ended();
        self.provider.ledger().assert_each_once(&self.everyone);
        assert_eq!(ended.status, "sent", "{}", ended.body);
        assert_eq!(ended.stats.sent, ended.stats.total, "{}", ended.body);
        assert_eq!(usize::try_from(ended.stats.total).unwrap(), self.everyone.len());
    }

    /// Waits for the end and checks that nobody was reached twice, and that whoever was not reached is reported as
    /// uncertain, of which there are at most so many.
    #[track_caller]
    pub(crate) fn assert_missing_are_uncertain(&self, at_most: u64) {
        let ended = self.wait_ended();
        let ledger = self.provider.ledger();
        ledger.assert_nobody_twice();
        let uncertain = self.uncertain();
        let missing = ledger.missing(&self.everyone);
        let unreported: Vec<&String> = missing.difference(&uncertain).take(5).collect();
        assert!(unreported.is_empty(), "lost without a word: {unreported:?} of {} missing", missing.len());
        assert_eq!(ended.stats.sent + ended.stats.uncertain, ended.stats.total, "{}", ended.body);
        assert_eq!(usize::try_from(ended.stats.total).unwrap(), self.everyone.len());
        assert!(ended.stats.uncertain <= at_most, "more than {at_most} uncertain: {}", ended.body);
        assert_eq!(self.volley.late_acceptances(), 0, "acceptances came too late for their deliveries");
        println!("uncertain: {}, of which the provider took {}", uncertain.len(), uncertain.len() - missing.len());
    }

    /// Watches that nothing begins at the provider later than the grace after `answered`, and that whatever was under way is
    /// recorded. What passes between the gate and the provider's clock are wake-ups of three threads; on a crowded machine
    /// each may be as late as the worst that was seen, within bounds.
    #[track_caller]
    pub(crate) fn assert_silence(&self, answered: Instant) {
        let lateness = Lateness::watch();
        stays("nothing begins after a pause", QUIET, || {
            let late = (lateness.worst() * 3).min(MOST_LATE);
            self.provider.ledger().latest_after(answered + GRACE + late).is_none()
        });
        let paused = self.api.campaign(self.campaign);
        assert_eq!(paused.stats.sending, 0, "calls in flight were not recorded: {}", paused.body);
    }

    /// The addresses that the API reports as uncertain.
    #[track_caller]
    pub(crate) fn uncertain(&self) -> BTreeSet<String> {
        let deliveries = self.api.deliveries(self.campaign, "uncertain");
        deliveries.iter().map(Api::address_of).collect()
    }
}
