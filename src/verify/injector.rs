//! Carries the plan out, and times how long it takes until things move again.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all, try_join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Serialize;
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

use super::api::Question;
use super::fleet::Instance;
use super::lateness::Lateness;
use super::plan::{Fault, LinkTrouble, Part, Plan, Timed};
use super::provider_mode::ProviderMode;
use super::proxy::Link;
use super::stage::{Campaign, DRAIN_SECONDS, Server, Stage, blocking};
use super::{Event, Tell, VerifyError, broker};
use crate::config::timing::Timing;
use crate::domain::ids::InstanceId;
use crate::store::Lane;
use crate::store::dispatch::inspection;

/// How often it is looked whether things move again.
const LOOK: Duration = Duration::from_millis(20);
/// How often an instance that ends while it starts is started, before the run is given up.
const STARTS: usize = 3;
/// How long after the answer to a pause a hand-over may still begin, on a machine that wakes its threads at once.
pub(super) const LATE: Duration = Duration::from_millis(1_000);

/// One fault, as it went.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// What was planned.
    #[serde(flatten)]
    pub timed: Timed,
    /// When it began, in milliseconds from the launch; absent when the campaigns had ended before.
    pub began_ms: Option<u64>,
    /// How long after its end, or after the death of a page's owner, things moved again. Absent when there was nothing
    /// left to move.
    pub recovered_ms: Option<u64>,
}

/// What the pauses showed.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Pauses {
    /// How many were answered.
    pub answered: u64,
    /// How long after an answer the last hand-over began at a provider, at worst.
    pub worst_start_ms: u64,
    /// How many began later than allowed.
    pub late: u64,
}

/// The attack on one run.
pub(super) struct Attack<'a> {
    pub(super) stage: &'a Stage,
    pub(super) plan: &'a Plan,
    pub(super) campaigns: &'a [Campaign],
    pub(super) timing: &'a Timing,
    pub(super) launched: Instant,
    /// The campaigns have ended: nothing is left to break.
    pub(super) over: &'a Cell<bool>,
    pub(super) tell: Tell<'a>,
    pub(super) found: &'a RefCell<Found>,
}

/// What went wrong, and what went on.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) complaints: Vec<String>,
    pub(super) pauses: Pauses,
    pub(super) records: Vec<Record>,
}

/// By what a recovery shows.
#[derive(Debug, Clone, Copy)]
enum Sign {
    /// Somebody is taken by a provider.
    Taken { since: Instant },
    /// This instance begins a hand-over.
    Begun { instance: usize, since: Instant },
    /// It has shown already, after so many milliseconds; or cannot.
    Known(Option<u64>),
}

impl Attack<'_> {
    /// Carries everything out; returns when the last fault has ended and everything has recovered.
    ///
    /// # Errors
    /// A fault cannot be begun or ended, which is no failure of what is tested.
    pub(super) async fn run(&self) -> Result<(), VerifyError> {
        let parts: Vec<Mutex<()>> = (0..self.stage.fleet.instances.len() + 4).map(|_| Mutex::new(())).collect();
        let mut faults: FuturesUnordered<_> =
            self.plan.faults.iter().map(|timed| self.suffer(*timed, &parts)).collect();
        while let Some(done) = faults.next().await {
            done?;
        }
        Ok(())
    }

    async fn suffer(&self, timed: Timed, parts: &[Mutex<()>]) -> Result<(), VerifyError> {
        let due = self.launched + Duration::from_millis(timed.at_ms);
        tokio::time::sleep_until(due.into()).await;
        // One that took longer than planned is waited for.
        let held = hold(&timed.fault, self.stage.fleet.instances.len(), parts).await;
        let mut record = Record { timed, began_ms: None, recovered_ms: None };
        if !self.over.get() {
            record.began_ms = Some(millis(self.launched.elapsed()));
            (self.tell)(&Event::Said(timed.fault.to_string()));
            let sign = self.break_and_mend(timed.fault).await?;
            drop(held);
            record.recovered_ms = self.recovered(sign).await;
        }
        self.found.borrow_mut().records.push(record);
        Ok(())
    }

    async fn break_and_mend(&self, fault: Fault) -> Result<Sign, VerifyError> {
        match fault {
            Fault::Kill { instance, down_ms } => self.kill(&[instance], down_ms).await,
            Fault::KillAll { down_ms } => {
                let all: Vec<usize> = (0..self.stage.fleet.instances.len()).collect();
                self.kill(&all, down_ms).await
            }
            Fault::Freeze { instance, for_ms } => Ok(self.freeze(instance, for_ms).await),
            Fault::Pause { for_ms } => self.pause(for_ms).await,
            Fault::RollingRestart => self.roll().await,
            Fault::RestartDatabase { down_ms } => {
                if let Some(Server::Private(server)) = &self.stage.database {
                    let (dying, rising) = (Arc::clone(server), Arc::clone(server));
                    blocking(move || dying.stop_immediately()).await?;
                    pass(down_ms).await;
                    blocking(move || rising.start_again()).await?;
                } else {
                    self.cut_all(|instance| instance.database.as_ref(), down_ms).await;
                }
                Ok(self.taken())
            }
            Fault::RestartBroker { down_ms } => {
                if let Some(Server::Private(server)) = &self.stage.broker {
                    let (dying, rising) = (Arc::clone(server), Arc::clone(server));
                    blocking(move || {
                        dying.kill();
                        Ok(())
                    })
                    .await?;
                    pass(down_ms).await;
                    blocking(move || rising.start_again()).await?;
                } else {
                    self.cut_all(|instance| instance.broker.as_ref(), down_ms).await;
                }
                Ok(self.taken())
            }
            Fault::DatabaseLink { instance, trouble, for_ms } => {
                self.trouble(instance, |instance| instance.database.as_ref(), trouble, for_ms).await;
                Ok(Sign::Begun { instance, since: Instant::now() })
            }
            Fault::BrokerLink { instance, trouble, for_ms } => {
                self.trouble(instance, |instance| instance.broker.as_ref(), trouble, for_ms).await;
                Ok(self.taken())
            }
            Fault::BrokerMessages { copies } => {
                broker::confuse(self.stage, self.campaigns, self.plan.seed, copies).await?;
                Ok(Sign::Known(None))
            }
            Fault::Provider { weather, for_ms } => {
                let set = |weather| {
                    let all = self.stage.providers.iter();
                    all.clone().try_for_each(|provider| provider.set_weather(weather))
                };
                set(weather)?;
                pass(for_ms).await;
                set(ProviderMode::Fair)?;
                Ok(self.taken())
            }
        }
    }

    fn taken(&self) -> Sign {
        Sign::Taken { since: Instant::now() }
    }

    fn instances(&self, numbers: &[usize]) -> Vec<&Instance> {
        self.stage.fleet.instances.iter().filter(|instance| numbers.contains(&instance.number)).collect()
    }

    async fn kill(&self, numbers: &[usize], down_ms: u64) -> Result<Sign, VerifyError> {
        let victims = self.instances(numbers);
        let owners = join_all(victims.iter().map(|victim| self.incarnation(victim))).await;
        join_all(victims.iter().map(|victim| victim.kill())).await;
        let killed = Instant::now();
        let start_again = async {
            pass(down_ms).await;
            try_join_all(victims.iter().map(|victim| self.start(victim))).await?;
            Ok::<_, VerifyError>(Instant::now())
        };
        let (started, moved) = join(start_again, self.pages_moved(&owners, killed)).await;
        let since = started?;
        Ok(if self.stage.store.is_some() { Sign::Known(moved) } else { Sign::Taken { since } })
    }

    /// Starts an instance. One that ends while it starts is a complaint, and is started again, as an init system would.
    async fn start(&self, instance: &Instance) -> Result<(), VerifyError> {
        for _ in 1..STARTS {
            match instance.start().await {
                Ok(()) => return Ok(()),
                Err(error) => self.found.borrow_mut().complaints.push(error.to_string()),
            }
        }
        instance.start().await
    }

    async fn freeze(&self, instance: usize, for_ms: u64) -> Sign {
        let mut moved = None;
        for victim in self.instances(&[instance]) {
            let owner = self.incarnation(victim).await;
            victim.freeze();
            let frozen = Instant::now();
            let (_, seen) = join(pass(for_ms), async {
                let limit = Duration::from_millis(for_ms);
                tokio::time::timeout(limit, self.pages_moved(&[owner], frozen)).await.ok().flatten()
            })
            .await;
            moved = seen;
            victim.thaw();
        }
        if self.stage.store.is_some() { Sign::Known(moved) } else { self.taken() }
    }

    async fn pause(&self, for_ms: u64) -> Result<Sign, VerifyError> {
        let lateness = Lateness::watch();
        let mut answered = Vec::new();
        for campaign in self.campaigns {
            if self.tell_campaign(campaign, "pause").await? {
                answered.push((campaign, Instant::now()));
            }
        }
        pass(for_ms).await;
        for (campaign, at) in &answered {
            let provider = self.stage.providers.iter().find(|provider| provider.kind == campaign.kind);
            let last = provider.and_then(|provider| {
                let begun = (0..self.stage.fleet.instances.len()).map(|n| provider.ledger().begun_by(n).last);
                begun.max().flatten()
            });
            let late = last.map(|last| last.saturating_duration_since(*at)).unwrap_or_default();
            let allowed = LATE + lateness.worst() * 3;
            let mut found = self.found.borrow_mut();
            found.pauses.answered += 1;
            found.pauses.worst_start_ms = found.pauses.worst_start_ms.max(millis(late));
            if late > allowed {
                found.pauses.late += 1;
                let (late, allowed) = (late.as_millis(), allowed.as_millis());
                found.complaints.push(format!(
                    "a hand-over of campaign {} began {late} ms after the answer to its pause; {allowed} ms are allowed",
                    campaign.id
                ));
            }
        }
        for (campaign, _) in &answered {
            self.tell_campaign(campaign, "resume").await?;
        }
        Ok(self.taken())
    }

    /// Whether it was done; an ended campaign refuses.
    async fn tell_campaign(&self, campaign: &Campaign, verb: &str) -> Result<bool, VerifyError> {
        let path = format!("/v1/campaigns/{}/{verb}", campaign.id);
        match self.stage.fleet.ask(Question::post(&path, &json!({}))).await {
            Ok(_) => Ok(true),
            Err(VerifyError::Refused { status: 409, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn roll(&self) -> Result<Sign, VerifyError> {
        for instance in &self.stage.fleet.instances {
            if let Err(error) = instance.drain(Duration::from_secs(DRAIN_SECONDS + 5)).await {
                self.found.borrow_mut().complaints.push(error.to_string());
            }
            self.start(instance).await?;
        }
        Ok(self.taken())
    }

    async fn trouble(
        &self,
        instance: usize,
        link: impl Fn(&Instance) -> Option<&Link>,
        trouble: LinkTrouble,
        for_ms: u64,
    ) {
        let victims = self.instances(&[instance]);
        let links = || victims.iter().filter_map(|instance| link(instance));
        links().for_each(|link| link.begin(trouble));
        pass(for_ms).await;
        links().for_each(Link::mend);
    }

    async fn cut_all(&self, link: impl Fn(&Instance) -> Option<&Link>, for_ms: u64) {
        let links = || self.stage.fleet.instances.iter().filter_map(&link);
        links().for_each(|link| link.begin(LinkTrouble::Refuse));
        pass(for_ms).await;
        links().for_each(Link::mend);
    }

    async fn incarnation(&self, instance: &Instance) -> Option<InstanceId> {
        let (slot, store) = (instance.slot()?, self.stage.store.as_ref()?);
        // Connections that died with an earlier fault are found out one by one.
        for _ in 0..3 {
            let slot = slot.clone();
            let look = move |conn: &mut _| inspection::incarnation(conn, &slot);
            if let Ok(found) = store.run(Lane::Read, "look for an instance", look).await {
                return found;
            }
        }
        None
    }

    /// How long after `since` none of these incarnations held a page any more. `None` where it held none, or where that
    /// cannot be seen.
    async fn pages_moved(&self, owners: &[Option<InstanceId>], since: Instant) -> Option<u64> {
        let store = self.stage.store.as_ref()?;
        let mut held = false;
        while since.elapsed() < self.patience() {
            let mut left = 0;
            for owner in owners.iter().copied().flatten() {
                let look = move |conn: &mut _| inspection::pages_held(conn, owner);
                // While the database is away nothing moves.
                left += store.run(Lane::Read, "count held pages", look).await.unwrap_or(1);
            }
            if left == 0 {
                return held.then(|| millis(since.elapsed()));
            }
            held = true;
            tokio::time::sleep(LOOK).await;
        }
        None
    }

    fn patience(&self) -> Duration {
        self.timing.lease() * 2 + Duration::from_secs(15)
    }

    async fn recovered(&self, sign: Sign) -> Option<u64> {
        let (since, seen): (Instant, Box<dyn Fn() -> Option<Instant>>) = match sign {
            Sign::Known(after) => return after,
            Sign::Taken { since } => (since, Box::new(|| self.stage.last_taken())),
            Sign::Begun { instance, since } => (since, Box::new(move || self.stage.last_begun_by(instance))),
        };
        while since.elapsed() < self.patience() && !self.over.get() {
            if seen().is_some_and(|seen| seen > since) {
                return Some(millis(since.elapsed()));
            }
            tokio::time::sleep(LOOK).await;
        }
        None
    }
}

/// Waits until nobody else has what the fault takes.
async fn hold<'a>(fault: &Fault, instances: usize, parts: &'a [Mutex<()>]) -> Vec<MutexGuard<'a, ()>> {
    let place = |part: &Part| match part {
        Part::Instance(number) => *number,
        Part::Database => instances,
        Part::Broker => instances + 1,
        Part::Campaigns => instances + 2,
        Part::Providers => instances + 3,
    };
    let mut places: Vec<usize> = fault.parts(instances).iter().map(place).collect();
    // In one order, so that no two wait for each other.
    places.sort_unstable();
    let mut held = Vec::with_capacity(places.len());
    for part in places.into_iter().filter_map(|place| parts.get(place)) {
        held.push(part.lock().await);
    }
    held
}

async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
