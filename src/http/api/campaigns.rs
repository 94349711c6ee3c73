//! `/v1/campaigns`: campaigns as clients write and read them.

pub(in crate::http) mod actions;
pub(in crate::http) mod preview;
pub(in crate::http) mod recipients;
mod shape;

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::{HttpResponse, web};

pub(in crate::http) use self::shape::{Campaign, Whole};
use self::shape::{CampaignFilter, CampaignInput, CampaignPatch};
use super::content::checks::{self, Pointers};
use crate::domain::campaigns::audience::Audience;
use crate::domain::campaigns::{BadTransition, CampaignStatus};
use crate::domain::channel::ChannelKind;
use crate::domain::content::template::Content;
use crate::domain::dispatch::retries::LONGEST_RETRY_FOR;
use crate::domain::ids::{CampaignId, TemplateId};
use crate::domain::instant::UtcInstant;
use crate::domain::span::Span;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Json, Query};
use crate::http::web::paging::{ListParams, Listing};
use crate::http::web::problem::{ApiError, Problem};
use crate::http::web::text;
use crate::services::campaigns::launch::{self, LaunchError};
use crate::store::campaigns::{self, CampaignChange, NewCampaign, TransitionError};
use crate::store::content::templates;
use crate::store::dispatch::packing;
use crate::store::people::attributes;
use crate::store::{Conn, Lane, StoreError, engine};

/// Longest name, in characters.
const MAX_NAME: usize = 255;

/// Highest rate, in hand-overs per second.
const MAX_RATE: f64 = 1_000_000.0;

/// A schedule further away than this is taken for a mistake, in milliseconds: two years.
const MAX_SCHEDULE_MS: i64 = 2 * 366 * 86_400_000;

/// A launch time may lie this far in the past, in milliseconds: clocks differ.
const SCHEDULE_GRACE_MS: i64 = 60_000;

/// Where a campaign has its content.
pub(in crate::http) const CONTENT: Pointers =
    Pointers { subject: "/subject", text: "/base_template", html: "/base_template_html" };

/// What a refused transition or launch is for clients.
pub(in crate::http) fn refused(error: LaunchError) -> ApiError {
    let code = error.code();
    match error {
        LaunchError::Transition(TransitionError::NotFound(id)) => ApiError::not_found("campaign", id.0),
        LaunchError::Transition(TransitionError::Illegal(BadTransition { from, event })) => {
            ApiError::Conflict { code, detail: format!("cannot {event}: the campaign is {from}"), ids: Vec::new() }
        }
        LaunchError::Transition(TransitionError::SweepUnderWay(sweep)) => ApiError::Conflict {
            code: "pass_under_way",
            detail: format!("an earlier {sweep} has not ended yet"),
            ids: Vec::new(),
        },
        LaunchError::Transition(TransitionError::Store(error)) => error.into(),
        LaunchError::Audience(reason) => ApiError::field("/audience", code, reason.to_string()),
        LaunchError::UnknownContacts(ids) => ApiError::NotFound { what: "contact", ids },
        LaunchError::UnknownLists(ids) => ApiError::NotFound { what: "list", ids },
        LaunchError::NoTemplate => {
            let reason = "give a template_id, or a base_template of its own";
            ApiError::field("/template_id", code, reason)
        }
        LaunchError::Template(error) => ApiError::field("/base_template", code, error.to_string()),
        LaunchError::NoPool(reason) => ApiError::field("/pool", code, reason),
        LaunchError::NoRandomness(_) => ApiError::Unexpected { action: "mint a key", source: error.into() },
    }
}

/// Runs `work` in one write transaction, on the lane of operators' decisions.
pub(in crate::http) async fn decide<T: Send + 'static>(
    state: &AppState,
    action: &'static str,
    work: impl FnOnce(&mut Conn) -> Result<T, LaunchError> + Send + 'static,
) -> Result<T, ApiError> {
    let decided = state
        .store
        .run(Lane::Control, action, move |conn| match conn.write(work) {
            // The store's own errors go back as such, so that a dead connection is dropped.
            Err(LaunchError::Transition(TransitionError::Store(error))) => Err(error),
            decided => Ok(decided),
        })
        .await?;
    decided.map_err(refused)
}

/// [`decide`], and the campaign as the decision left it: what is answered needs no read that could fail afterwards.
pub(in crate::http) async fn decide_whole(
    state: &AppState,
    action: &'static str,
    work: impl FnOnce(&mut Conn) -> Result<campaigns::CampaignRow, LaunchError> + Send + 'static,
) -> Result<Whole, ApiError> {
    let whole = move |conn: &mut Conn| {
        let row = work(conn)?;
        Whole::of(conn, row).map_err(|error| LaunchError::Transition(error.into()))
    };
    decide(state, action, whole).await
}

fn check_rate(rate: Option<f64>) -> Result<(), ApiError> {
    match rate {
        Some(rate) if !(rate.is_finite() && rate > 0.0 && rate <= MAX_RATE) => {
            let reason = format!("a number of hand-overs per second above 0, at most {MAX_RATE}");
            Err(ApiError::field("/rate_per_second", "out_of_range", reason))
        }
        _ => Ok(()),
    }
}

fn check_retry_for(retry_for: Option<Span>) -> Result<(), ApiError> {
    match retry_for {
        Some(retry_for) if retry_for > LONGEST_RETRY_FOR => {
            let reason = format!("0 to {} seconds (7 days)", LONGEST_RETRY_FOR.0.as_secs());
            Err(ApiError::field("/retry_for", "out_of_range", reason))
        }
        _ => Ok(()),
    }
}

pub(in crate::http) fn check_schedule(at: UtcInstant, now: UtcInstant) -> Result<(), ApiError> {
    let reason = if at < now.plus_ms(-SCHEDULE_GRACE_MS) {
        format!("{at} is in the past (it is {now})")
    } else if at > now.plus_ms(MAX_SCHEDULE_MS) {
        format!("{at} is more than two years away")
    } else {
        return Ok(());
    };
    Err(ApiError::field("/scheduled_at", "schedule_out_of_range", reason))
}

async fn check_pool(state: &AppState, channel: ChannelKind, pool: Option<&str>) -> Result<(), ApiError> {
    match pool {
        None => Ok(()),
        Some(name) => launch::choose_pool(&state.settings.pools, channel, Some(name)).map(drop).map_err(refused),
    }
}

async fn check_content(state: &AppState, channel: ChannelKind, content: Content) -> Result<Content, ApiError> {
    let known: BTreeSet<String> = state.store.run(Lane::Read, "read attribute names", attributes::known).await?;
    let checked = web::block(move || checks::check(channel, &content, &known, CONTENT).map(|_| content)).await;
    checked.map_err(|source| ApiError::Unexpected { action: "check content", source: Box::new(source) })?
}

/// Checks that a template exists and is for the channel.
fn check_template(conn: &mut Conn, template: Option<TemplateId>, channel: ChannelKind) -> Result<(), ApiError> {
    let Some(id) = template else { return Ok(()) };
    match templates::find(conn, id, None)? {
        None => Err(ApiError::field("/template_id", "template_not_found", format!("there is no template {id}"))),
        Some(row) if row.channel != channel => {
            let reason = format!("template {id} is for {}, the campaign for {channel}", row.channel);
            Err(ApiError::field("/template_id", "channel_mismatch", reason))
        }
        Some(_) => Ok(()),
    }
}

/// Creates a campaign: a draft, or a scheduled one, which must be ready to be sent.
#[utoipa::path(post, path = "/v1/campaigns", tag = "campaigns", request_body = CampaignInput,
    responses((status = 201, body = Campaign), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn create(
    state: web::Data<AppState>,
    _: Query<()>,
    Json(body): Json<CampaignInput>,
) -> Result<HttpResponse, ApiError> {
    let name = text::name("/name", &body.name, MAX_NAME)?;
    check_rate(body.rate_per_second)?;
    check_retry_for(body.retry_for)?;
    check_pool(&state, body.channel, body.pool.as_deref()).await?;
    let has_own = body.subject.is_some() || body.base_template.is_some() || body.base_template_html.is_some();
    if has_own && body.template_id.is_some() {
        let reason = "a campaign has a template or content of its own, not both";
        return Err(ApiError::field("/template_id", "content_ambiguous", reason));
    }
    let own = if has_own {
        let content = Content {
            subject: body.subject.unwrap_or_default(),
            text: body.base_template.unwrap_or_default(),
            html: body.base_template_html,
        };
        Some(check_content(&state, body.channel, content).await?)
    } else {
        None
    };
    let channel = body.channel;
    let audience = body.audience.map(tidy);
    let new = move |now, template_version_id| NewCampaign {
        name,
        channel,
        status: if body.scheduled_at.is_some() { CampaignStatus::Scheduled } else { CampaignStatus::Draft },
        pool: body.pool,
        template_id: body.template_id,
        template_version_id,
        audience: audience.as_ref().and_then(|audience| serde_json::to_string(audience).ok()),
        on_uncertain: body.on_uncertain,
        rate_per_second: body.rate_per_second,
        retry_for_ms: body.retry_for.map(Span::as_ms),
        scheduled_at: body.scheduled_at,
        created_at: now,
        updated_at: now,
    };
    let (template_id, scheduled_at) = (body.template_id, body.scheduled_at);
    let settings = Arc::clone(&state.settings);
    let stored = state
        .store
        .run(Lane::Write, "create a campaign", move |conn| {
            inner(conn.write(|conn| {
                let now = engine::now(conn)?;
                check_template(conn, template_id, channel)?;
                if let Some(at) = scheduled_at {
                    check_schedule(at, now)?;
                }
                let version = match &own {
                    Some(content) => Some(templates::add_version(conn, None, 1, content, now)?.id),
                    None => None,
                };
                let new = new(now, version);
                if let Some(stored) = &new.audience {
                    check_stored_audience(conn, stored)?;
                }
                let row = campaigns::insert(conn, &new)?;
                if scheduled_at.is_some() {
                    launch::check_launchable(conn, &settings.pools, row.id).map_err(refused)?;
                }
                Ok(Whole::of(conn, row)?)
            }))
        })
        .await??;
    let campaign = Campaign::new(stored, &state)?;
    let location = format!("/v1/campaigns/{}", campaign.id);
    Ok(HttpResponse::Created().insert_header(("Location", location)).json(campaign))
}

/// Ids each once, in order: two ways to say the same are stored the same.
fn tidy(mut audience: Audience) -> Audience {
    let Audience { lists, contact_ids, exclude, all: _ } = &mut audience;
    for ids in [contact_ids, &mut exclude.contact_ids] {
        ids.sort_unstable();
        ids.dedup();
    }
    for ids in [lists, &mut exclude.lists] {
        ids.sort_unstable();
        ids.dedup();
    }
    audience
}

fn check_stored_audience(conn: &mut Conn, stored: &str) -> Result<(), ApiError> {
    let audience = packing::parse_audience(Some(stored))?;
    launch::check_audience(conn, &audience).map_err(refused)
}

/// Keeps the store's own errors apart from what is the client's affair, so that a dead connection is dropped.
fn inner<T>(result: Result<T, ApiError>) -> Result<Result<T, ApiError>, StoreError> {
    match result {
        Err(ApiError::Store(error)) => Err(error),
        other => Ok(other),
    }
}

/// Lists campaigns, newest first.
#[utoipa::path(get, path = "/v1/campaigns", tag = "campaigns",
    params(("status" = Option<CampaignStatus>, Query), ("channel" = Option<ChannelKind>, Query), ListParams),
    responses((status = 200, body = Listing<Campaign>), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(filter): Query<CampaignFilter>,
) -> Result<web::Json<Listing<Campaign>>, ApiError> {
    let CampaignFilter { paging, filter } = filter;
    let window = paging.window();
    let slice = state
        .store
        .run(Lane::Read, "list campaigns", move |conn| {
            let slice = campaigns::list(conn, filter, window)?;
            Whole::of_all(conn, slice)
        })
        .await?;
    let slice = slice.try_map(|whole| Campaign::new(whole, &state))?;
    Ok(web::Json(paging.answer(slice, |campaign| campaign.id.0)))
}

/// A campaign as it is now. `lane`: what is read for the answer to a decision waits behind no other read.
pub(in crate::http) async fn read(state: &AppState, lane: Lane, id: CampaignId) -> Result<Campaign, ApiError> {
    let whole = state
        .store
        .run(lane, "read a campaign", move |conn| {
            conn.snapshot(|conn| match campaigns::find(conn, id)? {
                Some(row) => Whole::of(conn, row).map(Some),
                None => Ok(None),
            })
        })
        .await?
        .ok_or(ApiError::not_found("campaign", id.0))?;
    Ok(Campaign::new(whole, state)?)
}

/// Shows a campaign with its statistics.
#[utoipa::path(get, path = "/v1/campaigns/{id}", tag = "campaigns", params(("id" = i64, Path)),
    responses((status = 200, body = Campaign), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
) -> Result<web::Json<Campaign>, ApiError> {
    Ok(web::Json(read(&state, Lane::Read, id).await?))
}

/// Edits a campaign that is a draft or scheduled. A scheduled one must stay ready to be sent.
#[utoipa::path(patch, path = "/v1/campaigns/{id}", tag = "campaigns", params(("id" = i64, Path)),
    request_body = CampaignPatch, responses((status = 200, body = Campaign), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn change(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
    Json(body): Json<CampaignPatch>,
) -> Result<web::Json<Campaign>, ApiError> {
    let name = body.name.map(|name| text::name("/name", &name, MAX_NAME)).transpose()?;
    check_rate(body.rate_per_second.flatten())?;
    check_retry_for(body.retry_for.flatten())?;
    let before = state
        .store
        .run(Lane::Read, "read a campaign", move |conn| match campaigns::find(conn, id)? {
            Some(row) => Whole::of(conn, row).map(Some),
            None => Ok(None),
        })
        .await?
        .ok_or(ApiError::not_found("campaign", id.0))?;
    let channel = before.row.channel;
    check_pool(&state, channel, body.pool.as_ref().and_then(|pool| pool.as_deref())).await?;
    let has_own = body.subject.is_some() || body.base_template.is_some() || body.base_template_html.is_some();
    if has_own && body.template_id.flatten().is_some() {
        let reason = "a campaign has a template or content of its own, not both";
        return Err(ApiError::field("/template_id", "content_ambiguous", reason));
    }
    let own = if has_own {
        let old = before.details.content.unwrap_or_default();
        let content = Content {
            subject: body.subject.unwrap_or(old.subject),
            text: body.base_template.unwrap_or(old.text),
            html: body.base_template_html.unwrap_or(old.html),
        };
        Some(check_content(&state, channel, content).await?)
    } else {
        None
    };
    let audience = body.audience.map(|audience| audience.map(tidy));
    let settings = Arc::clone(&state.settings);
    let whole = state
        .store
        .run(Lane::Write, "edit a campaign", move |conn| {
            inner(conn.write(|conn| {
                let now = engine::now(conn)?;
                check_template(conn, body.template_id.flatten(), channel)?;
                let mut change = CampaignChange {
                    name,
                    pool: body.pool,
                    template_id: body.template_id,
                    on_uncertain: body.on_uncertain,
                    rate_per_second: body.rate_per_second,
                    retry_for_ms: body.retry_for.map(|retry_for| retry_for.map(Span::as_ms)),
                    ..CampaignChange::default()
                };
                if let Some(content) = &own {
                    change.template_id = Some(None);
                    change.template_version_id = Some(Some(templates::add_version(conn, None, 1, content, now)?.id));
                } else if body.template_id.flatten().is_some() {
                    change.template_version_id = Some(None);
                }
                if let Some(audience) = audience {
                    if let Some(audience) = &audience {
                        launch::check_audience(conn, audience).map_err(refused)?;
                    }
                    change.audience = Some(audience.and_then(|audience| serde_json::to_string(&audience).ok()));
                }
                let row = campaigns::edit(conn, id, &change).map_err(not_editable)?;
                // Nobody looks at it again before its time comes.
                if row.status == CampaignStatus::Scheduled {
                    launch::check_launchable(conn, &settings.pools, id).map_err(refused)?;
                }
                Ok(Whole::of(conn, row)?)
            }))
        })
        .await??;
    Ok(web::Json(Campaign::new(whole, &state)?))
}

fn not_editable(error: TransitionError) -> ApiError {
    if let TransitionError::Illegal(BadTransition { from, .. }) = error {
        return ApiError::Conflict {
            code: "campaign_not_editable",
            detail: format!("the campaign is {from}; only drafts and scheduled campaigns can be edited"),
            ids: Vec::new(),
        };
    }
    refused(error.into())
}

/// Deletes a campaign that is not active.
#[utoipa::path(delete, path = "/v1/campaigns/{id}", tag = "campaigns", params(("id" = i64, Path)),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn delete(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    remove(&state, id).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn remove(state: &AppState, id: CampaignId) -> Result<(), ApiError> {
    let deleted = decide(state, "delete a campaign", move |conn| Ok(campaigns::delete(conn, id)?)).await?;
    deleted.map_err(|status| ApiError::Conflict {
        code: "campaign_active",
        detail: format!("the campaign is {status}; stop it first"),
        ids: Vec::new(),
    })
}
