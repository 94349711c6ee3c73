//! Why recipients of a campaign failed, were skipped or are uncertain, counted.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::dispatch::delivery::DeliveryState;
use crate::domain::ids::CampaignId;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::store::campaigns::glance;
use crate::store::dispatch::reasons::{self, Counted};
use crate::store::{Conn, Lane};

/// Most reasons in an answer.
const MOST: usize = 50;

/// A reason, and how many recipients it holds of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::http) struct CampaignReason {
    /// `failed`, `skipped` or `uncertain`.
    pub(in crate::http) status: DeliveryState,
    /// What kind of trouble it was, as `error_category` of deliveries.
    pub(in crate::http) error_category: Option<String>,
    /// Whose trouble it was, as `answer_class` of deliveries.
    pub(in crate::http) answer_class: Option<String>,
    /// Why they were skipped.
    pub(in crate::http) skip_reason: Option<String>,
    pub(in crate::http) count: i64,
}

/// Recipients whose reasons are not listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::http) struct OtherReasons {
    pub(in crate::http) failed: i64,
    pub(in crate::http) skipped: i64,
    pub(in crate::http) uncertain: i64,
}

impl OtherReasons {
    /// How many these are.
    pub(in crate::http) const fn total(&self) -> i64 {
        self.failed + self.skipped + self.uncertain
    }
}

/// The reasons of a campaign, the most frequent first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct CampaignReasons {
    /// 50 at most.
    pub(in crate::http) data: Vec<CampaignReason>,
    /// Those who have a reason beyond the 50.
    pub(in crate::http) other: OtherReasons,
    /// Whether everybody who failed, was skipped or is uncertain has a reason here. False: some of them came to it before Volley counted
    /// reasons. Each delivery has its own all the same.
    pub(in crate::http) complete: bool,
}

/// Why recipients of a campaign failed, were skipped or are uncertain.
#[utoipa::path(get, path = "/v1/campaigns/{id}/reasons", tag = "campaigns", params(("id" = i64, Path)),
    responses((status = 200, body = CampaignReasons), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    _: Query<()>,
) -> Result<web::Json<CampaignReasons>, ApiError> {
    Ok(web::Json(listed(&state, id).await?))
}

/// The reasons of a campaign.
pub(in crate::http) async fn listed(state: &AppState, id: CampaignId) -> Result<CampaignReasons, ApiError> {
    let read = move |conn: &mut Conn| {
        conn.snapshot(|conn| match glance::these(conn, &[id])?.is_empty() {
            true => Ok(None),
            false => reasons::counted(conn, id).map(Some),
        })
    };
    let counted = state.store.run(Lane::Read, "read the reasons of a campaign", read).await?;
    Ok(answer(counted.ok_or(ApiError::not_found("campaign", id.0))?))
}

fn answer(counted: Counted) -> CampaignReasons {
    let Counted { troubles, skips, counts } = counted;
    let word = |text: String| Some(text).filter(|text| !text.is_empty());
    let trouble = |(status, category, class, count)| CampaignReason {
        status,
        error_category: word(category),
        answer_class: word(class),
        skip_reason: None,
        count,
    };
    let skip = |(reason, count)| CampaignReason {
        status: DeliveryState::Skipped,
        error_category: None,
        answer_class: None,
        skip_reason: Some(reason),
        count,
    };
    let mut data: Vec<CampaignReason> = troubles.into_iter().map(trouble).chain(skips.into_iter().map(skip)).collect();
    let sums = sums(&data);
    let stand = OtherReasons { failed: counts.failed, skipped: counts.skipped, uncertain: counts.uncertain };
    // One that is less than nothing left a state that it came into before it was counted.
    let complete = sums == stand && data.iter().all(|reason| reason.count > 0);
    data.retain(|reason| reason.count > 0);
    data.sort_by_key(|reason| -reason.count);
    let rest = data.split_off(data.len().min(MOST));
    CampaignReasons { data, other: self::sums(&rest), complete }
}

fn sums(reasons: &[CampaignReason]) -> OtherReasons {
    let of = |state| reasons.iter().filter(|reason| reason.status == state).map(|reason| reason.count).sum();
    OtherReasons {
        failed: of(DeliveryState::Failed),
        skipped: of(DeliveryState::Skipped),
        uncertain: of(DeliveryState::Uncertain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dispatch::page::Counts;

    #[test]
    fn fifty_reasons_are_listed_and_the_rest_is_counted() {
        let trouble = |n: i64| (DeliveryState::Failed, format!("kind_{n}"), String::new(), n);
        let counted = |failed| Counted {
            troubles: (1..=52).map(trouble).collect(),
            skips: [("no_address".to_owned(), 7)].into(),
            counts: Counts { failed, skipped: 7, ..Counts::default() },
        };
        let shown = answer(counted(52 * 53 / 2));
        assert_eq!((shown.data.len(), shown.data[0].count, shown.complete), (50, 52, true));
        assert_eq!(shown.other, OtherReasons { failed: 1 + 2 + 3, ..OtherReasons::default() });
        assert!(shown.data.iter().any(|reason| reason.skip_reason.as_deref() == Some("no_address")));
        assert!(!answer(counted(1)).complete, "others failed than are counted");
    }
}
