//! A campaign's recipients: deliveries and the audit.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::bodies::Archive;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory, SkipReason};
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, ContactId, PageId};
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query, bad_parameter};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::campaigns::books::{self, Books};
use crate::store::campaigns::{CampaignRow, archives, glance};
use crate::store::dispatch::deliveries::{self, DeliveryRow, RecipientRow, TroubleFilter};
use crate::store::{Conn, Lane};

/// How many deliveries are listed when nothing else is asked for.
const USUAL_SIZE: i64 = 20;

/// One recipient of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Delivery {
    pub(in crate::http) contact: Recipient,
    pub(in crate::http) page_id: PageId,
    pub(in crate::http) status: DeliveryState,
    /// Hand-overs that counted.
    pub(in crate::http) attempts: i32,
    /// Why it is in this state.
    pub(in crate::http) error: Option<String>,
    /// What kind of trouble that was.
    pub(in crate::http) error_category: Option<ErrorCategory>,
    /// Whose trouble the last refusal was: docs/provider-answers.md.
    pub(in crate::http) answer_class: Option<AnswerClass>,
    pub(in crate::http) provider_id: Option<String>,
    /// For `pending`: not before then.
    pub(in crate::http) due_at: Option<UtcInstant>,
    pub(in crate::http) claimed_at: Option<UtcInstant>,
    pub(in crate::http) settled_at: Option<UtcInstant>,
}

/// The contact of a delivery, as it is now; also after its deletion.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Recipient {
    pub(in crate::http) id: ContactId,
    pub(in crate::http) external_id: Option<String>,
    pub(in crate::http) email: Option<String>,
    pub(in crate::http) phone: Option<String>,
    pub(in crate::http) first_name: Option<String>,
    pub(in crate::http) last_name: Option<String>,
}

impl From<RecipientRow> for Recipient {
    fn from(row: RecipientRow) -> Self {
        let RecipientRow { id, external_id, email, phone, first_name, last_name } = row;
        Self { id, external_id, email, phone, first_name, last_name }
    }
}

impl From<(DeliveryRow, RecipientRow)> for Delivery {
    fn from((row, contact): (DeliveryRow, RecipientRow)) -> Self {
        Self {
            contact: contact.into(),
            page_id: row.page_id,
            status: row.state,
            attempts: row.attempts,
            error: row.reason,
            error_category: row.category,
            answer_class: row.answer_class,
            provider_id: row.provider_id,
            due_at: (row.state == DeliveryState::Pending && row.due_at.0 > 0).then_some(row.due_at),
            claimed_at: row.claimed_at,
            settled_at: row.settled_at,
        }
    }
}

/// A part of a campaign's deliveries, by contact.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Deliveries {
    pub(in crate::http) data: Vec<Delivery>,
    /// The next part: give it as `cursor`. `null` on the last one. A part with a kind of trouble may hold fewer than `page_size`, or
    /// nobody, and not be the last one.
    pub(in crate::http) next_cursor: Option<String>,
}

/// Which deliveries.
#[derive(Debug)]
pub(in crate::http) struct Which {
    pub(in crate::http) status: Option<DeliveryState>,
    kind: TroubleFilter,
    after: ContactId,
    page_size: i64,
}

/// The status and the kind of trouble that are asked for.
pub(super) fn asked_of(params: &Params) -> Result<(Option<DeliveryState>, TroubleFilter), ApiError> {
    let status = params.choice("status", DeliveryState::ALL)?;
    let kind = TroubleFilter {
        category: params.choice("error_category", ErrorCategory::ALL)?,
        class: params.choice("answer_class", AnswerClass::ALL)?,
        skip_reason: params.choice("skip_reason", SkipReason::ALL)?,
    };
    if status.is_none() && kind != TroubleFilter::default() {
        let reason = "name a status with a kind of trouble, as `status=failed`".to_owned();
        return Err(bad_parameter("status", "required", reason));
    }
    Ok((status, kind))
}

impl FromQuery for Which {
    const NAMES: &'static [&'static str] =
        &["status", "error_category", "answer_class", "skip_reason", "cursor", "page_size"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let after = match params.text("cursor") {
            None => ContactId(0),
            Some(text) => text
                .strip_prefix("after-")
                .and_then(|id| id.parse().ok())
                .map(ContactId)
                .ok_or_else(|| bad_parameter("cursor", "cursor_invalid", "not a cursor of this list".to_owned()))?,
        };
        let (status, kind) = asked_of(params)?;
        Ok(Self { status, kind, after, page_size: params.integer("page_size", 1..=100)?.unwrap_or(USUAL_SIZE) })
    }
}

impl Which {
    /// How many were asked for, where that is not the usual number.
    pub(in crate::http) fn chosen_size(&self) -> Option<i64> {
        Some(self.page_size).filter(|size| *size != USUAL_SIZE)
    }

    /// The kind of trouble that was asked for: names of parameters with their values.
    pub(in crate::http) fn kinds(&self) -> Vec<(&'static str, &'static str)> {
        let TroubleFilter { category, class, skip_reason } = self.kind;
        [
            category.map(|category| ("error_category", category.as_str())),
            class.map(|class| ("answer_class", class.as_str())),
            skip_reason.map(|reason| ("skip_reason", reason.as_str())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whether these are the first ones.
    pub(in crate::http) fn is_first(&self) -> bool {
        self.after == ContactId(0)
    }
}

/// The campaign without its audience, or 404.
pub(super) async fn must_exist(state: &AppState, id: CampaignId) -> Result<CampaignRow, ApiError> {
    let found = state.store.run(Lane::Read, "read a campaign", move |conn| glance::these(conn, &[id])).await?.pop();
    found.ok_or(ApiError::not_found("campaign", id.0))
}

/// Nothing, or 409 that says where the deliveries are: they were archived.
pub(super) async fn must_have_rows(state: &AppState, id: CampaignId) -> Result<(), ApiError> {
    let find = move |conn: &mut Conn| archives::find(conn, id);
    let archived = state.store.run(Lane::Read, "look for an archive", find).await?;
    archived.map_or(Ok(()), |archived| Err(archived.into()))
}

/// Lists a campaign's deliveries by contact. Once they are archived, the answer is 409 `deliveries_archived`, which says where they are.
#[utoipa::path(get, path = "/v1/campaigns/{id}/deliveries", tag = "campaigns",
    params(("id" = i64, Path), ("status" = Option<DeliveryState>, Query),
        ("error_category" = inline(Option<ErrorCategory>), Query, description = "With `status`."),
        ("answer_class" = inline(Option<AnswerClass>), Query, description = "With `status`."),
        ("skip_reason" = inline(Option<SkipReason>), Query, description = "With `status`."), ("cursor" = Option<String>, Query),
        ("page_size" = Option<i64>, Query)),
    responses((status = 200, body = Deliveries), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    Query(which): Query<Which>,
) -> Result<web::Json<Deliveries>, ApiError> {
    Ok(web::Json(listed(&state, id, which).await?))
}

/// A part of a campaign's deliveries.
pub(in crate::http) async fn listed(state: &AppState, id: CampaignId, which: Which) -> Result<Deliveries, ApiError> {
    must_exist(state, id).await?;
    must_have_rows(state, id).await?;
    let Which { status, kind, after, page_size } = which;
    if let Some(status) = status.filter(|_| kind != TroubleFilter::default()) {
        let read = move |conn: &mut Conn| deliveries::list_of_kind(conn, id, (status, kind), after, page_size);
        let (rows, more) = state.store.run(Lane::Read, "list deliveries", read).await?;
        let next_cursor = more.map(|contact| format!("after-{contact}"));
        return Ok(Deliveries { data: rows.into_iter().map(Delivery::from).collect(), next_cursor });
    }
    let mut rows = state
        .store
        .run(Lane::Read, "list deliveries", move |conn| deliveries::list(conn, id, status, after, page_size + 1))
        .await?;
    let limit = usize::try_from(page_size).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(|(last, _)| format!("after-{}", last.contact_id));
    Ok(Deliveries { data: rows.into_iter().map(Delivery::from).collect(), next_cursor })
}

/// Rows counted one by one, against the counts that pages keep.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Audit {
    pub(in crate::http) campaign_id: CampaignId,
    /// Whether everything below agrees.
    pub(in crate::http) consistent: bool,
    /// Deliveries: rows, or lines of the archive.
    pub(in crate::http) total: i64,
    /// Recipients that the pages hold.
    pub(in crate::http) page_sizes: i64,
    /// From the rows, or from the lines of the archive.
    pub(in crate::http) rows: Counts,
    /// From the pages.
    pub(in crate::http) pages: Counts,
    /// The audience as it was counted at launch; people who were deleted before they were packed are missing from `total`.
    pub(in crate::http) expected: Option<i64>,
    /// Whether everyone is packed.
    pub(in crate::http) packed: bool,
    /// The file that was read in place of rows, where the deliveries were archived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) archive: Option<ArchiveAudit>,
}

/// The file with archived deliveries, as the audit has found it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ArchiveAudit {
    #[serde(flatten)]
    pub(in crate::http) archive: Archive,
    /// Why the file could not be counted: it is on another instance, missing, or damaged. Then the books are not consistent as far as this
    /// instance can say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) problem: Option<String>,
}

/// Counts a campaign's rows in one snapshot against page counts and total; of archived deliveries the lines of their file.
#[utoipa::path(get, path = "/v1/campaigns/{id}/audit", tag = "campaigns", params(("id" = i64, Path)),
    responses((status = 200, body = Audit), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn audit(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
) -> Result<web::Json<Audit>, ApiError> {
    Ok(web::Json(audited(&state, id).await?))
}

/// The deliveries of a campaign, counted.
pub(in crate::http) async fn audited(state: &AppState, id: CampaignId) -> Result<Audit, ApiError> {
    must_exist(state, id).await?;
    let Books { counted, consistent, expected, packed, archive } =
        books::audit(&state.store, &state.settings.sending.data_dir, id).await?;
    Ok(Audit {
        campaign_id: id,
        consistent,
        total: counted.total,
        page_sizes: counted.page_sizes,
        rows: counted.rows,
        pages: counted.pages,
        expected,
        packed,
        archive: archive
            .map(|audited| ArchiveAudit { problem: audited.problem, archive: Archive::from(audited.archived) }),
    })
}
