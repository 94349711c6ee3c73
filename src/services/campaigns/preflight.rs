//! The preflight of a campaign: everybody who is meant by its audience is counted, and every message is made, as a launch and the claims after
//! it would do it. Nothing is stored and nothing is sent.

pub mod desk;
mod tally;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use self::desk::{Busy, Turn};
use self::tally::Tally;
use super::composed::{ComposeError, Composed};
use super::examine::{self, Examined};
use super::launch::{self, LaunchError};
use crate::domain::campaigns::CampaignEvent;
use crate::domain::content::attachment::AttachedFile;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::domain::preflight::estimate::{Estimate, Limit};
use crate::domain::preflight::verdict::{Finding, Verdict};
use crate::domain::preflight::{Progress, RecentlyMailed, Report};
use crate::services::blocking::{Interrupted, blocking};
use crate::services::content::files;
use crate::services::{By, Services};
use crate::store::campaigns::{self, CampaignRow, TransitionError};
use crate::store::dispatch::preflight::{Ground, Question, Stretch, stretch};
use crate::store::replicas::pool_switches;
use crate::store::{Conn, Lane, StoreError, engine};

/// How many people are looked at in one transaction, and how many while a campaign is being sent.
const AT_ONCE: i64 = 2_000;
const AT_ONCE_BESIDE: i64 = 500;

/// While a campaign is being sent, it rests so many times as long as it has worked.
const RESTS: u32 = 5;

/// How long a preflight may take.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// It is missing, or its status does not allow a launch.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// It cannot begin now.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Nobody waits for it any more.
    #[error("nobody waits for the preflight any more")]
    Unwanted,
    /// It took too long.
    #[error("the preflight took longer than {} minutes", LONGEST.as_secs() / 60)]
    TooLong,
    /// The work was interrupted.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<StoreError> for PreflightError {
    fn from(error: StoreError) -> Self {
        Self::Launch(error.into())
    }
}

/// A preflight that runs.
pub struct Running {
    /// How far it is.
    pub progress: watch::Receiver<Progress>,
    /// Its result. Closed without one: the process ends.
    pub end: oneshot::Receiver<Result<Arc<Report>, PreflightError>>,
}

/// Begins a preflight. Unless it `outlives` that, it stops when its result is not waited for any more: when [`Running::end`] is dropped.
///
/// # Errors
/// [`Busy`].
pub fn start(services: &Services, id: CampaignId, by: &By, outlives: bool) -> Result<Running, Busy> {
    let turn = services.preflights.begin(id)?;
    let (told, end) = oneshot::channel();
    let running = Running { progress: turn.listen(), end };
    let (services, by) = (services.clone(), by.clone());
    tokio::spawn(async move {
        let began = Instant::now();
        let is_wanted = || outlives || !told.is_closed();
        let result = run(&services, id, &by, &turn, is_wanted).await.map(Arc::new);
        match &result {
            Ok(report) => {
                turn.keep(Arc::clone(report));
                note(report, began);
            }
            Err(error) => tracing::warn!(
                event = "campaign.not_preflighted",
                campaign.id = id.0,
                error = %error,
                "a campaign could not be checked before its launch"
            ),
        }
        drop(turn);
        // Nobody may wait for it.
        let _ = told.send(result);
    });
    Ok(running)
}

fn note(report: &Report, began: Instant) {
    tracing::info!(
        event = "campaign.preflighted",
        campaign.id = report.campaign_id.0,
        recipients = report.funnel.recipients,
        messages = report.funnel.messages,
        go = report.verdict.go,
        duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "a campaign was checked before its launch"
    );
}

/// What is known before anybody is looked at.
struct Prepared {
    campaign: CampaignRow,
    examined: Examined,
    ground: Option<Arc<Ground>>,
    composed: Option<Composed>,
    /// What each message has beside its words.
    files: Vec<AttachedFile>,
    blockers: Vec<Finding>,
    started_at: UtcInstant,
}

async fn run(
    services: &Services,
    id: CampaignId,
    by: &By,
    turn: &Turn,
    is_wanted: impl Fn() -> bool,
) -> Result<Report, PreflightError> {
    let shared = services.clone();
    let read = move |conn: &mut Conn| prepare(conn, &shared, id);
    let prepared = services.store.run(Lane::Read, "look at a campaign before its launch", read).await??;
    let Prepared { campaign, examined, ground, composed, files, mut blockers, started_at } = prepared;
    let provided = services.links.sample(&services.settings);
    let tally = Tally::new(campaign.channel, composed, provided);
    let tally = match &ground {
        Some(ground) => walk(services, ground, turn, is_wanted, tally).await?,
        None => tally,
    };
    let gathered = tally.finish();
    let reach = reach(services, &examined, gathered.funnel.recipients, by).await?;
    blockers.extend(reach.as_ref().map(refusal));
    let (limit, open) = provider(services, &examined).await?;
    blockers.extend(open);
    let (finished_at, fingerprint) = again(services, id).await?;
    let mut remarks = Vec::new();
    if fingerprint != examined.fingerprint {
        let detail = "the campaign or its audience has changed while it was checked: check it again".to_owned();
        remarks.push(Finding::new("changed_meanwhile", detail));
    }
    let recently_mailed = RecentlyMailed {
        people: gathered.recently_mailed,
        campaigns: ground.as_ref().map_or(0, |ground| ground.others.len()),
        complete: ground.as_ref().is_none_or(|ground| ground.others_complete),
    };
    let people = (gathered.missing.as_slice(), gathered.failures.as_slice(), recently_mailed);
    let verdict = match &ground {
        Some(_) => Verdict::of(blockers, remarks, &gathered.funnel, people),
        // Nobody was counted: that nobody is there is not known.
        None => Verdict { go: false, blockers, remarks },
    };
    let starts_at = campaign.scheduled_at.unwrap_or(finished_at).max(finished_at);
    let pool_rate = examined.pool.as_ref().map(|pool| pool.rate_per_second);
    let limits = [(Limit::Campaign, campaign.rate_per_second), (Limit::Pool, pool_rate), (Limit::Provider, limit)];
    Ok(Report {
        campaign_id: id,
        verdict,
        fingerprint: examined.fingerprint,
        estimate: Estimate::of(gathered.funnel.messages, starts_at, limits),
        funnel: gathered.funnel,
        missing: gathered.missing,
        render_errors: gathered.failures,
        recently_mailed,
        samples: gathered.samples,
        attachments: files,
        sms_parts: gathered.sms_parts,
        started_at,
        finished_at,
    })
}

fn refusal(error: &LaunchError) -> Finding {
    Finding::new(error.code(), error.to_string())
}

fn prepare(conn: &mut Conn, services: &Services, id: CampaignId) -> Result<Result<Prepared, LaunchError>, StoreError> {
    let Some(campaign) = campaigns::find(conn, id)? else { return Ok(Err(TransitionError::NotFound(id).into())) };
    if let Err(refused) = campaign.status.next(CampaignEvent::Launch) {
        return Ok(Err(LaunchError::Transition(refused.into())));
    }
    let examined = examine::examine(conn, services, &campaign)?;
    let started_at = engine::now(conn)?;
    let mut blockers: Vec<Finding> = examined.refusals.iter().map(refusal).collect();
    if let Some(pool) = &examined.pool {
        let (switches, now) = pool_switches::all(conn)?;
        let suspended = switches.iter().find(|switch| switch.pool == pool.name && switch.holds(now));
        blockers.extend(suspended.map(|switch| {
            let reason = switch.reason.as_deref().filter(|reason| !reason.is_empty());
            let detail = format!("pool {} is suspended", pool.name);
            Finding::new("pool_suspended", reason.map_or(detail.clone(), |reason| format!("{detail}: {reason}")))
        }));
    }
    if let Some(due) = campaign.scheduled_at.filter(|due| *due < started_at) {
        blockers.push(Finding::new("schedule_past", format!("its launch time has passed: {due}")));
    }
    // As it will be from the launch on.
    let campaign = CampaignRow { pool: examined.pool.as_ref().map(|pool| pool.name.clone()), ..campaign };
    let ground = match &examined.audience {
        None => None,
        Some(audience) => {
            let topics = campaigns::topics(&campaign)?;
            let question = Question { campaign: id, channel: campaign.channel, category: examined.category, topics };
            Some(Arc::new(Ground::of(conn, audience, &question)?))
        }
    };
    let composed = match campaigns::content(conn, &campaign)? {
        None => None,
        Some(version) => {
            match Composed::of(conn, &services.links, &services.settings, &campaign, &version.content()) {
                Ok(composed) => Some(composed),
                // It is among the refusals.
                Err(ComposeError::Template(_)) => None,
                Err(ComposeError::Store(error)) => return Err(error),
            }
        }
    };
    let uses = campaigns::email_fields::of(conn, &campaign)?.attachments;
    let files = files::described(conn, &uses)?;
    Ok(Ok(Prepared { campaign, examined, ground, composed, files, blockers, started_at }))
}

/// Walks through the audience. While the messages of one stretch are made, the next one is read.
async fn walk(
    services: &Services,
    ground: &Arc<Ground>,
    turn: &Turn,
    is_wanted: impl Fn() -> bool,
    mut tally: Tally,
) -> Result<Tally, PreflightError> {
    let read = |after: ContactId, size: i64| {
        let ground = Arc::clone(ground);
        let look = move |conn: &mut Conn| stretch(conn, &ground, after, size);
        services.store.run(Lane::Read, "look at the people of an audience", look)
    };
    let began = Instant::now();
    let mut found: Stretch = read(ContactId(0), AT_ONCE_BESIDE).await?;
    while !found.is_end {
        if !is_wanted() {
            return Err(PreflightError::Unwanted);
        }
        if began.elapsed() > LONGEST {
            return Err(PreflightError::TooLong);
        }
        let (after, is_sending, works_from) = (found.up_to, found.is_sending, Instant::now());
        let make = blocking("make the messages of an audience", move || {
            tally.take(found);
            tally
        });
        let size = if is_sending { AT_ONCE_BESIDE } else { AT_ONCE };
        let (next, made) = tokio::join!(read(after, size), make);
        (found, tally) = (next?, made?);
        let thousandths = after.0.saturating_mul(1_000) / ground.highest.0.max(1);
        turn.tell(Progress { looked_at: tally.funnel.recipients, thousandths });
        if is_sending {
            // What is being sent goes first.
            tokio::time::sleep(works_from.elapsed() * RESTS).await;
        }
    }
    Ok(tally)
}

/// Why a launch would be refused for how many people it reaches.
async fn reach(
    services: &Services,
    examined: &Examined,
    recipients: i64,
    by: &By,
) -> Result<Option<LaunchError>, StoreError> {
    let Some(audience) = examined.audience.clone() else { return Ok(None) };
    let people = match audience.is_counted_by_packing() {
        false => recipients,
        // As the launch counts it.
        true => {
            let count = move |conn: &mut Conn| campaigns::launch::at_most(conn, &audience);
            services.store.run(Lane::Read, "count an audience", count).await?
        }
    };
    Ok(launch::check_reach(&services.settings, examined.category, people, by).err())
}

/// What the pool has found out about its provider: its ceiling on hand-overs a second, and whether it is left alone.
async fn provider(services: &Services, examined: &Examined) -> Result<(Option<f64>, Option<Finding>), StoreError> {
    let Some(pool) = &examined.pool else { return Ok((None, None)) };
    let (Some(pace), _) = services.paces.read(pool.name.clone()).await? else { return Ok((None, None)) };
    let open = pace.circuit.is_open().then(|| {
        let detail =
            format!("the provider of pool {} accepts nothing: it is left alone, and probed now and then", pool.name);
        Finding::new("circuit_open", detail)
    });
    Ok((pace.rate.ceiling, open))
}

/// The fingerprint that a preflight of a campaign would have now. `None`: it cannot be launched as it is.
///
/// # Errors
/// The database failed.
pub async fn fingerprint(services: &Services, id: CampaignId) -> Result<Option<String>, StoreError> {
    Ok(again(services, id).await?.1)
}

/// The fingerprint once more, and the time of that.
async fn again(services: &Services, id: CampaignId) -> Result<(UtcInstant, Option<String>), StoreError> {
    let shared = services.clone();
    let look = move |conn: &mut Conn| {
        let fingerprint = match campaigns::find(conn, id)? {
            Some(campaign) => examine::examine(conn, &shared, &campaign)?.fingerprint,
            None => None,
        };
        Ok((engine::now(conn)?, fingerprint))
    };
    services.store.run(Lane::Read, "look at a campaign before its launch", look).await
}
