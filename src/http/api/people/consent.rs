//! `/v1/consent`: every change of what people agree to and refuse, for systems that follow it.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::store::Lane;
use crate::store::people::consent_feed::{self, LineRow};

/// Lines per page unless asked otherwise, and most of them.
const PAGE: (i64, i64) = (100, 1_000);

/// A change of what somebody agrees to or refuses.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ConsentChange {
    pub(in crate::http) id: i64,
    /// When it was stored.
    pub(in crate::http) at: UtcInstant,
    /// `null`: an address that no contact has.
    pub(in crate::http) contact_id: Option<ContactId>,
    /// `null`: everything.
    pub(in crate::http) list_id: Option<ListId>,
    /// Given where the change is of a suppression.
    pub(in crate::http) channel: Option<String>,
    /// The standing before; of a suppression: the reason that was lifted. `null`: none.
    pub(in crate::http) before: Option<String>,
    /// The standing since; of a suppression: the reason. `null`: none.
    pub(in crate::http) after: Option<String>,
    /// `one_click`, `page`, `preferences` and `confirmation` are the person's own acts; `api` and `import` may be followed by what the
    /// client said; others are what Volley does by itself.
    pub(in crate::http) source: String,
    pub(in crate::http) note: Option<String>,
    /// The campaign whose message led to it.
    pub(in crate::http) campaign_id: Option<CampaignId>,
    pub(in crate::http) request_id: Option<String>,
    /// Of the person's own act only.
    pub(in crate::http) address: Option<String>,
    /// Of the person's own act only.
    pub(in crate::http) ip: Option<String>,
    /// Of the person's own act only.
    pub(in crate::http) user_agent: Option<String>,
}

impl From<LineRow> for ConsentChange {
    fn from(row: LineRow) -> Self {
        Self {
            id: row.id,
            at: row.at,
            contact_id: row.contact_id,
            list_id: row.list_id,
            channel: row.channel,
            before: row.before,
            after: row.after,
            source: row.source,
            note: row.note,
            campaign_id: row.campaign_id,
            request_id: row.request_id,
            address: row.address,
            ip: row.ip,
            user_agent: row.user_agent,
        }
    }
}

/// Changes, oldest first.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ConsentChanges {
    pub(in crate::http) data: Vec<ConsentChange>,
    /// Give it as `after`, now or later: what comes then has not been shown yet.
    pub(in crate::http) next: String,
}

/// Where to go on.
#[derive(Debug)]
pub(in crate::http) struct ConsentFilter {
    pub(in crate::http) after: i64,
    pub(in crate::http) contact: Option<ContactId>,
    pub(in crate::http) limit: i64,
}

impl FromQuery for ConsentFilter {
    const NAMES: &'static [&'static str] = &["after", "contact_id", "page_size"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Ok(Self {
            after: params.integer("after", 0..=i64::MAX)?.unwrap_or_default(),
            contact: params.integer("contact_id", 1..=i64::MAX)?.map(ContactId),
            limit: params.integer("page_size", 1..=PAGE.1)?.unwrap_or(PAGE.0),
        })
    }
}

/// Lists changes of consent in the order in which they were stored, behind `after`. A change appears some seconds after it was
/// stored, so that a reader which goes on from `next` misses none.
#[utoipa::path(get, path = "/v1/consent", tag = "suppressions",
    params(("after" = Option<String>, Query), ("contact_id" = Option<i64>, Query), ("page_size" = Option<i64>, Query)),
    responses((status = 200, body = ConsentChanges), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(asked): Query<ConsentFilter>,
) -> Result<web::Json<ConsentChanges>, ApiError> {
    listed(&state, asked).await.map(web::Json)
}

/// A part of the log.
pub(in crate::http) async fn listed(state: &AppState, asked: ConsentFilter) -> Result<ConsentChanges, ApiError> {
    let ConsentFilter { after, contact, limit } = asked;
    let read = move |conn: &mut _| consent_feed::after(conn, after, contact, limit);
    let rows = state.store.run(Lane::Read, "read the consent log", read).await?;
    let next = rows.last().map_or(after, |row| row.id).to_string();
    Ok(ConsentChanges { data: rows.into_iter().map(ConsentChange::from).collect(), next })
}
