//! `/ui/pools` and `/ui/pools/{name}`: sender pools, what holds them back, and who has suspended them.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::audit::actor;
use super::frame::{Frame, Section, page};
use super::receipt::ReceiptView;
use super::words::{When, counted, curl, per_second};
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::Subject;
use crate::http::api::replicas::paces::Pace;
use crate::http::api::replicas::pools::{self, Pool, PoolSettings};
use crate::http::api::replicas::receipt::{self, Receipt};
use crate::http::machinery::PoolsSeen;
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;

/// A pool, as pages show it.
pub(super) struct PoolView {
    pub(super) name: String,
    /// `main`'s channel and provider. `None`: this instance does not run it.
    kind: Option<(String, String)>,
    limits: Vec<String>,
    /// Suspended, held, slowed or well.
    state: &'static str,
    pub(super) is_suspended: bool,
    suspension: Option<Suspension>,
    /// The pace in force.
    pace: String,
    /// When that changes, and in what way.
    next: Option<(&'static str, When)>,
    /// Why it is not what the settings allow.
    why: Option<(String, Option<When>)>,
}

/// A suspension that holds.
struct Suspension {
    reason: String,
    until: Option<When>,
    /// Who decided it and when. Only for those who may see the audit log.
    by: Option<(String, When)>,
}

impl PoolView {
    /// A pool of these. Who has suspended it is said only to those who may see the audit log.
    fn of(pool: &Pool, seen: &PoolsSeen, may_administer: bool) -> Self {
        let line = seen.suspended.get(&pool.name).filter(|_| pool.suspended && may_administer);
        Self::seen(pool, line.map(|line| (actor(line), When::of(line.at))))
    }

    pub(super) fn seen(pool: &Pool, by: Option<(String, When)>) -> Self {
        let pace_state = pool.pace.as_ref().map_or("full", |pace| pace.state);
        let state = match (pool.suspended, pace_state) {
            (true, _) => "suspended",
            (false, "circuit_open" | "paused") => "held",
            (false, "full") if pool.attention.is_some() => "held",
            (false, "full") => "well",
            (false, _) => "slowed",
        };
        Self {
            name: pool.name.clone(),
            kind: pool.settings.as_ref().map(|own| (own.channel.to_string(), own.provider.to_string())),
            limits: pool.settings.as_ref().map(limits).unwrap_or_default(),
            state,
            is_suspended: pool.suspended,
            suspension: pool.suspended.then(|| Suspension {
                reason: pool.reason.clone().unwrap_or_default(),
                until: pool.expires_at.map(When::of),
                by,
            }),
            pace: pool.pace.as_ref().map_or_else(|| UNTOUCHED.to_owned(), in_force),
            next: pool.pace.as_ref().and_then(next),
            why: why(pool),
        }
    }
}

const UNTOUCHED: &str = "As fast as the settings allow.";

/// What the settings allow, each limit in a few words.
fn limits(own: &PoolSettings) -> Vec<String> {
    let rate = own.rate_per_second.map_or_else(|| "any rate".to_owned(), per_second);
    vec![format!("{} at once", own.concurrency), rate]
}

/// The pace that holds, in a sentence.
fn in_force(pace: &Pace) -> String {
    let rate = pace.rate_per_second.map(|rate| format!("at most {}", per_second(rate)));
    let places = pace.places.map(|places| format!("at most {places:.0} at once"));
    let ceilings: Vec<String> = [rate, places].into_iter().flatten().collect();
    let pinned = if pace.pinned { ", pinned by an operator" } else { "" };
    let ceilings = match ceilings.is_empty() {
        true => "as fast as the settings allow".to_owned(),
        false => format!("{}, all instances together{pinned}", ceilings.join(" and ")),
    };
    match pace.state {
        "circuit_open" => "Nothing but probes is handed over.".to_owned(),
        "paused" => "Nothing is handed over: the provider asked for a pause.".to_owned(),
        "tiptoe" => "One call at a time: nothing was accepted lately.".to_owned(),
        _ => format!("{}.", super::words::begun(&ceilings)),
    }
}

fn next(pace: &Pace) -> Option<(&'static str, When)> {
    let probe = pace.next_probe_at.map(|at| ("next probe", When::of(at)));
    let paused = || pace.paused_until.map(|at| ("until", When::of(at)));
    let raise = || pace.next_raise_at.map(|at| ("raised next", When::of(at)));
    probe.or_else(paused).or_else(raise)
}

/// What keeps a pool from the pace of its settings, and since when.
fn why(pool: &Pool) -> Option<(String, Option<When>)> {
    let held = pool.attention.as_ref().filter(|_| !pool.suspended);
    let held = held.map(|found| (found.detail.clone(), Some(When::of(found.since))));
    let cut = pool.pace.as_ref().filter(|pace| pace.state != "full").and_then(|pace| pace.last_cut.as_ref());
    held.or_else(|| cut.map(|cut| (cut.detail.clone(), Some(When::of(cut.at)))))
}

#[derive(Template)]
#[template(path = "ui/pools.html")]
struct PoolsPage {
    frame: Frame,
    live: PoolsLive,
}

/// What of the page of all pools changes while it is open.
#[derive(Template)]
#[template(path = "ui/pools_live.html")]
pub(super) struct PoolsLive {
    pools: Vec<PoolView>,
    may_administer: bool,
    /// What a screen reader says when it changes.
    summary: String,
}

impl PoolsLive {
    pub(super) fn of(seen: &PoolsSeen, may_administer: bool) -> Self {
        let pools: Vec<PoolView> = seen.pools.iter().map(|pool| PoolView::of(pool, seen, may_administer)).collect();
        let states: Vec<String> = pools.iter().map(|pool| format!("{} is {}", pool.name, pool.state)).collect();
        Self { summary: states.join(", "), pools, may_administer }
    }
}

/// Shows the pools.
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    frame: Frame,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let seen = PoolsSeen::read(&state).await?;
    let live = PoolsLive::of(&seen, frame.may_administer());
    let frame = frame.titled("Pools").same_as("GET /v1/pools", &curl("GET", "/v1/pools", None));
    let topic = Some("pools".to_owned());
    let frame = Frame { section: Some(Section::Delivery), live: topic, at: Some(seen.at), ..frame };
    page(StatusCode::OK, &PoolsPage { frame, live })
}

#[derive(Template)]
#[template(path = "ui/pool.html")]
struct PoolPage {
    frame: Frame,
    live: PoolLive,
}

/// What of a pool's page changes while it is open.
#[derive(Template)]
#[template(path = "ui/pool_live.html")]
pub(super) struct PoolLive {
    pool: PoolView,
    facts: Vec<(&'static str, String)>,
    cut: Option<CutView>,
    verdicts: Vec<VerdictView>,
    domains: Vec<(String, When)>,
    receipt: Option<ReceiptView>,
    may_operate: bool,
    may_administer: bool,
}

/// A ceiling that was lowered.
struct CutView {
    at: When,
    detail: String,
    steps: Vec<String>,
}

/// What an answer is about.
struct VerdictView {
    signature: String,
    scope: &'static str,
    basis: String,
    until: Option<When>,
}

impl PoolLive {
    /// The pool of this name. `None`: there is none. `may`: whether the visitor may change something, and whether everything.
    pub(super) fn of(
        seen: &PoolsSeen,
        name: &str,
        receipt: Option<&Receipt>,
        (may_operate, may_administer): (bool, bool),
    ) -> Option<Self> {
        let pool = seen.pools.iter().find(|pool| pool.name == name)?;
        let pace = pool.pace.as_ref();
        Some(Self {
            pool: PoolView::of(pool, seen, may_administer),
            facts: facts(pool),
            cut: pace.and_then(|pace| pace.last_cut.as_ref()).map(|cut| CutView {
                at: When::of(cut.at),
                detail: cut.detail.clone(),
                steps: [
                    cut.rate_to.map(|to| step(cut.rate_from.map(per_second), &per_second(to))),
                    cut.places_to.map(|to| step(cut.places_from.map(|from| format!("{from:.0}")), &at_once(to))),
                ]
                .into_iter()
                .flatten()
                .collect(),
            }),
            verdicts: pace.map(verdicts).unwrap_or_default(),
            domains: pace.map_or_else(Vec::new, |pace| {
                pace.domains_waiting.iter().map(|one| (one.detail.clone(), When::of(one.until))).collect()
            }),
            receipt: receipt.map(|receipt| ReceiptView::of(receipt, seen.at)),
            may_operate,
            may_administer,
        })
    }
}

fn step(from: Option<String>, to: &str) -> String {
    format!("{} → {to}", from.unwrap_or_else(|| "no limit".to_owned()))
}

fn at_once(places: f64) -> String {
    format!("{places:.0} at once")
}

fn verdicts(pace: &Pace) -> Vec<VerdictView> {
    let view = |known: &crate::http::api::replicas::paces::Verdict| VerdictView {
        signature: known.signature.clone(),
        scope: if known.scope == "relay" { "the provider" } else { "its recipient" },
        basis: match known.marked {
            true => "an operator said so".to_owned(),
            false => format!("{:.0} % of {} others were refused", known.share * 100.0, known.sample),
        },
        until: known.until.map(When::of),
    };
    pace.verdicts.iter().map(view).collect()
}

/// What is known of a pool, in words and numbers.
fn facts(pool: &Pool) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(own) = &pool.settings {
        facts.push(("channel", own.channel.to_string()));
        facts.push(("provider", own.provider.to_string()));
        facts.push(("at once, each instance", own.concurrency.to_string()));
        let rate = own.rate_per_second.map_or_else(|| "no limit".to_owned(), per_second);
        facts.push(("rate, all instances", rate));
    }
    if let Some(pace) = &pool.pace {
        facts.extend(pace.accepted_per_second.map(|rate| ("accepted lately", per_second(rate))));
        let refused = pace.refused_per_thousand;
        facts.extend(refused.map(|share| ("refused in ten minutes", format!("{share} of 1,000"))));
        let places = &pace.places_by_instance;
        if !places.is_empty() {
            let each = places.iter().map(|one| format!("{}: {}", one.instance_id, one.places)).collect::<Vec<_>>();
            facts.push(("places by instance", each.join(", ")));
        }
        if pace.undone_cuts > 0 {
            let times = counted(i64::from(pace.undone_cuts), "time", "times");
            facts.push(("lowered in vain", times));
        }
    }
    facts
}

/// A pool by its name, and the moment of what is known of it.
pub(super) async fn one(state: &AppState, name: &str) -> Result<(Pool, UtcInstant), ApiError> {
    let (listed, now) = pools::listed(state).await?;
    let found = listed.data.into_iter().find(|pool| pool.name == name);
    found.map(|pool| (pool, now)).ok_or_else(|| ApiError::no_such("pool", name))
}

/// Shows a pool.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    name: web::Path<String>,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let seen = PoolsSeen::read(&state).await?;
    let receipt = receipt::read(&state, Subject::Pool(name.clone())).await?;
    let may = (frame.may_operate(), frame.may_administer());
    let live = PoolLive::of(&seen, &name, receipt.as_ref(), may).ok_or_else(|| ApiError::no_such("pool", &name))?;
    let json = "GET /v1/pools".to_owned();
    let frame = frame.titled(&format!("Pool {name}")).same_as(&json, &curl("GET", "/v1/pools", None));
    let (up, topic) = (Some("/ui/pools".to_owned()), Some(format!("pool-{name}")));
    let frame = Frame { section: Some(Section::Delivery), live: topic, at: Some(seen.at), up, ..frame };
    page(StatusCode::OK, &PoolPage { frame, live })
}
