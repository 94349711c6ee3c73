//! `POST /v1/suppressions/undo`: a provider had a fault, and called addresses wrong that exist.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::import::suppressions::Target;
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::{Json, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::http::web::text;
use crate::services::By;
use crate::services::people::undo_bounces::{Bounces, LONGEST_HOURS, undo_bounces};

/// Longest name of a pool, in characters.
const MAX_POOL: usize = 100;

/// Which suppressions are taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct UndoInput {
    /// The pool whose provider had called the addresses wrong.
    pool: String,
    /// Only addresses at this domain.
    domain: Option<String>,
    /// Only bounces from then on.
    from: UtcInstant,
    /// Only bounces until then: at most 24 hours after `from`. Unless given: 24 hours after it.
    to: Option<UtcInstant>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Undone {
    /// How many addresses may be written to again, as far as bounces go.
    lifted: u64,
}

/// Takes back the bounces that one pool's provider caused within 24 hours. Complaints, refusals and blocks stay, and so does what
/// was changed since.
#[utoipa::path(post, path = "/v1/suppressions/undo", tag = "suppressions", request_body = UndoInput,
    responses((status = 200, body = Undone), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn undo(
    state: web::Data<AppState>,
    _: Query<()>,
    by: By,
    Json(body): Json<UndoInput>,
) -> Result<web::Json<Undone>, ApiError> {
    let longest = body.from.plus_ms(LONGEST_HOURS * 3_600_000);
    let to = body.to.unwrap_or(longest);
    if to < body.from || to > longest {
        let reason = format!("must be at `from` or up to {LONGEST_HOURS} hours later");
        return Err(ApiError::field("/to", "out_of_range", reason));
    }
    let domain = body.domain.as_deref().map(read_domain).transpose()?;
    let bounces = Bounces { pool: text::name("/pool", &body.pool, MAX_POOL)?, domain, from: body.from, to };
    let lifted = undo_bounces(&state.services, bounces, &by).await?;
    Ok(web::Json(Undone { lifted }))
}

fn read_domain(domain: &str) -> Result<String, ApiError> {
    match Target::parse_domain(domain) {
        Ok(Target::Domain(domain)) => Ok(domain),
        Ok(Target::Address(_)) => Err(ApiError::field("/domain", "not_allowed", "give the domain of email addresses")),
        Err(error) => Err(ApiError::field("/domain", error.code, error.reason)),
    }
}
