//! The built-in adversary: breaks things around instances of this very binary, by a plan made from a seed, and then holds
//! Volley's books against what its own recording providers have taken. Knows instances as their operator does: through
//! processes, links and the REST API. What it reads from the database only times recoveries.

pub mod audit;
pub mod climate;
pub mod demands;
pub mod lateness;
pub mod plan;
pub mod ports;
pub mod provider;
pub mod proxy;
pub mod report;
pub mod scratch;
pub mod servers;
pub mod watch;

mod api;
mod broker;
mod fleet;
pub mod injector;
pub mod people;
pub mod provider_mode;
pub mod rng;
mod runtime;
mod stage;

use std::cell::{Cell, RefCell};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::future::try_join3;

use crate::config::Settings;
use crate::config::secret::Secret;
use crate::domain::text_enum::text_enum;
use crate::store::StoreError;
use climate::Faults;
use demands::Excuses;
use injector::{Attack, Found, millis};
use people::{People, SegmentAccount};
use plan::Plan;
use provider::kind::Kind;
use report::Report;
use stage::{Campaign, DRAIN_SECONDS, Stage};
use watch::{Progress, Seen, Watch};

/// Longer than a provider's weather, a circuit's wait and a retry take together.
const STANDSTILL: Duration = Duration::from_secs(60);

text_enum! {
    /// Which providers the recipients are shared out among.
    Providers {
        /// The SMTP relay.
        Smtp = "smtp",
        /// The HTTP API that honours keys.
        Http = "http",
        /// Half to one, half to the other.
        Both = "both",
    }
}

impl Providers {
    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Smtp => &[Kind::Smtp],
            Self::Http => &[Kind::Http],
            Self::Both => &[Kind::Smtp, Kind::Http],
        }
    }
}

/// What a run is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// How much breaks.
    pub faults: Faults,
    /// What the plan is made from.
    pub seed: u64,
    /// How many instances; 3 with a database server, else 1.
    pub instances: Option<usize>,
    /// How many recipients in all.
    pub recipients: usize,
    /// How long things break.
    pub duration: Duration,
    /// Who takes the messages.
    pub providers: Providers,
    /// Start a database server, and a broker where one is installed.
    pub private: bool,
    /// Start that broker.
    pub with_broker: bool,
    /// A scratch PostgreSQL database.
    pub database: Option<Secret>,
    /// A scratch broker.
    pub broker: Option<Secret>,
}

impl Options {
    fn check(&self) -> Result<(), VerifyError> {
        let unfit = |why: &str| Err(VerifyError::Unfit(why.to_owned()));
        if self.recipients < self.providers.kinds().len() {
            return unfit("--recipients: at least one for each provider");
        }
        if self.instances == Some(0) {
            return unfit("--instances: at least one");
        }
        if self.duration < Duration::from_secs(1) {
            return unfit("--duration: at least a second");
        }
        if self.broker.is_some() && self.database.is_none() && !self.private {
            return unfit("--broker: a broker needs a database server; give --database or --private, too");
        }
        Ok(())
    }
}

/// What is told while a run goes on.
#[derive(Debug, Clone)]
pub enum Event {
    /// Something happens.
    Said(String),
    /// Where it is.
    Progress(Progress),
}

/// The receiver of events.
pub type Tell<'a> = &'a dyn Fn(&Event);

/// Why a run came to no report.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Something that the machine lacks.
    #[error("{0}")]
    Absent(String),
    /// Options that cannot work.
    #[error("{0}")]
    Unfit(String),
    /// The system does not give what is needed.
    #[error("cannot {doing}: {source}")]
    Io {
        /// Completes "cannot …".
        doing: String,
        /// Why.
        source: io::Error,
    },
    /// Something else failed.
    #[error("cannot {doing}: {detail}")]
    Failed {
        /// Completes "cannot …".
        doing: String,
        /// Why.
        detail: String,
    },
    /// The API refuses what it should do.
    #[error("{path} was refused: {status} {detail}")]
    Refused {
        /// What was asked.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The problem.
        detail: String,
    },
    /// Nothing is broken any more, and nothing moves.
    #[error("the campaigns have made no progress for {seconds} s: {at}")]
    Stuck {
        /// For how long.
        seconds: u64,
        /// Where they stand.
        at: String,
    },
    /// The database given cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// As any of these; what the instances wrote stays.
    #[error("{source} (seed {seed}; the instances' logs are in {})", logs.display())]
    Run {
        /// What happened.
        source: Box<VerifyError>,
        /// What makes the same run again.
        seed: u64,
        /// Where to look.
        logs: PathBuf,
    },
}

impl VerifyError {
    fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    fn failed(doing: &str, error: &dyn std::error::Error) -> Self {
        Self::Failed { doing: doing.to_owned(), detail: error.to_string() }
    }
}

/// Runs the whole of it. Everything that was started ends with it, also when it is dropped half way.
///
/// # Errors
/// It came to no reckoning: options that cannot work, servers that do not start, campaigns that stand still.
pub async fn run(options: &Options, settings: &Settings, tell: Tell<'_>) -> Result<Report, VerifyError> {
    let (mut stage, plan) = Stage::set(options, settings).await?;
    let broken = plan.faults.len();
    let instances = stage.fleet.instances.len();
    tell(&Event::Said(format!(
        "seed {}: {} recipients, {instances} instances, {broken} faults in {} s, on {}{}",
        options.seed,
        options.recipients,
        options.duration.as_secs(),
        if stage.store.is_some() { "PostgreSQL" } else { "SQLite" },
        if stage.broker.is_some() { " and RabbitMQ" } else { "" },
    )));
    let result = act(options, settings, &stage, plan, tell).await;
    let logs = stage.scratch.path().to_owned();
    match result {
        Ok(report) => {
            if !report.passed {
                stage.scratch.keep();
                tell(&Event::Said(format!("the instances' logs are in {}", logs.display())));
            }
            Ok(report)
        }
        Err(source) => {
            stage.scratch.keep();
            Err(VerifyError::Run { source: Box::new(source), seed: options.seed, logs })
        }
    }
}

async fn act(
    options: &Options,
    settings: &Settings,
    stage: &Stage,
    plan: Plan,
    tell: Tell<'_>,
) -> Result<Report, VerifyError> {
    let campaigns = stage.make_campaigns().await?;
    let people = People::gather(stage, options.seed).await?;
    tell(&Event::Said("the audience is imported; launching".to_owned()));
    let launched = Instant::now();
    stage.launch(&campaigns).await?;
    let (over, calm, found) = (Cell::new(false), Cell::new(false), RefCell::new(Found::default()));
    let injector = Attack {
        stage,
        plan: &plan,
        campaigns: &campaigns,
        timing: &settings.timing,
        launched,
        over: &over,
        tell,
        found: &found,
    };
    let watch = Watch {
        stage,
        campaigns: &campaigns,
        recipients: options.recipients,
        launched,
        over: &over,
        calm: &calm,
        patience: STANDSTILL + settings.timing.lease() * 2,
        tell,
        found: &found,
    };
    let attacked = async {
        injector.run().await?;
        stage.providers.iter().for_each(provider::Provider::hurry);
        calm.set(true);
        Ok(())
    };
    let ((), seen, bought) = try_join3(attacked, watch.run(), people.buy(stage, &over)).await?;
    let elapsed_ms = millis(launched.elapsed());
    tell(&Event::Said("the campaigns have ended; reckoning".to_owned()));
    let lease = settings.timing.lease();
    let segments = people.reckon(stage, &bought).await?;
    reckon(options, stage, plan, (&campaigns, segments), (seen, found.into_inner()), (elapsed_ms, lease)).await
}

async fn reckon(
    options: &Options,
    stage: &Stage,
    plan: Plan,
    (campaigns, segments): (&[Campaign], SegmentAccount),
    (seen, found): (Seen, Found),
    (elapsed_ms, lease): (u64, Duration),
) -> Result<Report, VerifyError> {
    let Found { mut complaints, pauses, mut records } = found;
    records.sort_by_key(|record| record.timed.at_ms);
    let excuses = Excuses::of(&records, stage.fleet.instances.len(), lease, stage.concurrency);
    complaints.extend(segments.complaints.iter().cloned());
    let mut accounts = Vec::new();
    for (campaign, provider) in campaigns.iter().zip(&stage.providers) {
        let account = audit::audit(stage, campaign, provider.ledger()).await?;
        complaints.extend(account.complaints.iter().cloned());
        complaints.extend(demands::complaints(&account, plan.demands, excuses));
        accounts.push(account);
    }
    for instance in &stage.fleet.instances {
        if let Err(error) = instance.drain(Duration::from_secs(DRAIN_SECONDS + 5)).await {
            complaints.push(error.to_string());
        }
        let panics = instance.panics();
        if panics > 0 {
            complaints.push(format!("instance {} panicked {panics} times", instance.number));
        }
    }
    Ok(Report {
        passed: complaints.is_empty() && seen.violations == 0,
        version: env!("CARGO_PKG_VERSION"),
        seed: options.seed,
        faults: options.faults,
        instances: stage.fleet.instances.len(),
        database: if stage.store.is_some() { "postgres" } else { "sqlite" },
        broker: stage.broker.is_some(),
        elapsed_ms,
        looks: seen.looks,
        audits: seen.audits,
        violations: seen.violations,
        accounts,
        segments,
        pauses,
        records,
        complaints,
        plan,
    })
}
