//! What a campaign would say: a preview for one contact, and a test-send to a few.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::CONTENT;
use crate::channels::Gate;
use crate::domain::channel::ChannelKind;
use crate::domain::content::message::Envelope;
use crate::domain::content::template::Content;
use crate::domain::dispatch::eligibility::address_for;
use crate::domain::dispatch::outcome::{NotBegun, Outcome};
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::people::contact::Profile;
use crate::http::api::content::checks::{self, Pointers};
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Json, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::campaigns::launch;
use crate::store::Lane;
use crate::store::campaigns::{self, CampaignRow};
use crate::store::people::{attributes, contacts};

/// Most recipients of a test-send.
const MAX_TEST: usize = 5;

/// For whom to render.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PreviewInput {
    #[serde(alias = "customer_id")]
    contact_id: ContactId,
    /// Instead of the campaign's text.
    override_template: Option<String>,
}

/// What the contact would get.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PersonalizedPreview {
    rendered_message: String,
    rendered_subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rendered_html: Option<String>,
    /// The text that was rendered.
    used_template: String,
    /// Names that the template uses and this contact has no value for.
    missing: Vec<String>,
    /// Names that the template uses and no contact has ever had: a campaign with them is refused.
    unknown: BTreeSet<String>,
    contact: PreviewContact,
}

/// The contact, so that people see whom they look at.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PreviewContact {
    id: ContactId,
    first_name: Option<String>,
}

struct Material {
    campaign: CampaignRow,
    content: Content,
    known: BTreeSet<String>,
}

async fn material(state: &AppState, id: CampaignId) -> Result<Material, ApiError> {
    let found = state
        .store
        .run(Lane::Read, "read a campaign's content", move |conn| {
            let Some(campaign) = campaigns::find(conn, id)? else { return Ok(None) };
            let version = campaigns::content(conn, &campaign)?;
            let known = attributes::known(conn)?;
            Ok(Some((campaign, version.map(|version| version.content()), known)))
        })
        .await?;
    let (campaign, content, known) = found.ok_or(ApiError::not_found("campaign", id.0))?;
    Ok(Material { campaign, content: content.unwrap_or_default(), known })
}

async fn compile<T: Send + 'static>(
    material: &Material,
    check: fn(ChannelKind, &Content, &BTreeSet<String>, Pointers) -> Result<T, ApiError>,
    pointers: Pointers,
) -> Result<T, ApiError> {
    let (channel, content, known) = (material.campaign.channel, material.content.clone(), material.known.clone());
    web::block(move || check(channel, &content, &known, pointers))
        .await
        .map_err(|source| ApiError::Unexpected { action: "compile content", source: Box::new(source) })?
}

/// The contacts, in the order asked for; 404 names all that are missing.
async fn profiles(state: &AppState, ids: &[ContactId]) -> Result<Vec<Profile>, ApiError> {
    let (mut found, mut missing) = (Vec::with_capacity(ids.len()), Vec::new());
    for id in ids.iter().copied() {
        match state.store.run(Lane::Read, "read a contact", move |conn| contacts::find(conn, id)).await? {
            Some(row) => found.push(row.profile()?),
            None => missing.push(id.0),
        }
    }
    if missing.is_empty() { Ok(found) } else { Err(ApiError::NotFound { what: "contact", ids: missing }) }
}

/// Renders a campaign for one contact.
#[utoipa::path(post, path = "/v1/campaigns/{id}/personalized-preview", tag = "campaigns", params(("id" = i64, Path)),
    request_body = PreviewInput, responses((status = 200, body = PersonalizedPreview), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn preview(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
    Json(body): Json<PreviewInput>,
) -> Result<web::Json<PersonalizedPreview>, ApiError> {
    let mut material = material(&state, id).await?;
    let mut pointers = CONTENT;
    if let Some(text) = body.override_template {
        material.content.text = text;
        pointers.text = "/override_template";
    }
    let (compiled, unknown) = compile(&material, checks::check_for_preview, pointers).await?;
    let found = profiles(&state, &[body.contact_id]).await?;
    let profile = found.into_iter().next().ok_or(ApiError::not_found("contact", body.contact_id.0))?;
    let message = compiled
        .render(&profile)
        .map_err(|error| ApiError::field(pointers.text, "render_failed", error.to_string()))?;
    Ok(web::Json(PersonalizedPreview {
        rendered_message: message.text,
        rendered_subject: message.subject,
        rendered_html: message.html,
        used_template: material.content.text,
        missing: compiled.missing(&profile).into_iter().filter(|name| !unknown.contains(name)).collect(),
        unknown,
        contact: PreviewContact { id: body.contact_id, first_name: profile.first_name },
    }))
}

/// Whom to send a test to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct TestInput {
    /// 1 to 5.
    contact_ids: Vec<ContactId>,
}

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TestResults {
    results: Vec<TestResult>,
}

/// What came of one.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TestResult {
    contact_id: ContactId,
    /// `accepted`, `rejected`, `deferred`, `pool_fault`, `unknown`, `not_begun` or `no_address`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// A test is outside the books: it begins whenever it is asked for.
struct AlwaysOpen;

impl Gate for AlwaysOpen {
    fn begin(&self) -> Result<(), NotBegun> {
        Ok(())
    }
}

/// Sends a campaign to a few contacts at once, outside the books: nothing is retried, nothing is counted.
#[utoipa::path(post, path = "/v1/campaigns/{id}/test-send", tag = "campaigns", params(("id" = i64, Path)),
    request_body = TestInput, responses((status = 200, body = TestResults), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn test_send(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
    Json(body): Json<TestInput>,
) -> Result<web::Json<TestResults>, ApiError> {
    if body.contact_ids.is_empty() || body.contact_ids.len() > MAX_TEST {
        let reason = format!("name 1 to {MAX_TEST} contacts");
        return Err(ApiError::field("/contact_ids", "out_of_range", reason));
    }
    let material = material(&state, id).await?;
    let channel_kind = material.campaign.channel;
    let pool = launch::choose_pool(&state.settings.pools, channel_kind, material.campaign.pool.as_deref())?;
    let channel = state.channels.get(&pool.name).map(Arc::clone).ok_or(ApiError::Unavailable {
        code: "pool_missing",
        detail: format!("pool {} is not running here", pool.name),
    })?;
    let compiled = compile(&material, checks::check, CONTENT).await?;
    let mut contact_ids = body.contact_ids;
    let mut seen = HashSet::new();
    contact_ids.retain(|id| seen.insert(*id));
    // Everything is found and rendered before anything is sent: a refusal means that nobody got a test.
    let mut tests = Vec::with_capacity(contact_ids.len());
    for profile in profiles(&state, &contact_ids).await? {
        let message = compiled
            .render(&profile)
            .map_err(|error| ApiError::field(CONTENT.text, "render_failed", error.to_string()))?;
        tests.push((profile, message));
    }
    let mut results = Vec::with_capacity(tests.len());
    for (contact_id, (profile, message)) in contact_ids.into_iter().zip(tests) {
        let Ok(to) = address_for(channel_kind, &profile) else {
            results.push(TestResult { contact_id, outcome: "no_address", detail: None });
            continue;
        };
        let envelope = Envelope {
            campaign_id: id,
            contact_id,
            to: to.to_owned(),
            to_name: profile.full_name(),
            message,
            key: format!("test-{}", uuid::Uuid::new_v4().simple()),
            attempt: 1,
        };
        let outcome = channel.deliver(&envelope, &AlwaysOpen).await;
        let name = outcome.name();
        let detail = match &outcome {
            Outcome::Accepted { provider_id } => provider_id.clone(),
            Outcome::NotBegun(reason) => Some(reason.to_string()),
            Outcome::Refused(_) | Outcome::Unsendable(_) | Outcome::Unknown(_) | Outcome::KeySeen { .. } => {
                outcome.trouble().map(|trouble| trouble.detail.clone())
            }
        };
        results.push(TestResult { contact_id, outcome: name, detail });
    }
    tracing::info!(
        event = "campaign.test_sent",
        campaign.id = id.0,
        recipients = results.len(),
        "a test message was sent"
    );
    Ok(web::Json(TestResults { results }))
}
