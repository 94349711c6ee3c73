//! `/v1/stats`: the figures of the day.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::day::UtcDay;
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::problem::{ApiError, Problem};
use crate::store::dispatch::pool_figures::{self, PoolFigures};
use crate::store::{Conn, Lane, engine};

/// What was sent today, and what waits.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct DayFigures {
    /// How many messages were sent today.
    sent: i64,
    /// How many failed today. One that was sent later counts in `sent`, too.
    failed: i64,
    /// The part of those that ended today which failed, 0 to 1. Null: none ended.
    failure_rate: Option<f64>,
    /// How many recipients of campaigns that are sending or paused wait, as far as these are packed.
    pending: i64,
    /// How many are claimed or handed over right now.
    sending: i64,
}

impl From<PoolFigures> for DayFigures {
    fn from(figures: PoolFigures) -> Self {
        let PoolFigures { sent, failed, pending, sending } = figures;
        Self { sent, failed, failure_rate: share(failed, sent + failed), pending, sending }
    }
}

/// The figures of a pool.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PoolDay {
    /// Its name.
    name: String,
    #[serde(flatten)]
    figures: DayFigures,
}

/// The figures of the day, of all instances.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct DayStats {
    /// The moment.
    at: UtcInstant,
    /// The day, in UTC. It began at midnight UTC.
    day: UtcDay,
    #[serde(flatten)]
    figures: DayFigures,
    /// By pool, those with anything to say.
    pools: Vec<PoolDay>,
}

fn share(part: i64, whole: i64) -> Option<f64> {
    let ten_thousandths = (whole > 0).then(|| part.saturating_mul(10_000) / whole)?;
    Some(f64::from(i32::try_from(ten_thousandths).unwrap_or(i32::MAX)) / 10_000.0)
}

/// Shows how many messages of campaigns were sent and failed today (in UTC), and how many recipients wait: in all and by pool.
#[utoipa::path(get, path = "/v1/stats", tag = "operations",
    responses((status = 200, body = DayStats), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(state: web::Data<AppState>, _: Query<()>) -> Result<web::Json<DayStats>, ApiError> {
    let read = |conn: &mut Conn| {
        conn.snapshot(|conn| {
            let at = engine::now(conn)?;
            let day = UtcDay::of(at);
            Ok((at, day, pool_figures::since(conn, day.begins_at())?))
        })
    };
    let (at, day, pools) = state.store.run(Lane::Read, "read the figures of the day", read).await?;
    let all = pools.values().fold(PoolFigures::default(), |all, pool| all.plus(*pool));
    let pools = pools.into_iter().map(|(name, figures)| PoolDay { name, figures: figures.into() });
    Ok(web::Json(DayStats { at, day, figures: all.into(), pools: pools.collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_is_none() {
        assert_eq!((share(0, 0), share(0, 7), share(1, 3), share(3, 3)), (None, Some(0.0), Some(0.3333), Some(1.0)));
    }
}
