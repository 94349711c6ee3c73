//! `/v1/attributes`: which attributes contacts have.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;
use crate::services::people::attribute_coverage::{self, Coverage};

/// Most names in an answer.
const MOST: usize = 1_000;

/// The attributes of contacts.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct AttributeNames {
    /// The names that contacts have ever had, the most frequent first, at most 1,000.
    data: Vec<AttributeName>,
    /// How many contacts were looked at: all of them up to 10,000, else as many in blocks that lie evenly over the ids.
    looked_at: i64,
    /// Whether all contacts were looked at.
    complete: bool,
    /// Whether there are more names than are shown.
    more: bool,
}

/// An attribute.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct AttributeName {
    name: String,
    /// How many of the contacts that were looked at have it.
    contacts: i64,
    /// The share of them, 0 to 1.
    share: f64,
}

/// Lists the attributes that contacts have, each with how many of a sample have it. It looks at 10,000 contacts, or at all if they are no more.
#[utoipa::path(get, path = "/v1/attributes", tag = "contacts", responses((status = 200, body = AttributeNames)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    _: Query<()>,
) -> Result<web::Json<AttributeNames>, ApiError> {
    Ok(web::Json(answer(attribute_coverage::coverage(&state.services).await?)))
}

fn answer(found: Coverage) -> AttributeNames {
    let Coverage { looked_at, complete, names } = found;
    let number = |count: i64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let share = |count: i64| (number(count) / number(looked_at.max(1)) * 1_000.0).round() / 1_000.0;
    let mut data: Vec<AttributeName> =
        names.into_iter().map(|(name, contacts)| AttributeName { name, contacts, share: share(contacts) }).collect();
    // Those of one frequency stay in the order of the alphabet.
    data.sort_by_key(|one| std::cmp::Reverse(one.contacts));
    let more = data.len() > MOST;
    data.truncate(MOST);
    AttributeNames { data, looked_at, complete, more }
}
