//! `/ui`: what goes on, and what needs attention.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::frame::{Frame, Section, page};
use super::lines::Line;
use super::words::{When, counted, grouped};
use crate::domain::ids::CampaignId;
use crate::http::api::overview::{self, Glance, Need, NeedKind, Overview};
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;

#[derive(Template)]
#[template(path = "ui/now.html")]
struct NowPage {
    frame: Frame,
    live: NowLive,
}

/// What of the page changes while it is open.
#[derive(Template)]
#[template(path = "ui/now_live.html")]
pub(super) struct NowLive {
    needs: Vec<Wish>,
    active: Vec<Line>,
    /// How many active campaigns are not among the lines.
    more: Option<String>,
    scheduled: Vec<Line>,
    ended: Vec<Line>,
    instances: Vec<Member>,
    pools: Vec<PoolLine>,
    /// Whether nothing needs attention, and whether all was looked at.
    is_calm: bool,
    is_whole: bool,
    /// What a screen reader says when it changes.
    summary: String,
}

/// Something that needs attention.
struct Wish {
    /// Which one it is, among the others.
    id: String,
    path: Option<String>,
    name: String,
    detail: String,
    code: String,
    since: Option<When>,
}

/// An instance.
struct Member {
    id: i64,
    host: String,
    version: String,
    in_flight: i64,
    is_answering: bool,
    seen: When,
}

/// A pool of the instance that answers.
struct PoolLine {
    name: String,
    channel: String,
    trouble: Option<String>,
}

impl NowLive {
    pub(super) fn of(seen: &Overview, rates: &BTreeMap<CampaignId, f64>) -> Self {
        let lines = |all: &[Glance]| -> Vec<Line> {
            all.iter().map(|campaign| Line::of(campaign, rates.get(&campaign.id).copied())).collect()
        };
        let shown = i64::try_from(seen.active.len()).unwrap_or(i64::MAX);
        let needs: Vec<Wish> = seen.needs.iter().map(wish).collect();
        let count = i64::try_from(needs.len()).unwrap_or(i64::MAX);
        Self {
            is_calm: seen.needs_complete && seen.needs.is_empty(),
            is_whole: seen.needs_complete,
            summary: format!(
                "{}, {}",
                counted(count, "thing needs attention", "things need attention"),
                counted(seen.active_total, "campaign is active", "campaigns are active")
            ),
            needs,
            active: lines(&seen.active),
            more: Some(seen.active_total - shown).filter(|more| *more > 0).map(grouped),
            scheduled: lines(&seen.scheduled),
            ended: lines(&seen.ended),
            instances: seen
                .instances
                .iter()
                .map(|instance| Member {
                    id: instance.id.0,
                    host: instance.host.clone(),
                    version: instance.version.clone(),
                    in_flight: instance.in_flight,
                    is_answering: instance.answering,
                    seen: When::of(instance.last_seen_at),
                })
                .collect(),
            pools: seen
                .pools
                .iter()
                .map(|pool| PoolLine {
                    name: pool.name.clone(),
                    channel: pool.channel.to_string(),
                    trouble: pool.attention.as_ref().map(|attention| attention.detail.clone()),
                })
                .collect(),
        }
    }
}

fn wish(need: &Need) -> Wish {
    let name = match need.kind {
        NeedKind::Campaign | NeedKind::Uncertain => need.name.clone(),
        NeedKind::Pool => format!("Pool {}", need.name),
        NeedKind::Instance if need.instance_id.is_none() => "Instances".to_owned(),
        NeedKind::Instance => format!("Instance on {}", need.name),
        NeedKind::Segment => format!("Segment {}", need.name),
    };
    let ids = [need.campaign_id.map(|id| id.0), need.instance_id.map(|id| id.0), need.segment_id.map(|id| id.0)];
    let of = ids.into_iter().flatten().next().map(|id| id.to_string());
    Wish {
        id: format!("{}-{}", need.code, of.unwrap_or_else(|| need.name.clone())),
        path: match need.kind {
            NeedKind::Uncertain => need.campaign_id.map(|id| format!("/ui/uncertain?campaign_id={id}")),
            NeedKind::Campaign => need.campaign_id.map(|id| format!("/ui/campaigns/{id}")),
            NeedKind::Segment => need.segment_id.map(|id| format!("/ui/segments/{id}")),
            NeedKind::Pool => Some(format!("/ui/pools/{}", need.name)),
            NeedKind::Instance => Some("/ui/instances".to_owned()),
        },
        name,
        detail: need.detail.clone(),
        code: need.code.clone(),
        since: need.since.map(When::of),
    }
}

/// Shows what goes on.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let seen = overview::read(&state).await?;
    let live = NowLive::of(&seen, &BTreeMap::new());
    let frame = frame.titled("Now").same_as("GET /v1/overview", "volley overview");
    let frame = Frame { section: Some(Section::Now), live: Some("now".to_owned()), at: Some(seen.at), ..frame };
    page(StatusCode::OK, &NowPage { frame, live })
}
