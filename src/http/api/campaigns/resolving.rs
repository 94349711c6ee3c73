//! What an operator decides of uncertain deliveries, and on what evidence.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::campaigns::CampaignStatus;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::note::Note;
use crate::domain::text_enum::text_enum;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Json, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::services::campaigns::resolve::{self, Evidence, Order};
use crate::store::dispatch::deliveries::Resolution;

/// Most contacts in one resolution.
pub(in crate::http) const MAX_RESOLVED: usize = 1000;

text_enum! {
    /// What an operator knows of an uncertain delivery.
    ResolveAs {
        /// It arrived.
        Sent = "sent",
        /// It did not, and is not sent again.
        Failed = "failed",
        /// It did not; send it again.
        Pending = "pending",
    }
}

impl ResolveAs {
    /// What that makes of a delivery.
    pub(in crate::http) const fn resolution(self) -> Resolution {
        match self {
            Self::Sent => Resolution::Sent,
            Self::Failed => Resolution::Failed,
            Self::Pending => Resolution::Pending,
        }
    }
}

/// On what evidence it is decided. It is kept in the audit log.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct EvidenceInput {
    /// In words, 1 to 1000 characters. It may name people by contact id or `Message-ID`, and by no address or telephone number.
    pub(in crate::http) note: String,
    /// SHA-256 of the log that was looked into: 64 hex digits.
    #[serde(default)]
    pub(in crate::http) log_sha256: Option<String>,
}

impl EvidenceInput {
    fn parsed(self) -> Result<Evidence, ApiError> {
        let note = Note::parse(&self.note)
            .map_err(|error| ApiError::field("/evidence/note", error.code(), error.to_string()))?;
        let is_hash = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let log_sha256 = self.log_sha256.map(|text| text.to_ascii_lowercase());
        if log_sha256.as_ref().is_some_and(|text| !is_hash(text)) {
            return Err(ApiError::field("/evidence/log_sha256", "invalid", "a SHA-256 has 64 hex digits"));
        }
        Ok(Evidence { note, log_sha256 })
    }
}

/// An operator's decision about uncertain deliveries.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ResolveInput {
    /// Which ones, 1 to 1000; all uncertain ones of the campaign when both this and `message_ids` are left out.
    pub(in crate::http) contact_ids: Option<Vec<ContactId>>,
    /// The same by `Message-ID` or by the key that the message went out with, as a provider's log has them. Together 1 to 1000.
    #[serde(default)]
    pub(in crate::http) message_ids: Option<Vec<String>>,
    #[serde(rename = "as")]
    pub(in crate::http) resolution: ResolveAs,
    /// Only say what would change.
    #[serde(default)]
    pub(in crate::http) dry_run: bool,
    /// On what evidence.
    #[serde(default)]
    pub(in crate::http) evidence: Option<EvidenceInput>,
}

/// What was resolved.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Resolved {
    campaign_id: CampaignId,
    /// How many changed. With `as: pending` and nobody named a pass over the pages has been started, and this is how
    /// many it will find. With `dry_run`: how many would change.
    pub(in crate::http) resolved: i64,
    pub(in crate::http) status: CampaignStatus,
    /// True: nothing was changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    /// With `dry_run`: what that would mean for people, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) consequence: Option<String>,
    /// With `dry_run`: how many of those named are not uncertain, and would stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_uncertain: Option<i64>,
}

/// Resolves uncertain deliveries, or says with `dry_run` what that would change.
#[utoipa::path(post, path = "/v1/campaigns/{id}/deliveries/resolve", tag = "campaigns", params(("id" = i64, Path)),
    request_body = ResolveInput, responses((status = 200, body = Resolved), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn resolve(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
    by: By,
    Json(body): Json<ResolveInput>,
) -> Result<web::Json<Resolved>, ApiError> {
    Ok(web::Json(resolved(&state, id, body, &by).await?))
}

/// Resolves, or says what that would change.
pub(in crate::http) async fn resolved(
    state: &AppState,
    id: CampaignId,
    body: ResolveInput,
    by: &By,
) -> Result<Resolved, ApiError> {
    let ResolveInput { contact_ids, message_ids, resolution, dry_run, evidence } = body;
    let evidence = evidence.map(EvidenceInput::parsed).transpose()?;
    let contacts = named(state, id, contact_ids, message_ids).await?;
    let resolution = resolution.resolution();
    if dry_run {
        let named = contacts.as_ref().map(|contacts| i64::try_from(contacts.len()).unwrap_or(i64::MAX));
        let would = resolve::plan(&state.services, id, contacts, resolution).await?;
        return Ok(Resolved {
            campaign_id: id,
            resolved: would.resolved,
            status: would.status,
            dry_run,
            consequence: Some(resolve::consequence(resolution, would.resolved)),
            not_uncertain: named.map(|named| named - would.resolved),
        });
    }
    let done = resolve::resolve(&state.services, id, Order { contacts, resolution, evidence }, by).await?;
    let (resolved, status) = (done.resolved, done.status);
    Ok(Resolved { campaign_id: id, resolved, status, dry_run, consequence: None, not_uncertain: None })
}

/// The contacts that are named, each once. `None`: all are meant.
async fn named(
    state: &AppState,
    id: CampaignId,
    contact_ids: Option<Vec<ContactId>>,
    message_ids: Option<Vec<String>>,
) -> Result<Option<Vec<ContactId>>, ApiError> {
    let count = |all: Option<usize>| all.unwrap_or_default();
    let total = count(contact_ids.as_ref().map(Vec::len)) + count(message_ids.as_ref().map(Vec::len));
    if contact_ids.is_none() && message_ids.is_none() {
        return Ok(None);
    }
    if !(1..=MAX_RESOLVED).contains(&total) {
        let field = if contact_ids.is_some() { "/contact_ids" } else { "/message_ids" };
        let reason = format!("name 1 to {MAX_RESOLVED} contacts, or leave it out for all");
        return Err(ApiError::field(field, "out_of_range", reason));
    }
    let mut contacts = contact_ids.unwrap_or_default();
    if let Some(texts) = message_ids {
        match resolve::contacts_of(&state.services, id, texts).await? {
            Ok(found) => contacts.extend(found),
            Err(place) => {
                let reason = "no Message-ID or key of this campaign: KEY-CONTACT@DOMAIN or KEY:CONTACT";
                return Err(ApiError::field(format!("/message_ids/{place}"), "message_id_invalid", reason));
            }
        }
    }
    contacts.sort_unstable();
    contacts.dedup();
    Ok(Some(contacts))
}
