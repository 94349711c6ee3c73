//! `/ui/campaigns/{id}`: one campaign.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde_json::Value;

use super::course::{Course, MOST_COLUMNS};
use super::decisions;
use super::email_form::extras;
use super::frame::{Frame, Section, page};
use super::plot::Bar;
use super::reasons::Reasons;
use super::receipt::ReceiptView;
use super::words::{When, counted, grouped, per_second, sentence};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::content::email_fields::EmailFields;
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;
use crate::domain::shown::shown;
use crate::http::api::campaigns::{Archive, minutes, reasons};
use crate::http::api::content::files;
use crate::http::api::overview::{self, Glance, Sighted};
use crate::http::api::replicas::receipt::Receipt;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query};
use crate::http::web::problem::ApiError;
use crate::runtime::health::{Attention, AttentionCode};

#[derive(Template)]
#[template(path = "ui/campaign.html")]
struct CampaignPage {
    frame: Frame,
    live: CampaignLive,
    /// What has happened so far; nothing before the launch.
    course: Option<Course>,
    reasons: Option<Reasons>,
    facts: Vec<(&'static str, String)>,
    /// What its emails have beside the words.
    extras: Vec<(String, String)>,
    correlation_id: Option<String>,
}

/// What of the page changes while it is open.
#[derive(Template)]
#[template(path = "ui/campaign_live.html")]
pub(super) struct CampaignLive {
    id: i64,
    name: String,
    status: &'static str,
    channel: String,
    pool: Option<String>,
    sentence: String,
    /// Why it cannot go on.
    attention: Option<(String, String, Option<When>)>,
    bar: Bar,
    skips: Vec<(String, String)>,
    /// How many messages are uncertain, if any are.
    doubts: Option<String>,
    moments: Vec<(&'static str, When)>,
    receipt: Option<ReceiptView>,
    can_edit: bool,
    can_pause: bool,
    can_resume: bool,
    can_stop: bool,
    /// Whether its rate, and its pool while it is paused, can be changed.
    can_turn: bool,
    can_copy: bool,
}

/// What is wrong, its code, and since when where that is known: nobody notes when a pool went missing.
fn attended(found: &Attention) -> (String, String, Option<When>) {
    let since = (found.code != AttentionCode::PoolMissing).then(|| When::of(found.since));
    (found.detail.clone(), found.code.to_string(), since)
}

impl CampaignLive {
    pub(super) fn of(
        campaign: &Glance,
        receipt: Option<&Receipt>,
        at: UtcInstant,
        rate: Option<f64>,
        may_operate: bool,
    ) -> Self {
        let is = |status| may_operate && campaign.status == status;
        let attention = campaign.attention.as_ref();
        let moments = [
            ("to be launched", campaign.scheduled_at.filter(|_| campaign.status == CampaignStatus::Scheduled)),
            ("launched", campaign.launched_at),
            ("ended", campaign.ended_at),
        ];
        Self {
            id: campaign.id.0,
            name: campaign.name.clone(),
            status: campaign.status.as_str(),
            channel: campaign.channel.to_string(),
            pool: campaign.pool.clone(),
            sentence: sentence(campaign, rate),
            attention: attention.map(attended),
            bar: Bar::with_legend(&campaign.stats, campaign.packing_on()),
            skips: campaign
                .stats
                .skipped_by_reason
                .iter()
                .map(|(reason, count)| (reason.replace('_', " "), grouped(*count)))
                .collect(),
            doubts: Some(campaign.stats.counts.uncertain)
                .filter(|count| *count > 0)
                .map(|count| counted(count, "message is", "messages are")),
            moments: moments.into_iter().filter_map(|(word, at)| Some((word, When::of(at?)))).collect(),
            receipt: receipt.map(|receipt| ReceiptView::of(receipt, at)),
            can_edit: is(CampaignStatus::Draft) || is(CampaignStatus::Scheduled),
            can_pause: is(CampaignStatus::Sending),
            can_resume: is(CampaignStatus::Paused),
            can_turn: is(CampaignStatus::Sending) || is(CampaignStatus::Paused),
            can_copy: may_operate,
            can_stop: is(CampaignStatus::Scheduled) || is(CampaignStatus::Sending) || is(CampaignStatus::Paused),
        }
    }
}

/// What became of the campaign's messages so far.
async fn course(state: &AppState, campaign: &Glance, at: UtcInstant) -> Result<Course, ApiError> {
    let minutes = minutes::listed(state, campaign.id, minutes::Which::whole(MOST_COLUMNS)).await?;
    let goes_on = matches!(campaign.status, CampaignStatus::Sending | CampaignStatus::Paused);
    let again = goes_on.then(|| (at, format!("/ui/campaigns/{}#course", campaign.id)));
    let marks = decisions::marks(state, campaign.id).await?;
    Ok(Course::of(campaign.id.0, &minutes, &marks, again))
}

/// A value of a campaign on one line; a long one not to its end.
fn brief(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    // Quotes are no harm in a page, and JSON is full of them.
    shown(&text).replace("\\\"", "\"").replace("\\'", "'")
}

/// Shows a campaign.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<CampaignId>,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let Sighted { at, campaign, receipt } = overview::sight(&state, id).await?;
    let mut facts =
        vec![("category", campaign.category.to_string()), ("uncertain ones", campaign.on_uncertain.to_string())];
    let about = Some(campaign.description.clone()).filter(|text| !text.trim().is_empty());
    facts.extend(about.map(|text| ("about", text)));
    let template = campaign.template_id.map(|id| format!("template {id}"));
    facts.push(("content", template.unwrap_or_else(|| "its own".to_owned())));
    facts.extend(campaign.topic_id.map(|id| ("topic", format!("list {id}"))));
    let EmailFields { from, reply_to, headers, attachments } = &campaign.email;
    let files = files::of_email(&state, attachments.clone()).await?;
    let mut extras = extras(from.as_deref(), reply_to.as_deref(), headers, &files);
    extras.extend(campaign.props.values().iter().map(|(name, value)| (format!("value {name}"), brief(value))));
    facts.extend(campaign.rate_per_second.map(|rate| ("at most", per_second(rate))));
    facts.extend(campaign.archive.as_ref().map(|archive| {
        let Archive { file, host, archived_at, .. } = archive;
        ("single deliveries", format!("archived {archived_at}: the file {file}, on the instance on {host}"))
    }));
    let correlation_id = campaign.correlation_id.clone();
    let glance = Glance::from(campaign);
    let live = CampaignLive::of(&glance, receipt.as_ref(), at, None, frame.may_operate());
    let (mut so_far, mut why) = (None, None);
    if glance.launched_at.is_some() {
        so_far = Some(course(&state, &glance, at).await?);
        why = Reasons::of(id.0, &reasons::listed(&state, id).await?);
    }
    let frame =
        frame.titled(&glance.name).same_as(&format!("GET /v1/campaigns/{id}"), &format!("volley campaign show {id}"));
    let frame = Frame {
        section: Some(Section::Campaigns),
        live: Some(format!("campaign-{id}")),
        at: Some(at),
        up: Some("/ui/campaigns".to_owned()),
        ..frame
    };
    page(StatusCode::OK, &CampaignPage { frame, live, course: so_far, reasons: why, facts, extras, correlation_id })
}
