//! The pages of a campaign as a map.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, ContactId, InstanceId};
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query, bad_parameter};
use crate::http::web::problem::{ApiError, Problem};
use crate::store::campaigns::glance;
use crate::store::dispatch::page_map::{self, Cell, PageMap, Part};
use crate::store::{Conn, Lane};

/// Most cells in an answer, and how many there are unless fewer are asked for.
pub(in crate::http) const MOST_CELLS: i64 = 1_000;

/// Which part of the map.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Which(Part);

impl FromQuery for Which {
    const NAMES: &'static [&'static str] = &["cells", "from_page", "to_page"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let from = params.integer("from_page", 1..=i64::MAX / 2)?.unwrap_or(1);
        let to = params.integer("to_page", 1..=i64::MAX / 2)?;
        if to.is_some_and(|to| to < from) {
            let reason = "not before from_page".to_owned();
            return Err(bad_parameter("to_page", "out_of_range", reason));
        }
        let cells = params.integer("cells", 1..=MOST_CELLS)?.unwrap_or(MOST_CELLS);
        Ok(Self(Part { from, to, cells }))
    }
}

/// Neighbouring pages of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PageCell {
    /// The number of its first page, from 1.
    pub(in crate::http) first_page: i64,
    pub(in crate::http) last_page: i64,
    /// The first contact on these pages. Contacts of a campaign are on its pages in the order of their ids.
    pub(in crate::http) first_contact_id: ContactId,
    pub(in crate::http) last_contact_id: ContactId,
    /// How the recipients on these pages stand.
    #[serde(flatten)]
    pub(in crate::http) counts: Counts,
    /// How many of the pages an instance holds.
    pub(in crate::http) leased: i64,
    /// How many of these leases have ended without their owner: another instance is about to take the page.
    pub(in crate::http) overdue: i64,
    /// The most owners in a row that died on one of these pages before anything on it was settled. From 3 on its recipients are claimed one
    /// by one.
    pub(in crate::http) deaths: i64,
    /// The lowest number of an instance that holds one of the pages.
    pub(in crate::http) first_instance_id: Option<InstanceId>,
    /// The highest one.
    pub(in crate::http) last_instance_id: Option<InstanceId>,
}

/// A part of the map of a campaign's pages.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct CampaignPages {
    /// How many pages are packed.
    pub(in crate::http) page_count: i64,
    /// How many pages a cell puts together: 1 where the part has no more pages than cells.
    pub(in crate::http) pages_per_cell: i64,
    /// In the order of the pages. Numbers without a page, whose contacts were all left out, have none.
    pub(in crate::http) cells: Vec<PageCell>,
}

impl From<PageMap> for CampaignPages {
    fn from(map: PageMap) -> Self {
        let cell = |cell: Cell| PageCell {
            first_page: cell.pages.0,
            last_page: cell.pages.1,
            first_contact_id: cell.contacts.0,
            last_contact_id: cell.contacts.1,
            counts: cell.counts,
            leased: cell.leased,
            overdue: cell.overdue,
            deaths: cell.deaths,
            first_instance_id: cell.instances.map(|(first, _)| first),
            last_instance_id: cell.instances.map(|(_, last)| last),
        };
        Self { page_count: map.packed, pages_per_cell: map.together, cells: map.cells.into_iter().map(cell).collect() }
    }
}

/// Shows the pages of a campaign, put together into so many cells at most. To look closer, ask for the pages of a cell.
#[utoipa::path(get, path = "/v1/campaigns/{id}/pages", tag = "campaigns",
    params(("id" = i64, Path), ("cells" = Option<i64>, Query), ("from_page" = Option<i64>, Query), ("to_page" = Option<i64>, Query)),
    responses((status = 200, body = CampaignPages), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    Query(which): Query<Which>,
) -> Result<web::Json<CampaignPages>, ApiError> {
    Ok(web::Json(drawn(&state, id, which).await?))
}

/// A part of the map.
pub(in crate::http) async fn drawn(
    state: &AppState,
    id: CampaignId,
    Which(part): Which,
) -> Result<CampaignPages, ApiError> {
    let read = move |conn: &mut Conn| {
        conn.snapshot(|conn| match glance::these(conn, &[id])?.is_empty() {
            true => Ok(None),
            false => page_map::draw(conn, id, part).map(Some),
        })
    };
    let map = state.store.run(Lane::Read, "read the map of pages", read).await?;
    map.map(CampaignPages::from).ok_or(ApiError::not_found("campaign", id.0))
}
