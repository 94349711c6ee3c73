//! How fast a campaign goes out, which limit binds, and when it is expected to end.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::campaigns::CampaignStatus;
use crate::domain::dispatch::lately::{handed_over_lately, measured_from};
use crate::domain::dispatch::minutes::{MinuteFigures, minute_of};
use crate::domain::dispatch::speed::{
    Bound, Ceiling, CeilingKind, CeilingState, EndUnknown, Situation, Speed, calls_at_once,
};
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;
use crate::http::api::overview::{self, Glance, Sighted};
use crate::http::api::replicas::pools::{self, Pool};
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::runtime::health::{Attention, AttentionCode};
use crate::store::campaigns::glance;
use crate::store::dispatch::minutes;
use crate::store::replicas::instances;
use crate::store::{Conn, Lane, StoreError};

/// Most campaigns that are looked at for who shares the pool: the newest of those that are sending.
const MOST_OTHERS: i64 = 50;

/// How fast a campaign goes out.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct CampaignPace {
    pub(in crate::http) campaign_id: CampaignId,
    /// The moment of this answer.
    pub(in crate::http) at: UtcInstant,
    pub(in crate::http) status: CampaignStatus,
    /// Its pool. `null`: it is chosen at the launch.
    pub(in crate::http) pool: Option<String>,
    /// How many people are to come.
    pub(in crate::http) left: i64,
    /// Hand-overs per second that came to an end in the last minute, or since the launch if that is shorter. After a resume or a reopening
    /// it begins with the next minute. `null`: it is not being sent, or less than five seconds have passed since then.
    pub(in crate::http) measured_per_second: Option<f64>,
    /// Everything that limits it, whether it binds or not.
    pub(in crate::http) limits: Vec<Ceiling>,
    /// What binds now. `null`: it is not being sent, or what holds it back is not among what is known.
    pub(in crate::http) bound_by: Option<CeilingKind>,
    /// Other campaigns that are being sent through the same pool, of the 50 newest: they take their part of all limits but its own.
    pub(in crate::http) others: Vec<CampaignId>,
    /// When it is expected to end, at the pace of the last minute; later, if some wait longer for another try. `null`: see `end_unknown`.
    pub(in crate::http) ends_at: Option<UtcInstant>,
    /// Why the end is not known.
    pub(in crate::http) end_unknown: Option<EndUnknown>,
    /// Why it is not faster, in a sentence for people. It may change.
    pub(in crate::http) why: String,
}

/// Shows how fast a campaign goes out: all limits that apply, which one binds now, what was measured in the last minute, and when it is expected
/// to end.
#[utoipa::path(get, path = "/v1/campaigns/{id}/pace", tag = "campaigns", params(("id" = i64, Path)),
    responses((status = 200, body = CampaignPace), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
) -> Result<web::Json<CampaignPace>, ApiError> {
    Ok(web::Json(measured(&state, id).await?.1))
}

/// What happened to a campaign in the last two minutes.
struct Lately {
    id: CampaignId,
    /// From when it is measured. `None`: it was not launched.
    from: Option<UtcInstant>,
    minutes: Vec<(UtcInstant, MinuteFigures)>,
}

impl Lately {
    fn read(conn: &mut Conn, id: CampaignId, from: Option<UtcInstant>, at: UtcInstant) -> Result<Self, StoreError> {
        let minutes = minutes::since(conn, id, minute_of(at).plus_ms(-60_000))?;
        Ok(Self { id, from, minutes })
    }

    /// So many of these per second.
    fn rate(&self, of: impl Fn(&MinuteFigures) -> i64, at: UtcInstant) -> Option<f64> {
        let counts: Vec<_> = self.minutes.iter().map(|(minute, figures)| (*minute, of(figures))).collect();
        handed_over_lately(&counts, self.from?, at)
    }
}

/// What is read of the last two minutes, of who else is sent, and of who sends.
struct Around {
    own: Lately,
    others: Vec<Lately>,
    /// Instances that run the pool.
    instances: usize,
}

async fn around(
    state: &AppState,
    campaign: &Glance,
    from: Option<UtcInstant>,
    at: UtcInstant,
) -> Result<Around, ApiError> {
    let (id, pool) = (campaign.id, campaign.pool.clone());
    let read = move |conn: &mut Conn| {
        conn.snapshot(|conn| {
            let sending = glance::newest(conn, &[CampaignStatus::Sending], MOST_OTHERS)?;
            let mut others = Vec::new();
            for other in sending.iter().filter(|other| pool.is_some() && other.pool == pool && other.id != id) {
                let from = other.launched_at.map(|launched| measured_from(launched, other.updated_at));
                others.push(Lately::read(conn, other.id, from, at)?);
            }
            let running = |pool: &str| instances::live(conn).map(|all| all.iter().filter(|one| one.runs(pool)).count());
            let instances = pool.as_deref().map_or(Ok(0), running)?;
            Ok(Around { own: Lately::read(conn, id, from, at)?, others, instances })
        })
    };
    Ok(state.store.run(Lane::Read, "measure a campaign's pace", read).await?)
}

fn is_on_tiptoe(pool: Option<&Pool>) -> bool {
    pool.and_then(|pool| pool.pace.as_ref()).is_some_and(|pace| pace.state == "tiptoe")
}

/// Whether what is the matter lets nothing pass. A pool on tiptoe calls its provider unreachable, and makes one call at a time.
fn stops(attention: &Attention, pool: Option<&Pool>) -> bool {
    let only_slow = attention.code == AttentionCode::ProviderUnreachable && is_on_tiptoe(pool);
    attention.code.stops_everything() && !only_slow
}

/// A campaign, and how fast it goes out.
pub(in crate::http) async fn measured(state: &AppState, id: CampaignId) -> Result<(Glance, CampaignPace), ApiError> {
    let Sighted { at, campaign, .. } = overview::sight(state, id).await?;
    let from = campaign.launched_at.map(|launched| measured_from(launched, campaign.updated_at));
    let campaign = Glance::from(campaign);
    let Around { own, others, instances } = around(state, &campaign, from, at).await?;
    let pools = pools::listed(state).await?.0.data;
    let pool = pools.iter().find(|pool| campaign.pool.as_ref() == Some(&pool.name));
    let is_sending = campaign.status == CampaignStatus::Sending;
    let rate = |of: fn(&MinuteFigures) -> i64| own.rate(of, at).filter(|_| is_sending);
    let (measured, called) = (rate(MinuteFigures::handed_over), rate(MinuteFigures::called));
    let of_others = others.iter().filter_map(|other| other.rate(MinuteFigures::called, at)).sum::<f64>();
    let speed = Speed::of(&Situation {
        status: campaign.status,
        at,
        left: campaign.left,
        is_packing: campaign.packing_on().is_some() && campaign.stats.counts.pending == 0,
        waiting: campaign.waiting.map(|waiting| (waiting.count, waiting.next_at)),
        attention: campaign.attention.as_ref().map(|found| found.detail.clone()),
        stops: campaign.attention.as_ref().is_some_and(|found| stops(found, pool)),
        measured,
        called,
        together: called.map(|called| called + of_others),
        others: others.len(),
        ceilings: ceilings(&campaign, pool, instances),
    });
    let Speed { ceilings, bound, ends_at, end_unknown, why } = speed;
    let pace = CampaignPace {
        campaign_id: id,
        at,
        status: campaign.status,
        pool: campaign.pool.clone(),
        left: campaign.left,
        measured_per_second: measured.map(|rate| (rate * 10.0).round() / 10.0),
        limits: ceilings,
        bound_by: if let Bound::By(kind) = bound { Some(kind) } else { None },
        others: others.iter().map(|other| other.id).collect(),
        ends_at,
        end_unknown,
        why,
    };
    Ok((campaign, pace))
}

/// The limits that apply, as far as they are known.
fn ceilings(campaign: &Glance, pool: Option<&Pool>, instances: usize) -> Vec<Ceiling> {
    let own = match campaign.rate_per_second {
        Some(rate) => Ceiling::rate(CeilingKind::Campaign, rate, "the campaign's own rate"),
        None => Ceiling::none(CeilingKind::Campaign, "the campaign has no rate of its own"),
    };
    let mut all = vec![own];
    let Some(pool) = pool else { return all };
    all.push(match pool.settings.as_ref().map(|own| own.rate_per_second) {
        Some(Some(rate)) => {
            Ceiling::rate(CeilingKind::Pool, rate, "the pool's rate in the settings, all instances together")
        }
        Some(None) => Ceiling::none(CeilingKind::Pool, "the settings give the pool no rate"),
        None => Ceiling::unknown(CeilingKind::Pool, "the instance that answers does not run this pool"),
    });
    all.push(provider(pool));
    all.push(places(pool, instances));
    let waiting = pool.pace.as_ref().map_or(0, |pace| pace.domains_waiting.len());
    if waiting > 0 {
        let domains = if waiting == 1 { "recipient domain is" } else { "recipient domains are" };
        let detail = format!("{waiting} {domains} throttled alone; the others go on");
        all.push(Ceiling { state: CeilingState::Part, ..Ceiling::none(CeilingKind::Domains, &detail) });
    }
    all
}

/// What was found out about the provider, or decided about the pool.
fn provider(pool: &Pool) -> Ceiling {
    let kind = CeilingKind::Provider;
    if pool.suspended {
        let reason = pool.reason.as_deref().unwrap_or_default();
        return Ceiling::holds(kind, &format!("the pool is suspended: {reason}"));
    }
    let Some(pace) = &pool.pace else {
        return Ceiling::none(kind, "nothing was found that the provider would not take");
    };
    let cut = pace.last_cut.as_ref().map(|cut| format!(": {}", cut.detail)).unwrap_or_default();
    match (pace.state, pace.rate_per_second) {
        ("circuit_open", _) => Ceiling::holds(kind, &format!("the provider is left alone and probed{cut}")),
        ("paused", _) => Ceiling::holds(kind, "the provider asked for a pause"),
        (_, Some(rate)) if pace.pinned => Ceiling::rate(kind, rate, "an operator has pinned this rate"),
        (_, Some(rate)) => Ceiling::rate(kind, rate, &format!("what the provider was found to take{cut}")),
        (_, None) => Ceiling::none(kind, "no ceiling on the rate was found"),
    }
}

/// What calls at once allow: so many of them, divided by how long one takes.
fn places(pool: &Pool, instances: usize) -> Ceiling {
    let kind = CeilingKind::Places;
    let pace = pool.pace.as_ref();
    let of_settings = pool.settings.as_ref().and_then(|own| {
        let all = own.concurrency.checked_mul(instances.max(1))?;
        u32::try_from(all).ok().map(f64::from)
    });
    let (found, on_tiptoe) = (pace.and_then(|pace| pace.places), is_on_tiptoe(Some(pool)));
    let Some(places) = calls_at_once(found, of_settings, on_tiptoe) else {
        return Ceiling::unknown(kind, "the instance that answers does not run this pool");
    };
    let at_once = if on_tiptoe {
        "one call at a time, because nothing was accepted lately".to_owned()
    } else {
        let is_found = found.is_some_and(|found| of_settings.is_none_or(|most| found < most));
        format!("{places:.0} calls at once{}", if is_found { ", as the pool has found" } else { "" })
    };
    let ceiling = match pace.and_then(|pace| pace.call_seconds).filter(|seconds| *seconds > 0.0) {
        Some(seconds) => Ceiling::rate(kind, places / seconds, &format!("{at_once}, {:.0} ms each", seconds * 1_000.0)),
        None => Ceiling::unknown(
            kind,
            &format!("{at_once}; how long a call takes is not kept while nothing holds the pool back"),
        ),
    };
    Ceiling { at_once: Some(places), ..ceiling }
}
