//! `/ui/campaigns/{id}/pace`: how fast a campaign goes out, and which limit binds.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::frame::{Frame, Section, page};
use super::words::{When, grouped, per_second};
use crate::domain::dispatch::speed::{Ceiling, CeilingKind, CeilingState, EndUnknown};
use crate::domain::ids::CampaignId;
use crate::http::api::campaigns::pace::{self, CampaignPace};
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query};
use crate::http::web::problem::ApiError;

/// The shortest bar, in percent: something slow is seen beside something fast.
const SLIVER: f64 = 0.4;

#[derive(Template)]
#[template(path = "ui/pace.html")]
struct PacePage {
    frame: Frame,
    id: i64,
    name: String,
    live: PaceLive,
}

/// What of the page changes while it is open.
#[derive(Template)]
#[template(path = "ui/pace_live.html")]
pub(super) struct PaceLive {
    why: String,
    /// Whether nothing goes out although it should.
    is_held: bool,
    measured: String,
    left: String,
    ends: Option<When>,
    end_unknown: &'static str,
    bars: Vec<Bar>,
    others: Vec<i64>,
    pool: Option<String>,
}

impl PaceLive {
    pub(super) fn of(pace: &CampaignPace) -> Self {
        Self {
            is_held: pace.end_unknown == Some(EndUnknown::Held),
            measured: pace.measured_per_second.map_or_else(|| "–".to_owned(), per_second),
            left: grouped(pace.left),
            ends: pace.ends_at.map(When::of),
            end_unknown: unknown(pace.end_unknown),
            bars: bars(pace),
            others: pace.others.iter().map(|other| other.0).collect(),
            why: pace.why.clone(),
            pool: pace.pool.clone(),
        }
    }
}

/// A limit as a bar on the axis that all share.
struct Bar {
    word: &'static str,
    detail: String,
    /// So many a second, or what is known instead.
    value: String,
    /// How long it is, in percent. `None`: it has no place on the axis.
    width: Option<String>,
    /// `measured`, `binds`, `open` where nothing limits or nobody knows; else empty.
    kind: &'static str,
}

const fn word(kind: CeilingKind) -> &'static str {
    match kind {
        CeilingKind::Campaign => "Campaign",
        CeilingKind::Pool => "Pool",
        CeilingKind::Provider => "Provider",
        CeilingKind::Places => "Calls at once",
        CeilingKind::Domains => "Domains",
        CeilingKind::Packing => "Packing",
    }
}

const fn unknown(end: Option<EndUnknown>) -> &'static str {
    match end {
        None => "",
        Some(EndUnknown::NotSending) => "it is not being sent",
        Some(EndUnknown::Held) => "it cannot go on at the moment",
        Some(EndUnknown::NotMeasured) => "it was launched, resumed or reopened only just now",
        Some(EndUnknown::StandsStill) => "nothing has ended in the last minute",
        Some(EndUnknown::WaitsForRetries) => "it depends on the answers to the next tries",
        Some(EndUnknown::NobodyLeft) => "in a moment: nobody is left",
    }
}

fn width(rate: f64, longest: f64) -> Option<String> {
    (longest > 0.0).then(|| format!("{:.2}", (rate / longest * 100.0).clamp(SLIVER, 100.0)))
}

/// What was measured, and each limit, on one axis that ends at the largest of them.
fn bars(pace: &CampaignPace) -> Vec<Bar> {
    let rates = pace.limits.iter().filter_map(|limit| limit.per_second).chain(pace.measured_per_second);
    let longest = rates.fold(0.0, f64::max);
    let measured = pace.measured_per_second.map(|rate| Bar {
        word: "Measured",
        detail: "what ended in the last minute".to_owned(),
        value: per_second(rate),
        width: width(rate, longest),
        kind: "measured",
    });
    let bar = |limit: &Ceiling| Bar {
        word: word(limit.kind),
        detail: limit.detail.clone(),
        value: match (limit.per_second, limit.state) {
            (_, CeilingState::Holds) => "held".to_owned(),
            (Some(rate), _) => per_second(rate),
            (None, CeilingState::Unknown) => "not known".to_owned(),
            (None, CeilingState::Part) => "some".to_owned(),
            (None, CeilingState::None | CeilingState::Rate) => "no limit".to_owned(),
        },
        width: limit.per_second.and_then(|rate| width(rate, longest)),
        kind: match (limit.binds, limit.per_second) {
            (true, _) => "binds",
            (false, Some(_)) => "",
            (false, None) => "open",
        },
    };
    measured.into_iter().chain(pace.limits.iter().map(bar)).collect()
}

/// Shows the pace.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<CampaignId>,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let (campaign, pace) = pace::measured(&state, id).await?;
    let frame = frame
        .titled(&format!("Pace of {}", campaign.name))
        .same_as(&format!("GET /v1/campaigns/{id}/pace"), &format!("volley campaign pace {id}"));
    let (up, topic) = (Some(format!("/ui/campaigns/{id}")), Some(format!("pace-{id}")));
    let frame = Frame { section: Some(Section::Campaigns), live: topic, up, at: Some(pace.at), ..frame };
    page(StatusCode::OK, &PacePage { frame, id: id.0, name: campaign.name, live: PaceLive::of(&pace) })
}
