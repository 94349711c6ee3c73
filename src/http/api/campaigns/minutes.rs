//! What became of a campaign's messages, minute by minute.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::dispatch::minutes::MinuteFigures;
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, InstanceId};
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query, bad_parameter};
use crate::http::web::problem::{ApiError, Problem};
use crate::store::campaigns::glance;
use crate::store::dispatch::minutes::{self, Asked, Course, Grain, Step};
use crate::store::{Conn, Lane};

/// How many steps are listed unless asked otherwise: the minutes of a day.
const USUAL_SIZE: i64 = 1_440;

/// Most steps in one answer.
const MOST: i64 = 2_000;

/// What happened in one step.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct CampaignMinute {
    /// When the step begins.
    pub(in crate::http) at: UtcInstant,
    /// With `by=instance`: which instance held the pages. `null`: none, as while the audience was packed, or
    /// when an operator resolved or a pass skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub(in crate::http) instance_id: Option<Option<InstanceId>>,
    #[serde(flatten)]
    pub(in crate::http) figures: MinuteFigures,
}

/// A campaign's course: the steps in which something happened, oldest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct CampaignMinutes {
    /// The minutes of a step.
    pub(in crate::http) step: i64,
    pub(in crate::http) data: Vec<CampaignMinute>,
    /// Everything that ever happened, whatever part of it is listed.
    pub(in crate::http) total: MinuteFigures,
    /// Whether `total` explains how every recipient stands now, `sent`, `failed - retried`, `skipped` and `uncertain - resolved`. False:
    /// a part of the campaign went out before Volley counted minutes.
    pub(in crate::http) complete: bool,
    /// The first minute in which something happened.
    pub(in crate::http) first: Option<UtcInstant>,
    /// The last minute in which something happened.
    pub(in crate::http) last: Option<UtcInstant>,
    /// How the recipients stand, at the moment of this answer.
    pub(in crate::http) stats: Counts,
    /// The next part: give it as `cursor`. `null` on the last one.
    pub(in crate::http) next_cursor: Option<String>,
}

/// Which steps.
#[derive(Debug)]
pub(in crate::http) struct Which(Asked);

impl Which {
    /// The whole course in so many steps at most.
    pub(in crate::http) const fn whole(most: i64) -> Self {
        Self(Asked { grain: Grain::AtMost(most), apart: false, after: None, from: None, to: None, limit: most })
    }
}

impl FromQuery for Which {
    const NAMES: &'static [&'static str] = &["step", "by", "from", "to", "cursor", "page_size"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let apart = params.choice("by", &["instance"])?.is_some();
        let after = match params.text("cursor") {
            None => None,
            Some(text) => Some(
                cursor(text)
                    .ok_or_else(|| bad_parameter("cursor", "cursor_invalid", "not a cursor of this list".to_owned()))?,
            ),
        };
        Ok(Self(Asked {
            grain: Grain::Minutes(params.integer("step", 1..=1_440)?.unwrap_or(1)),
            apart,
            after,
            from: params.instant("from")?,
            to: params.instant("to")?,
            limit: params.integer("page_size", 1..=MOST)?.unwrap_or(USUAL_SIZE),
        }))
    }
}

fn cursor(text: &str) -> Option<(UtcInstant, InstanceId)> {
    let (at, instance) = text.strip_prefix("after-")?.split_once('-')?;
    // Behind the last moment there is no step; adding one to it must not overflow.
    let at = at.parse().ok().filter(|at| (0..=i64::MAX / 2).contains(at))?;
    Some((UtcInstant(at), InstanceId(instance.parse().ok()?)))
}

/// What became of a campaign's messages, minute by minute: what was sent, failed, was skipped or became uncertain, put off, put back and
/// resolved.
#[utoipa::path(get, path = "/v1/campaigns/{id}/minutes", tag = "campaigns",
    params(("id" = i64, Path), ("step" = Option<i64>, Query, description = "Minutes of a step, 1 to 1440; 1 unless given."),
        ("by" = Option<String>, Query, description = "`instance`: each instance apart."),
        ("from" = Option<UtcInstant>, Query), ("to" = Option<UtcInstant>, Query), ("cursor" = Option<String>, Query),
        ("page_size" = Option<i64>, Query, description = "1 to 2000; 1440 unless given.")),
    responses((status = 200, body = CampaignMinutes), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    Query(which): Query<Which>,
) -> Result<web::Json<CampaignMinutes>, ApiError> {
    Ok(web::Json(listed(&state, id, which).await?))
}

/// A campaign's course, or a part of it.
pub(in crate::http) async fn listed(
    state: &AppState,
    id: CampaignId,
    Which(asked): Which,
) -> Result<CampaignMinutes, ApiError> {
    let one_more = Asked { limit: asked.limit + 1, ..asked };
    let read = move |conn: &mut Conn| {
        conn.snapshot(|conn| match glance::these(conn, &[id])?.is_empty() {
            true => Ok(None),
            false => minutes::course(conn, id, &one_more).map(Some),
        })
    };
    let course = state.store.run(Lane::Read, "read the minutes of a campaign", read).await?;
    let course = course.ok_or(ApiError::not_found("campaign", id.0))?;
    Ok(answer(course, &asked))
}

fn answer(course: Course, asked: &Asked) -> CampaignMinutes {
    let Course { step_minutes, mut steps, whole, span, counts } = course;
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let more = steps.len() > limit;
    steps.truncate(limit);
    let cursor = |last: &Step| format!("after-{}-{}", last.at.0, last.instance);
    let instance = |id: InstanceId| asked.apart.then_some(Some(id).filter(|id| id.0 > 0));
    CampaignMinutes {
        step: step_minutes,
        next_cursor: steps.last().filter(|_| more).map(cursor),
        data: steps
            .into_iter()
            .map(|step| CampaignMinute { at: step.at, instance_id: instance(step.instance), figures: step.figures })
            .collect(),
        complete: whole.explain(&counts),
        total: whole,
        first: span.map(|(first, _)| first),
        last: span.map(|(_, last)| last),
        stats: counts,
    }
}
