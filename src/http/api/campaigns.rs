//! `/v1/campaigns`: campaigns as clients write and read them.

pub(in crate::http) mod actions;
pub(in crate::http) mod audience;
mod bodies;
pub(in crate::http) mod clicks;
pub(in crate::http) mod decisions;
pub(in crate::http) mod duplicate;
pub(in crate::http) mod export;
mod filter;
pub(in crate::http) mod links;
pub(in crate::http) mod minutes;
pub(in crate::http) mod of_contact;
pub(in crate::http) mod pace;
pub(in crate::http) mod page_map;
pub(in crate::http) mod preflight;
pub(in crate::http) mod preview;
pub(in crate::http) mod reasons;
pub(in crate::http) mod recipients;
mod refusals;
mod reports;
pub(in crate::http) mod resolving;
pub(in crate::http) mod why;

use std::time::Instant;

use actix_web::{HttpResponse, web};

pub(in crate::http) use self::bodies::{Archive, Campaign, CampaignInput, CampaignPatch, Packing, Stats, Waiting};
pub(in crate::http) use self::filter::CampaignFilter;
use self::filter::CampaignParams;
use crate::domain::access::limit::Limit;
use crate::domain::content::check::check_props;
use crate::domain::content::email_fields::{EmailFields, EmailFieldsEdit};
use crate::domain::content::props::Props;
use crate::domain::dispatch::retries::LONGEST_RETRY_FOR;
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::Attributes;
use crate::domain::span::Span;
use crate::http::access::Charge;
use crate::http::state::AppState;
use crate::http::web::extract::{Hashed, Id, Json, Query};
use crate::http::web::idempotency::{IdempotencyKey, answered_before, answered_once, respond};
use crate::http::web::paging::{ListParams, Listing};
use crate::http::web::problem::{ApiError, FieldProblem, Problem};
use crate::http::web::text;
use crate::services::By;
use crate::services::campaigns::create::{self, Created, Draft, Start};
use crate::services::campaigns::delete;
use crate::services::campaigns::edit::{self, Edit};
use crate::store::campaigns::about::About;
use crate::store::campaigns::{self, CampaignWithDetails, listing};
use crate::store::engine::idempotency::Answer;
use crate::store::{Conn, Lane, engine};

/// Longest name, in characters.
const MAX_NAME: usize = 255;

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 2_000;

/// Highest rate, in hand-overs per second.
const MAX_RATE: f64 = 1_000_000.0;

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

/// Values of a campaign's own.
fn props(values: Attributes) -> Result<Props, ApiError> {
    check_props(values).map_err(|errors| ApiError::Invalid(errors.into_iter().map(FieldProblem::from).collect()))
}

/// Creates a campaign: a draft, or one that is scheduled or launched at once, which must be ready to be sent.
#[utoipa::path(post, path = "/v1/campaigns", tag = "campaigns", request_body = CampaignInput,
    responses((status = 201, body = Campaign), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn create(
    state: web::Data<AppState>,
    _: Query<()>,
    key: IdempotencyKey,
    by: By,
    charge: Charge,
    Hashed { body, hash }: Hashed<CampaignInput>,
) -> Result<HttpResponse, ApiError> {
    let began = Instant::now();
    let key = key.scoped(CREATION, &hash);
    if let Some(answer) = answered_before(&state, key.as_ref()).await? {
        return Ok(respond(answer));
    }
    if body.launch {
        charge.take(Limit::Launches, 1)?;
    }
    let draft = create::checked(&state.services, drafted(&state, body).await?).await?;
    let (shared, asker) = (state.clone(), by.clone());
    let create = move |conn: &mut Conn| {
        let created = create::in_transaction(conn, &shared.services, draft, &asker)?;
        Ok((answer_to(&created, &shared)?, created))
    };
    let (answer, created) = answered_once(&state, (Lane::Write, "create a campaign"), key, create).await?;
    if let Some(created) = created {
        create::announce(&state.services, &created, began, &by);
    }
    Ok(respond(answer))
}

/// Whose keys those of the creation are: the name under which the answers of former versions are stored.
const CREATION: &str = "POST /v1/campaigns";

fn answer_to(created: &Created, state: &AppState) -> Result<Answer, ApiError> {
    let campaign = Campaign::new(created.campaign.clone(), state)?;
    let location = Some(format!("/v1/campaigns/{}", campaign.id));
    let body = serde_json::to_string(&campaign)
        .map_err(|source| ApiError::Unexpected { action: "write an answer", source: Box::new(source) })?;
    Ok(Answer { status: 201, body, location })
}

/// A new campaign.
pub(in crate::http) async fn created(state: &AppState, body: CampaignInput, by: &By) -> Result<Campaign, ApiError> {
    let draft = drafted(state, body).await?;
    let stored = create::create(&state.services, draft, by).await?;
    Ok(Campaign::new(stored, state)?)
}

async fn drafted(state: &AppState, body: CampaignInput) -> Result<Draft, ApiError> {
    let name = text::name("/name", &body.name, MAX_NAME)?;
    check_rate(body.rate_per_second)?;
    check_retry_for(body.retry_for)?;
    let start = match (body.launch, body.scheduled_at) {
        (false, None) => Start::Later,
        (false, Some(at)) => Start::At(at),
        (true, None) => Start::Now,
        (true, Some(_)) => {
            let reason = "is at once, and scheduled_at is later: give one of them";
            return Err(ApiError::field("/launch", "not_allowed", reason));
        }
    };
    let (topic, audience) = audience::resolve(state, body.topic_id.as_ref(), body.audience.as_ref()).await?;
    let content = body.own_content();
    Ok(Draft {
        name,
        about: About {
            description: text::prose("/description", &body.description, MAX_DESCRIPTION)?,
            props: props(body.props)?,
        },
        channel: body.channel,
        content,
        email: EmailFields {
            from: body.from,
            reply_to: body.reply_to,
            headers: body.headers,
            attachments: body.attachments,
        },
        pool: body.pool,
        template: body.template_id,
        category: body.category,
        topic,
        tracking: body.tracking,
        audience,
        on_uncertain: body.on_uncertain,
        rate_per_second: body.rate_per_second,
        retry_for: body.retry_for,
        start,
    })
}

/// Lists campaigns, newest first unless `sort` is given.
#[utoipa::path(get, path = "/v1/campaigns", tag = "campaigns",
    params(CampaignParams, ListParams),
    responses((status = 200, body = Listing<Campaign>), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(filter): Query<CampaignFilter>,
) -> Result<web::Json<Listing<Campaign>>, ApiError> {
    Ok(web::Json(listed(&state, filter).await?))
}

/// A part of the list of campaigns.
pub(in crate::http) async fn listed(state: &AppState, filter: CampaignFilter) -> Result<Listing<Campaign>, ApiError> {
    let CampaignFilter { paging, filter } = filter;
    let is_sorted = filter.order.is_some();
    let window = if is_sorted { paging.window_by_page() } else { paging.window() };
    let slice = state
        .store
        .run(Lane::Read, "list campaigns", move |conn| {
            let slice = listing::list(conn, &filter, window)?;
            CampaignWithDetails::of_all(conn, slice)
        })
        .await?;
    let slice = slice.try_map(|whole| Campaign::new(whole, state))?;
    Ok(if is_sorted { paging.answer_by_page(slice) } else { paging.answer(slice, |campaign| campaign.id.0) })
}

/// A campaign as it is now. `lane`: what is read for the answer to a decision waits behind no other read.
pub(in crate::http) async fn read(state: &AppState, lane: Lane, id: CampaignId) -> Result<Campaign, ApiError> {
    let whole = state
        .store
        .run(lane, "read a campaign", move |conn| {
            conn.snapshot(|conn| match campaigns::find(conn, id)? {
                Some(row) => CampaignWithDetails::of(conn, row).map(Some),
                None => Ok(None),
            })
        })
        .await?
        .ok_or(ApiError::not_found("campaign", id.0))?;
    Ok(Campaign::new(whole, state)?)
}

/// A campaign, and the moment of that by the database's clock.
pub(in crate::http) async fn at_this_moment(
    state: &AppState,
    id: CampaignId,
) -> Result<(Campaign, UtcInstant), ApiError> {
    let now = state.store.run(Lane::Read, "read the clock", engine::now).await?;
    Ok((read(state, Lane::Read, id).await?, now))
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

/// Edits a campaign that is a draft or scheduled. A scheduled one must stay ready to be sent. While it is sending or paused,
/// `rate_per_second` can be changed: all instances follow within a second. While it is paused, so can its `pool`: who waits gets the
/// message through the new one, and who may have got it through the former one becomes `uncertain`.
#[utoipa::path(patch, path = "/v1/campaigns/{id}", tag = "campaigns", params(("id" = i64, Path)),
    request_body = CampaignPatch, responses((status = 200, body = Campaign), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn change(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
    by: By,
    Json(body): Json<CampaignPatch>,
) -> Result<web::Json<Campaign>, ApiError> {
    Ok(web::Json(changed(&state, id, body, &by).await?))
}

/// A campaign after an edit.
pub(in crate::http) async fn changed(
    state: &AppState,
    id: CampaignId,
    body: CampaignPatch,
    by: &By,
) -> Result<Campaign, ApiError> {
    let name = body.name.as_deref().map(|name| text::name("/name", name, MAX_NAME)).transpose()?;
    check_rate(body.rate_per_second.flatten())?;
    check_retry_for(body.retry_for.flatten())?;
    let (topic, audience) = (body.topic_id.as_ref().and_then(Option::as_ref), body.audience.as_ref());
    let (topic, audience) = audience::resolve(state, topic, audience.and_then(Option::as_ref)).await?;
    let described = |text: &String| text::prose("/description", text, MAX_DESCRIPTION);
    let change = Edit {
        name,
        description: body.description.as_ref().map(described).transpose()?,
        content: body.own_content(),
        props: body.props.map(|values| props(values.unwrap_or_default())).transpose()?,
        email: EmailFieldsEdit {
            from: body.from,
            reply_to: body.reply_to,
            headers: body.headers.map(Option::unwrap_or_default),
            attachments: body.attachments.map(Option::unwrap_or_default),
        },
        pool: body.pool,
        template: body.template_id,
        category: body.category,
        // Absent stays, null clears.
        topic: body.topic_id.map(|_| topic),
        tracking: body.tracking,
        audience: body.audience.map(|_| audience),
        on_uncertain: body.on_uncertain,
        rate_per_second: body.rate_per_second,
        retry_for: body.retry_for,
        seen: body.if_updated_at,
        is_part: body.is_part,
    };
    let campaign = edit::edit(&state.services, id, change, by).await?;
    Ok(Campaign::new(campaign, state)?)
}

/// Deletes a campaign that is not active.
#[utoipa::path(delete, path = "/v1/campaigns/{id}", tag = "campaigns", params(("id" = i64, Path)),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn delete(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
    by: By,
) -> Result<HttpResponse, ApiError> {
    delete::delete(&state.services, id, &by).await?;
    Ok(HttpResponse::NoContent().finish())
}
