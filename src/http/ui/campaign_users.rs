//! The campaigns that use something: a template, or a list.

use askama::Template;

use super::words::{When, grouped};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::ids::{ListId, TemplateId};
use crate::http::api::campaigns::{self, CampaignFilter};
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params};
use crate::http::web::problem::ApiError;

/// How many are shown: the newest ones.
const SHOWN: i64 = 5;

/// A campaign.
struct User {
    id: i64,
    name: String,
    status: CampaignStatus,
    launched: Option<When>,
}

/// The newest campaigns that use something.
#[derive(Template)]
#[template(path = "ui/campaign_users.html")]
pub(super) struct Users {
    campaigns: Vec<User>,
    /// How many there are, and the page with all of them, where these are not all.
    all: Option<(String, String)>,
    /// What is said where there is none.
    nobody: &'static str,
}

impl Users {
    /// Those that use a template, whatever their status.
    pub(super) async fn of_template(state: &AppState, id: TemplateId) -> Result<Self, ApiError> {
        Self::found(state, format!("template_id={id}"), "No campaign uses it.").await
    }

    /// Those that were launched to a list.
    pub(super) async fn of_list(state: &AppState, id: ListId) -> Result<Self, ApiError> {
        Self::found(state, format!("list_id={id}"), "No campaign was launched to it.").await
    }

    async fn found(state: &AppState, query: String, nobody: &'static str) -> Result<Self, ApiError> {
        let params = Params::parse(&format!("{query}&page_size={SHOWN}"), CampaignFilter::NAMES)?;
        let found = campaigns::listed(state, CampaignFilter::from_params(&params)?).await?;
        let total = found.pagination.total_count;
        let campaigns = found.data.into_iter().map(|campaign| User {
            id: campaign.id.0,
            name: campaign.name,
            status: campaign.status,
            launched: campaign.launched_at.map(When::of),
        });
        let all = (total > SHOWN).then(|| (grouped(total), format!("/ui/campaigns?{query}")));
        Ok(Self { campaigns: campaigns.collect(), all, nobody })
    }
}
