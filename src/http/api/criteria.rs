//! Criteria in bodies, and `/v1/segments/estimate`: which contacts they take.

use actix_web::web;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::ids::ContactId;
use crate::domain::segments::Criteria;
use crate::domain::segments::estimate::Estimate;
use crate::http::state::AppState;
use crate::http::web::extract::{Json, Query};
use crate::http::web::problem::{ApiError, FieldProblem, Problem};
use crate::services::segments::estimate::{self, Estimated};
use crate::services::segments::named::{self, UnreadCriteria};

/// Criteria to try out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct EstimateInput {
    /// As docs/segments.md says.
    #[schema(value_type = Object)]
    criteria: Value,
}

/// How many contacts criteria take.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct EstimateOutput {
    /// The criteria in words.
    sentence: String,
    #[serde(flatten)]
    estimate: Estimate,
    /// Some of those who are taken, at most 10.
    sample: Vec<ContactId>,
}

/// Counts the contacts that criteria take, before they are saved. Up to 100,000 contacts the count is exact.
#[utoipa::path(post, path = "/v1/segments/estimate", tag = "segments", request_body = EstimateInput,
    responses((status = 200, body = EstimateOutput), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn estimate(
    state: web::Data<AppState>,
    _: Query<()>,
    Json(body): Json<EstimateInput>,
) -> Result<web::Json<EstimateOutput>, ApiError> {
    let criteria = read_criteria(&state, body.criteria, "/criteria").await?;
    let sentence = criteria.sentence();
    let Estimated { estimate, sample } = estimate::estimate(&state.services, criteria).await?;
    Ok(web::Json(EstimateOutput { sentence, estimate, sample }))
}

/// Reads criteria that stand at `pointer` in a body.
///
/// # Errors
/// 422 that names the place of the error.
pub(in crate::http) async fn read_criteria(
    state: &AppState,
    given: Value,
    pointer: &str,
) -> Result<Criteria, ApiError> {
    named::read(&state.store, given).await.map_err(|error| match error {
        UnreadCriteria::Store(error) => error.into(),
        UnreadCriteria::Field(error) => {
            let field = format!("{pointer}{}", error.field);
            ApiError::Invalid(vec![FieldProblem::new(field, error.code, error.reason)])
        }
    })
}
