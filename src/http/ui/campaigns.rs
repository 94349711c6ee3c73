//! `/ui/campaigns`: all campaigns, newest first.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::frame::{Frame, Section, page};
use super::lines::Line;
use super::words::{curl, grouped};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ListId, TemplateId};
use crate::http::api::campaigns::{self, CampaignFilter};
use crate::http::api::content::templates;
use crate::http::api::overview::Glance;
use crate::http::api::people::lists;
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;

#[derive(Template)]
#[template(path = "ui/campaigns.html")]
struct CampaignsPage {
    frame: Frame,
    lines: Vec<Line>,
    total: String,
    statuses: Vec<Choice>,
    channels: Vec<Choice>,
    is_filtered: bool,
    /// What they have in common: in words, its name, and its page.
    used: Vec<(&'static str, String, String)>,
    /// The page with older ones.
    older: Option<String>,
    /// The first page, where this is another one.
    newest: Option<String>,
}

/// A value of a filter, and the page that shows what has it.
struct Choice {
    value: &'static str,
    path: String,
    is_chosen: bool,
}

/// Which campaigns are shown.
#[derive(Debug, Clone, Copy)]
struct Chosen {
    status: Option<&'static str>,
    channel: Option<&'static str>,
    template: Option<TemplateId>,
    list: Option<ListId>,
}

impl Chosen {
    fn path(self, cursor: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let (template, list) = (self.template.map(|id| id.to_string()), self.list.map(|id| id.to_string()));
        for (name, value) in [
            ("template_id", template.as_deref()),
            ("list_id", list.as_deref()),
            ("status", self.status),
            ("channel", self.channel),
            ("cursor", cursor),
        ] {
            query.extend_pairs(value.map(|value| (name, value)));
        }
        let query = query.finish();
        if query.is_empty() { "/ui/campaigns".to_owned() } else { format!("/ui/campaigns?{query}") }
    }

    fn statuses(self) -> Vec<Choice> {
        let choice = |value: &'static str, status| Choice {
            value,
            path: Self { status, ..self }.path(None),
            is_chosen: self.status == status,
        };
        let all = std::iter::once(choice("every status", None));
        all.chain(CampaignStatus::ALL.iter().map(|status| choice(status.as_str(), Some(status.as_str())))).collect()
    }

    fn channels(self) -> Vec<Choice> {
        let choice = |value: &'static str, channel| Choice {
            value,
            path: Self { channel, ..self }.path(None),
            is_chosen: self.channel == channel,
        };
        let all = std::iter::once(choice("every channel", None));
        all.chain(ChannelKind::ALL.iter().map(|channel| choice(channel.as_str(), Some(channel.as_str())))).collect()
    }
}

/// What the campaigns use that are shown: in words, its name, and its page.
async fn used(state: &AppState, chosen: Chosen) -> Result<Vec<(&'static str, String, String)>, ApiError> {
    let mut used = Vec::new();
    if let Some(id) = chosen.template {
        let name = templates::one(state, id, None).await?.name;
        used.push(("use the template", name, format!("/ui/templates/{id}")));
    }
    if let Some(id) = chosen.list {
        used.push(("were launched to the list", lists::one(state, id).await?.name, format!("/ui/lists/{id}")));
    }
    Ok(used)
}

/// Shows campaigns.
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    Query(filter): Query<CampaignFilter>,
) -> Result<HttpResponse, ApiError> {
    let chosen = Chosen {
        status: filter.filter.statuses.first().copied().map(CampaignStatus::as_str),
        channel: filter.filter.channels.first().copied().map(ChannelKind::as_str),
        template: filter.filter.template,
        list: filter.filter.list,
    };
    let listing = campaigns::listed(&state, filter).await?;
    let here = request.query_string();
    let json = if here.is_empty() { "GET /v1/campaigns".to_owned() } else { format!("GET /v1/campaigns?{here}") };
    let flag = |name: &str, value: Option<&str>| value.map(|value| format!(" --{name} {value}")).unwrap_or_default();
    let flags = flag("status", chosen.status) + &flag("channel", chosen.channel);
    let used = used(&state, chosen).await?;
    // The command has no flag for what they use.
    let command = match used.is_empty() {
        true => format!("volley campaign list{flags}"),
        false => curl("GET", &format!("'/v1/campaigns?{here}'"), None),
    };
    let frame = frame.titled("Campaigns").same_as(&json, &command);
    let lines = listing.data.into_iter().map(|campaign| Line::of(&Glance::from(campaign), None)).collect();
    let shown = CampaignsPage {
        frame: Frame { section: Some(Section::Campaigns), up: Some(super::UI.to_owned()), ..frame },
        lines,
        total: grouped(listing.pagination.total_count),
        statuses: chosen.statuses(),
        channels: chosen.channels(),
        is_filtered: chosen.status.is_some() || chosen.channel.is_some() || !used.is_empty(),
        used,
        older: listing.next_cursor.map(|cursor| chosen.path(Some(&cursor))),
        newest: (listing.pagination.page > 1).then(|| chosen.path(None)),
    };
    page(StatusCode::OK, &shown)
}
