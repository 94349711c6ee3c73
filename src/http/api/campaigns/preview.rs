//! What a campaign would say: a preview for one contact, and a test-send to a few.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::refusals::unrendered;
use crate::domain::access::limit::Limit;
use crate::domain::content::attachment::AttachedFile;
use crate::domain::dispatch::delivery::SkipReason;
use crate::domain::dispatch::outcome::Outcome;
use crate::domain::ids::{CampaignId, ContactId};
use crate::http::access::Charge;
use crate::http::api::content::pointers::{CONTENT, Pointers};
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Json, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::services::campaigns::preview::{self, CampaignPreview};
use crate::services::campaigns::test_send::{self, Tested};

/// Most recipients of a test-send.
const MAX_TEST: usize = 5;

/// The contact to render for.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CampaignPreviewInput)]
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
    pub(in crate::http) rendered_message: String,
    pub(in crate::http) rendered_subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) rendered_html: Option<String>,
    /// Who it is from, where the campaign says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) from: Option<String>,
    /// Where answers go, where the campaign or its template says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) reply_to: Option<String>,
    /// Headers of its own, as this contact would get them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::http) headers: BTreeMap<String, String>,
    /// Files that every message of the campaign has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::http) attachments: Vec<AttachedFile>,
    /// The text that was rendered.
    used_template: String,
    /// Names that the template uses and this contact has no value for.
    pub(in crate::http) missing: Vec<String>,
    /// Names that the template uses and no contact has ever had: a campaign with them is refused.
    pub(in crate::http) unknown: BTreeSet<String>,
    contact: PreviewContact,
    /// Why the campaign would not be sent to this contact as things are now: `suppressed`, `unsubscribed`, …; null: it would be.
    pub(in crate::http) skip_reason: Option<SkipReason>,
}

/// The contact that was rendered for.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PreviewContact {
    id: ContactId,
    first_name: Option<String>,
}

impl PersonalizedPreview {
    fn of(contact: ContactId, preview: CampaignPreview) -> Self {
        Self {
            rendered_message: preview.message.text,
            rendered_subject: preview.message.subject,
            rendered_html: preview.message.html,
            from: preview.message.from,
            reply_to: preview.message.reply_to,
            headers: preview.message.headers.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            attachments: preview.files,
            used_template: preview.text,
            missing: preview.missing,
            unknown: preview.unknown,
            contact: PreviewContact { id: contact, first_name: preview.first_name },
            skip_reason: preview.skip_reason,
        }
    }
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
    let pointers = match body.override_template {
        Some(_) => Pointers { text: "/override_template", ..CONTENT },
        None => CONTENT,
    };
    let preview = preview::preview(&state.services, id, body.contact_id, body.override_template).await;
    let preview = preview.map_err(|error| unrendered(error, pointers))?;
    Ok(web::Json(PersonalizedPreview::of(body.contact_id, preview)))
}

/// A campaign as one contact would get it.
pub(in crate::http) async fn of_contact(
    state: &AppState,
    id: CampaignId,
    contact: ContactId,
) -> Result<PersonalizedPreview, ApiError> {
    let preview = preview::preview(&state.services, id, contact, None).await;
    Ok(PersonalizedPreview::of(contact, preview.map_err(|error| unrendered(error, CONTENT))?))
}

/// The contacts that get a test message.
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
    /// `accepted`, `rejected`, `deferred`, `pool_fault`, `unknown`, `not_begun`; or why nothing was sent: `no_address`,
    /// `suppressed`, `unsubscribed`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl From<Tested> for TestResult {
    fn from(Tested { contact: contact_id, outcome }: Tested) -> Self {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(reason) => return Self { contact_id, outcome: reason.as_str(), detail: None },
        };
        let name = outcome.name();
        let detail = match outcome {
            Outcome::Accepted { provider_id } => provider_id,
            Outcome::NotBegun(reason) => Some(reason.to_string()),
            Outcome::Refused(_) | Outcome::Unsendable(_) | Outcome::Unknown(_) | Outcome::KeySeen { .. } => {
                outcome.trouble().map(|trouble| trouble.detail.clone())
            }
        };
        Self { contact_id, outcome: name, detail }
    }
}

/// Sends a campaign's message to a few contacts as a test: nothing is retried, nothing is counted. Who bounced, complained or
/// refused everything gets none, and the answer says so.
#[utoipa::path(post, path = "/v1/campaigns/{id}/test-send", tag = "campaigns", params(("id" = i64, Path)),
    request_body = TestInput, responses((status = 200, body = TestResults), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn test_send(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
    by: By,
    charge: Charge,
    Json(body): Json<TestInput>,
) -> Result<web::Json<TestResults>, ApiError> {
    if body.contact_ids.is_empty() || body.contact_ids.len() > MAX_TEST {
        let reason = format!("name 1 to {MAX_TEST} contacts");
        return Err(ApiError::field("/contact_ids", "out_of_range", reason));
    }
    let mut contacts = body.contact_ids;
    let mut seen = HashSet::new();
    contacts.retain(|id| seen.insert(*id));
    charge.rest(Limit::Messages, contacts.len())?;
    let tested = test_send::test_send(&state.services, id, contacts, &by).await?;
    Ok(web::Json(TestResults { results: tested.into_iter().map(TestResult::from).collect() }))
}
