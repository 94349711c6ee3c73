//! The links of a campaign, and how often they were followed.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::{CampaignId, LinkNumber};
use crate::domain::reports::ReportFigure;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::store::tracking::LinkRow;
use crate::store::{Conn, Lane, campaigns, tracking};

/// The links of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct CampaignLinks {
    /// In the order in which they stand in the HTML. Those that are not tracked are left out.
    data: Vec<CampaignLink>,
}

/// A link, and how often it was followed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct CampaignLink {
    /// Its place among the links of the HTML, from 1. Events have it as `link`.
    link: LinkNumber,
    /// Its address as the template has it.
    url: String,
    /// By people.
    clicks: ReportFigure,
    /// By scanners, robots and programs that load everything in advance.
    machine_clicks: ReportFigure,
}

impl From<LinkRow> for CampaignLink {
    fn from(row: LinkRow) -> Self {
        let LinkRow { link, address, clicks, recipients, machine_clicks, machine_recipients } = row;
        Self {
            link,
            url: address,
            clicks: ReportFigure { recipients, total: clicks },
            machine_clicks: ReportFigure { recipients: machine_recipients, total: machine_clicks },
        }
    }
}

/// Lists the links of a campaign that is launched, with their clicks.
#[utoipa::path(get, path = "/v1/campaigns/{id}/links", tag = "campaigns", params(("id" = i64, Path)),
    responses((status = 200, body = CampaignLinks), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
) -> Result<web::Json<CampaignLinks>, ApiError> {
    let read = move |conn: &mut Conn| match campaigns::find(conn, id)? {
        Some(_) => tracking::links(conn, id).map(Some),
        None => Ok(None),
    };
    let rows = state.store.run(Lane::Read, "read the links of a campaign", read).await?;
    let rows = rows.ok_or(ApiError::not_found("campaign", id.0))?;
    Ok(web::Json(CampaignLinks { data: rows.into_iter().map(CampaignLink::from).collect() }))
}
