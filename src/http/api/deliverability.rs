//! `/v1/deliverability`: what became of messages by day, pool and domain of the recipients.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::day::UtcDay;
use crate::domain::deliverability::{DomainFigures, OTHER};
use crate::domain::people::email;
use crate::http::state::AppState;
use crate::http::web::cursor;
use crate::http::web::extract::{FromQuery, Params, Query, bad_parameter};
use crate::http::web::problem::{ApiError, Problem};
use crate::store::Lane;
use crate::store::deliverability::{self, Filter, Key, Row};

/// The longest name of a pool.
const MAX_POOL: usize = 64;

/// Rows per page unless asked otherwise, and most of them.
const PAGE: (i64, i64) = (100, 1_000);

/// What this list's cursors are marked with.
const LIST: &str = "deliverability";

/// The messages of a pool that were sent on one day to one domain, and what became of them since.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct DomainDay {
    /// In UTC.
    day: UtcDay,
    pool: String,
    /// The recipients' domain; `other`: all those that are not among the 200 of the pool and day that have a row of their own, and contacts
    /// without an address by now. Null on channels without domains.
    domain: Option<String>,
    #[serde(flatten)]
    figures: DomainFigures,
}

impl From<Row> for DomainDay {
    fn from(row: Row) -> Self {
        let Row { day, pool, domain, figures } = row;
        Self { day, pool, domain: Some(domain).filter(|domain| !domain.is_empty()), figures }
    }
}

/// A part of the days, pools and domains.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Deliverability {
    data: Vec<DomainDay>,
    /// The next part: give it as `cursor`. `null` on the last one.
    next_cursor: Option<String>,
}

/// Which rows.
#[derive(Debug)]
pub(in crate::http) struct Which {
    filter: Filter,
    after: Option<Key>,
    page_size: i64,
}

impl FromQuery for Which {
    const NAMES: &'static [&'static str] = &["pool", "domain", "from", "to", "cursor", "page_size"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let (from, to) = (params.day("from")?, params.day("to")?);
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            return Err(bad_parameter("from", "out_of_range", "is after `to`".to_owned()));
        }
        let domain = params.text("domain").map(read_domain).transpose()?;
        let filter = Filter { pool: params.short("pool", MAX_POOL)?, domain, from, to };
        let page_size = params.integer("page_size", 1..=PAGE.1)?.unwrap_or(PAGE.0);
        Ok(Self { filter, after: cursor::read(params, LIST)?, page_size })
    }
}

/// A domain as it is stored: as that of an address.
fn read_domain(text: &str) -> Result<String, ApiError> {
    if text == OTHER {
        return Ok(text.to_owned());
    }
    let address = email::parse(&format!("x@{text}")).ok();
    let domain = address.as_deref().and_then(|address| address.split_once('@')).map(|(_, domain)| domain.to_owned());
    domain.ok_or_else(|| bad_parameter("domain", "domain_invalid", format!("a domain such as example.com, or {OTHER}")))
}

fn key_of(row: &Row) -> Key {
    (row.day.0, row.pool.clone(), row.domain.clone())
}

/// Shows what became of messages by the day on which they were sent, their pool, and the domain of the recipients: the newest day first.
/// `from` and `to` are days, both included; without `from`, the last 30 days. What happens is in it after some seconds.
#[utoipa::path(get, path = "/v1/deliverability", tag = "campaigns",
    params(("pool" = Option<String>, Query), ("domain" = Option<String>, Query), ("from" = Option<UtcDay>, Query),
        ("to" = Option<UtcDay>, Query), ("cursor" = Option<String>, Query), ("page_size" = Option<i64>, Query)),
    responses((status = 200, body = Deliverability), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(which): Query<Which>,
) -> Result<web::Json<Deliverability>, ApiError> {
    let Which { filter, after, page_size } = which;
    let read = move |conn: &mut _| deliverability::list(conn, &filter, after.as_ref(), page_size + 1);
    let mut rows = state.store.run(Lane::Read, "list what became of messages", read).await?;
    let next_cursor = cursor::cut(&mut rows, page_size).map(|last| cursor::write(LIST, &key_of(last)));
    Ok(web::Json(Deliverability { data: rows.into_iter().map(DomainDay::from).collect(), next_cursor }))
}
