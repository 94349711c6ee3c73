//! `/v1/overview`: what goes on, and what needs attention.

use std::collections::BTreeMap;

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::campaigns::{Campaign, Packing, Stats, Waiting};
use super::replicas::instances::Instance;
use super::replicas::receipt::Receipt;
use crate::domain::campaigns::{CampaignOutcome, CampaignStatus};
use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, InstanceId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::shown::grouped;
use crate::domain::text_enum::text_enum;
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;
use crate::runtime::health::{Attention, AttentionCode};
use crate::services::overview::{self, Seen, Wanted};
use crate::store::StoreError;
use crate::store::campaigns::CampaignWithDetails;
use crate::store::replicas::instances::{LiveInstance, SilentInstance};
use crate::store::replicas::pool_switch::PoolSwitch;
use crate::store::segments::Unevaluated;

/// A campaign in brief.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Glance {
    pub(in crate::http) id: CampaignId,
    pub(in crate::http) name: String,
    pub(in crate::http) channel: ChannelKind,
    pub(in crate::http) status: CampaignStatus,
    /// Rises with every change of status.
    pub(in crate::http) status_version: i64,
    pub(in crate::http) pool: Option<String>,
    /// Hand-overs per second.
    pub(in crate::http) rate_per_second: Option<f64>,
    pub(in crate::http) scheduled_at: Option<UtcInstant>,
    /// How it ended, where the status does not say.
    pub(in crate::http) outcome: Option<CampaignOutcome>,
    pub(in crate::http) stats: Stats,
    /// How many people are to come: those who are neither settled nor skipped, and as long as `packing` goes on also those of the
    /// audience who are not packed yet, by the count of the launch.
    pub(in crate::http) left: i64,
    /// Recipients that wait for another try, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) waiting: Option<Waiting>,
    /// How far the audience is cut into pages; absent before the launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) packing: Option<Packing>,
    /// Why it cannot go on, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) attention: Option<Attention>,
    pub(in crate::http) launched_at: Option<UtcInstant>,
    pub(in crate::http) ended_at: Option<UtcInstant>,
}

impl From<Campaign> for Glance {
    fn from(campaign: Campaign) -> Self {
        let Counts { pending, sending, .. } = campaign.stats.counts;
        Self {
            left: pending + sending + unpacked(campaign.status, &campaign.stats, campaign.packing),
            id: campaign.id,
            name: campaign.name,
            channel: campaign.channel,
            status: campaign.status,
            status_version: campaign.status_version,
            pool: campaign.pool,
            rate_per_second: campaign.rate_per_second,
            scheduled_at: campaign.scheduled_at,
            outcome: campaign.outcome,
            stats: campaign.stats,
            waiting: campaign.waiting,
            packing: campaign.packing,
            attention: campaign.attention,
            launched_at: campaign.launched_at,
            ended_at: campaign.ended_at,
        }
    }
}

impl Glance {
    /// A campaign as it was read, with the instances that lived then.
    pub(in crate::http) fn of(
        whole: CampaignWithDetails,
        state: &AppState,
        instances: &[LiveInstance],
    ) -> Result<Self, StoreError> {
        campaign_among(whole, state, instances).map(Self::from)
    }

    /// A campaign for tests of what is said of one.
    #[cfg(test)]
    pub(in crate::http) fn example(status: CampaignStatus, counts: Counts, packing: Packing) -> Self {
        let stats = Stats { total: counts.total(), counts, skipped_by_reason: BTreeMap::new() };
        let left = counts.pending + counts.sending + unpacked(status, &stats, Some(packing));
        Self {
            id: CampaignId(7),
            name: "Spring".to_owned(),
            channel: ChannelKind::Email,
            status,
            status_version: 1,
            pool: None,
            rate_per_second: None,
            scheduled_at: None,
            outcome: None,
            stats,
            left,
            waiting: None,
            packing: Some(packing),
            attention: None,
            launched_at: None,
            ended_at: None,
        }
    }

    /// The packing of its audience, while that goes on.
    pub(in crate::http) fn packing_on(&self) -> Option<Packing> {
        self.packing.filter(|packing| !packing.done && goes_on(self.status))
    }
}

/// How many of an audience are still to be packed.
fn unpacked(status: CampaignStatus, stats: &Stats, packing: Option<Packing>) -> i64 {
    packing.filter(|_| goes_on(status)).map_or(0, |packing| packing.left(stats))
}

/// Whether more of a campaign's audience can be packed, now or when it is resumed.
const fn goes_on(status: CampaignStatus) -> bool {
    matches!(status, CampaignStatus::Sending | CampaignStatus::Paused)
}

/// A campaign as it was read. That this instance does not run its pool is no trouble where another one does.
fn campaign_among(
    whole: CampaignWithDetails,
    state: &AppState,
    instances: &[LiveInstance],
) -> Result<Campaign, StoreError> {
    let mut campaign = Campaign::new(whole, state)?;
    let is_missing = campaign.attention.as_ref().is_some_and(|found| found.code == AttentionCode::PoolMissing);
    if is_missing && instances.iter().any(|instance| campaign.pool.as_ref().is_some_and(|pool| instance.runs(pool))) {
        campaign.attention = None;
    }
    Ok(campaign)
}

text_enum! {
    /// What needs attention.
    NeedKind {
        /// A campaign cannot go on, or could not be launched in the last day.
        Campaign = "campaign",
        /// It is not known whether messages of a campaign have left.
        Uncertain = "uncertain",
        /// A pool of the instance that answers cannot be used, or any pool is suspended.
        Pool = "pool",
        /// A segment cannot be evaluated: who is a member stays as it was.
        Segment = "segment",
        /// An instance is silent and has not ended in order.
        Instance = "instance",
    }
}

/// Something that needs attention.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Need {
    pub(in crate::http) kind: NeedKind,
    /// Stable: the code of an attention; `uncertain_deliveries`, `launch_failed`, `instance_silent`, `segment_not_evaluated`; `no_sender`.
    pub(in crate::http) code: String,
    /// One line for people.
    pub(in crate::http) detail: String,
    /// Since when, where that is known.
    pub(in crate::http) since: Option<UtcInstant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) campaign_id: Option<CampaignId>,
    /// What the campaign, the pool or the segment is called, or the machine of the instance.
    pub(in crate::http) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) instance_id: Option<InstanceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) segment_id: Option<SegmentId>,
}

/// A pool of the instance that answers.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct PoolGlance {
    pub(in crate::http) name: String,
    pub(in crate::http) channel: ChannelKind,
    /// Why nothing goes through it, if nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) attention: Option<Attention>,
}

/// What goes on, at one moment.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Overview {
    /// The moment.
    pub(in crate::http) at: UtcInstant,
    /// What needs attention, the oldest first; what nobody knows the time of comes last.
    pub(in crate::http) needs: Vec<Need>,
    /// Whether these are all that this instance knows of. False: there are more campaigns that are active, that are uncertain or
    /// that could not be launched, or more segments that cannot be evaluated, than were looked at.
    pub(in crate::http) needs_complete: bool,
    /// Campaigns that are sending or paused: the 50 newest.
    pub(in crate::http) active: Vec<Glance>,
    /// How many campaigns are sending or paused.
    pub(in crate::http) active_total: i64,
    /// The next ten campaigns that launch by themselves.
    pub(in crate::http) scheduled: Vec<Glance>,
    /// The ten newest campaigns that have ended.
    pub(in crate::http) ended: Vec<Glance>,
    /// The instances that were heard of within the last ten seconds.
    pub(in crate::http) instances: Vec<Instance>,
    /// The pools of the instance that answers.
    pub(in crate::http) pools: Vec<PoolGlance>,
}

impl Overview {
    /// What was seen at a moment.
    pub(in crate::http) fn of(
        at: UtcInstant,
        seen: overview::Overview,
        live: &[LiveInstance],
        state: &AppState,
    ) -> Result<Self, StoreError> {
        let glances = |all: Vec<CampaignWithDetails>| -> Result<Vec<Glance>, StoreError> {
            all.into_iter().map(|whole| Glance::of(whole, state, live)).collect()
        };
        let (active, scheduled, ended) = (glances(seen.active)?, glances(seen.scheduled)?, glances(seen.ended)?);
        let counted = |all: &[Glance]| i64::try_from(all.len()).unwrap_or(i64::MAX);
        let mut uncertain = glances(seen.uncertain)?;
        let not_launched: Vec<Campaign> =
            seen.not_launched.into_iter().map(|whole| Campaign::new(whole, state)).collect::<Result<_, _>>()?;
        let most = usize::try_from(overview::MOST_NEEDS).unwrap_or(usize::MAX);
        let others = [uncertain.len(), not_launched.len(), seen.unevaluated.len()];
        let needs_complete = seen.active_total <= counted(&active) && others.into_iter().all(|count| count <= most);
        uncertain.truncate(most);
        let troubles = state.health.pools();
        let mut needs: Vec<Need> = active.iter().chain(&scheduled).filter_map(held).collect();
        needs.extend(uncertain.iter().map(doubt));
        needs.extend(not_launched.iter().take(most).map(launch_failure));
        needs.extend(seen.unevaluated.into_iter().take(most).map(not_evaluated));
        needs.extend(pool_needs(&troubles));
        let of_others = seen.switches.iter().filter(|switch| !troubles.contains_key(&switch.pool));
        needs.extend(of_others.filter(|switch| switch.holds(at)).map(suspension));
        needs.extend(state.health.no_sender().map(nobody_sends));
        needs.extend(seen.silent.into_iter().map(silence));
        needs.sort_by_key(|need| (need.since.is_none(), need.since));
        let pool = |pool: &crate::config::pools::PoolConfig| PoolGlance {
            name: pool.name.clone(),
            channel: pool.channel,
            attention: troubles.get(&pool.name).cloned().flatten(),
        };
        Ok(Self {
            at,
            needs,
            needs_complete,
            active,
            active_total: seen.active_total,
            scheduled,
            ended,
            instances: live.iter().cloned().map(|live| Instance::of(live, state.instance)).collect(),
            pools: state.settings.pools.iter().map(pool).collect(),
        })
    }
}

/// What a campaign needs, apart from what else is known of it.
fn need_of(campaign: &Glance, kind: NeedKind, code: &str, detail: String, since: Option<UtcInstant>) -> Need {
    let (campaign_id, name) = (Some(campaign.id), campaign.name.clone());
    Need { kind, code: code.to_owned(), detail, since, campaign_id, name, instance_id: None, segment_id: None }
}

/// A campaign that cannot go on.
fn held(campaign: &Glance) -> Option<Need> {
    let attention = campaign.attention.as_ref()?;
    // Nobody notes when a pool went missing: it is seen anew each time.
    let since = (attention.code != AttentionCode::PoolMissing).then_some(attention.since);
    Some(need_of(campaign, NeedKind::Campaign, attention.code.as_str(), attention.detail.clone(), since))
}

/// A campaign with uncertain deliveries.
fn doubt(campaign: &Glance) -> Need {
    let detail = match campaign.stats.counts.uncertain {
        1 => "it is not known whether one message has left".to_owned(),
        count => format!("it is not known whether {} messages have left", grouped(count)),
    };
    need_of(campaign, NeedKind::Uncertain, "uncertain_deliveries", detail, None)
}

/// A campaign whose time came, and that could not be launched.
fn launch_failure(campaign: &Campaign) -> Need {
    let detail = match &campaign.launch_error {
        Some(error) => format!("its time came, and it could not be launched: {}", error.detail),
        None => "its time came, and it could not be launched".to_owned(),
    };
    Need {
        kind: NeedKind::Campaign,
        code: CampaignOutcome::LaunchFailed.as_str().to_owned(),
        detail,
        since: campaign.ended_at,
        campaign_id: Some(campaign.id),
        name: campaign.name.clone(),
        instance_id: None,
        segment_id: None,
    }
}

/// No instance sends.
fn nobody_sends(attention: Attention) -> Need {
    Need {
        kind: NeedKind::Instance,
        code: attention.code.as_str().to_owned(),
        detail: attention.detail,
        since: Some(attention.since),
        campaign_id: None,
        name: "all instances".to_owned(),
        instance_id: None,
        segment_id: None,
    }
}

/// A pool that this instance does not run, and that is suspended.
fn suspension(switch: &PoolSwitch) -> Need {
    let reason = switch.reason.clone().filter(|reason| !reason.is_empty());
    Need {
        kind: NeedKind::Pool,
        code: AttentionCode::PoolSuspended.as_str().to_owned(),
        detail: reason.unwrap_or_else(|| "an operator has suspended the pool".to_owned()),
        since: Some(switch.changed_at),
        campaign_id: None,
        name: switch.pool.clone(),
        instance_id: None,
        segment_id: None,
    }
}

fn pool_needs(troubles: &BTreeMap<String, Option<Attention>>) -> impl Iterator<Item = Need> {
    troubles.iter().filter_map(|(name, trouble)| {
        let trouble = trouble.as_ref()?;
        Some(Need {
            kind: NeedKind::Pool,
            code: trouble.code.as_str().to_owned(),
            detail: trouble.detail.clone(),
            since: Some(trouble.since),
            campaign_id: None,
            name: name.clone(),
            instance_id: None,
            segment_id: None,
        })
    })
}

/// A segment that cannot be evaluated. Nobody notes since when.
fn not_evaluated(segment: Unevaluated) -> Need {
    Need {
        kind: NeedKind::Segment,
        code: "segment_not_evaluated".to_owned(),
        detail: format!("it cannot be evaluated, and its members stay as they were: {}", segment.problem),
        since: None,
        campaign_id: None,
        name: segment.name,
        instance_id: None,
        segment_id: Some(segment.id),
    }
}

fn silence(silent: SilentInstance) -> Need {
    Need {
        kind: NeedKind::Instance,
        code: "instance_silent".to_owned(),
        detail: format!("instance {} is silent and has not ended in order", silent.id),
        since: Some(silent.last_seen_at),
        campaign_id: None,
        name: silent.host,
        instance_id: Some(silent.id),
        segment_id: None,
    }
}

/// What goes on now.
pub(in crate::http) async fn read(state: &AppState) -> Result<Overview, ApiError> {
    let wanted = Wanted { overview: true, ..Wanted::default() };
    let seen = overview::look(&state.services.store, wanted).await?;
    let missing = || ApiError::Unexpected { action: "look at what goes on", source: "it was not looked at".into() };
    Ok(Overview::of(seen.at, seen.overview.ok_or_else(missing)?, &seen.instances, state)?)
}

/// A campaign without its audience, the receipt of its newest decision, and the moment of both.
pub(in crate::http) struct Sighted {
    pub(in crate::http) at: UtcInstant,
    pub(in crate::http) campaign: Campaign,
    pub(in crate::http) receipt: Option<Receipt>,
}

/// Looks at a campaign.
pub(in crate::http) async fn sight(state: &AppState, id: CampaignId) -> Result<Sighted, ApiError> {
    sighted(state, id, overview::look(&state.services.store, one(id)).await?)
}

/// The same for a decision about it, which waits behind no other read.
pub(in crate::http) async fn sight_to_decide(state: &AppState, id: CampaignId) -> Result<Sighted, ApiError> {
    sighted(state, id, overview::look_to_decide(&state.services.store, one(id)).await?)
}

fn one(id: CampaignId) -> Wanted {
    Wanted { campaigns: vec![id], ..Wanted::default() }
}

fn sighted(state: &AppState, id: CampaignId, mut seen: Seen) -> Result<Sighted, ApiError> {
    let (whole, replies) = seen.campaigns.pop().ok_or(ApiError::not_found("campaign", id.0))?;
    let receipt = Receipt::of(replies, state.settings.timing.start_deadline_ms);
    Ok(Sighted { at: seen.at, campaign: campaign_among(whole, state, &seen.instances)?, receipt })
}

/// What goes on, and what needs attention: active, scheduled and ended campaigns with their counts, instances and pools, in one snapshot.
#[utoipa::path(get, path = "/v1/overview", tag = "operations", responses((status = 200, body = Overview)))]
pub(in crate::http) async fn show(state: web::Data<AppState>, _: Query<()>) -> Result<web::Json<Overview>, ApiError> {
    Ok(web::Json(read(&state).await?))
}
