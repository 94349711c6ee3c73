//! `/v1/events`: what contacts did, and what happened to them.

mod body;
mod refusals;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use self::body::EventInput;
use crate::domain::access::audit::{Action, Object};
use crate::domain::access::limit::Limit;
use crate::domain::events::{EventSource, MAX_BATCH, MAX_NAME};
use crate::domain::ids::{ContactId, EventId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::BuiltIn;
use crate::http::access::Charge;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Json, Params, Query, bad_parameter};
use crate::http::web::idempotency::{IdempotencyKey, NoKey};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::services::events::store_events::Outcome;
use crate::services::events::told::{Stored, Told};
use crate::store::events::listing::{self, Filter};
use crate::store::events::{self, EventRow};
use crate::store::{Lane, StoreError};

/// Events per page unless asked otherwise, and most of them.
const PAGE: (i64, i64) = (20, 100);

/// An event that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct EventStored {
    id: EventId,
    /// `false`: it was stored before, under the same key, and nothing has changed now.
    stored: bool,
    /// Keys that belong to other contacts and were ignored: `email`, `phone`, `external_id`. A stronger key named the contact.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ignored_keys: Vec<&'static str>,
}

impl From<Stored> for EventStored {
    fn from(stored: Stored) -> Self {
        let ignored_keys = stored.ignored.into_iter().map(BuiltIn::as_str).collect();
        Self { id: stored.event, stored: stored.is_new, ignored_keys }
    }
}

/// Many events.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct EventBatch {
    /// 1 to 1,000.
    #[schema(value_type = Vec<EventInput>)]
    events: Vec<Value>,
}

/// What became of one event of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum EventResult {
    /// It was taken.
    Stored(EventStored),
    /// It was not.
    Failed(EventFailed),
}

/// An event of a batch that was not taken.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct EventFailed {
    /// Why, as a request with this event alone would be answered.
    problem: Problem,
}

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct EventResults {
    /// In the order of the events.
    data: Vec<EventResult>,
}

/// Stores an event, and whatever it says of its contact, before it is answered. With a `key`, or the header `Idempotency-Key`, it is
/// stored once, also when the request is repeated.
#[utoipa::path(post, path = "/v1/events", tag = "events", request_body = EventInput,
    responses((status = 202, body = EventStored), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn send(
    state: web::Data<AppState>,
    _: Query<()>,
    by: By,
    header: IdempotencyKey,
    Json(body): Json<EventInput>,
) -> Result<HttpResponse, ApiError> {
    let told = body.told(header.text(), &by)?;
    let stored = state.events.take(told).await?;
    if stored.is_new {
        state.gathered.note(by, Action::Created, Object::Event, None);
    }
    Ok(HttpResponse::Accepted().json(EventStored::from(stored)))
}

/// Stores up to 1,000 events, each for itself: one that is wrong keeps no other one out. Give each event a `key`; the request takes none.
#[utoipa::path(post, path = "/v1/events/batch", tag = "events", request_body = EventBatch,
    responses((status = 200, body = EventResults), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn send_batch(
    state: web::Data<AppState>,
    _: Query<()>,
    by: By,
    _: NoKey,
    charge: Charge,
    Json(body): Json<EventBatch>,
) -> Result<web::Json<EventResults>, ApiError> {
    if body.events.is_empty() || body.events.len() > MAX_BATCH {
        return Err(ApiError::field("/events", "out_of_range", format!("give 1 to {MAX_BATCH} events")));
    }
    charge.rest(Limit::Ingest, body.events.len())?;
    let read: Vec<Result<Told, ApiError>> = body.events.into_iter().map(|event| body::read(event, &by)).collect();
    let told: Vec<Told> = read.iter().flatten().cloned().collect();
    let outcomes = state.events.take_all(told).await;
    if outcomes.iter().flatten().any(|stored| stored.is_new) {
        state.gathered.note(by, Action::Created, Object::Event, None);
    }
    results(read, outcomes).map(web::Json)
}

/// # Errors
/// The database took none of them.
fn results(read: Vec<Result<Told, ApiError>>, outcomes: Vec<Outcome>) -> Result<EventResults, ApiError> {
    let mut outcomes = outcomes.into_iter();
    let all: Vec<Result<EventStored, ApiError>> = read
        .into_iter()
        .map(|read| match read {
            Err(error) => Err(error),
            Ok(_) => match outcomes.next() {
                Some(outcome) => outcome.map(EventStored::from).map_err(ApiError::from),
                None => Err(StoreError::Closed.into()),
            },
        })
        .collect();
    let is_absent = all.iter().all(|result| matches!(result, Err(ApiError::Store(_))));
    let mut data = Vec::with_capacity(all.len());
    for (index, result) in all.into_iter().enumerate() {
        data.push(match result {
            Ok(stored) => EventResult::Stored(stored),
            Err(error) if is_absent => return Err(error),
            Err(error) => {
                EventResult::Failed(EventFailed { problem: error.below(&format!("/events/{index}")).problem() })
            }
        });
    }
    Ok(EventResults { data })
}

/// What happened to a contact.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Event {
    id: EventId,
    contact_id: ContactId,
    name: String,
    #[schema(value_type = Object)]
    properties: Box<RawValue>,
    occurred_at: UtcInstant,
    /// When Volley stored it.
    received_at: UtcInstant,
    /// Who told of it: what the API key calls itself, `root`, or `volley`.
    source: String,
}

impl TryFrom<EventRow> for Event {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let EventRow { id, contact_id, name, properties, occurred_at, received_at, source } = row;
        let properties = RawValue::from_string(properties)
            .map_err(|error| StoreError::Corrupt { what: "properties of an event", detail: error.to_string() })?;
        Ok(Self { id, contact_id, name, properties, occurred_at, received_at, source })
    }
}

/// A part of the events, newest first by when they were received.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Events {
    /// There may be fewer than `page_size`, or none, although more follow.
    data: Vec<Event>,
    /// Where it goes on: give it as `cursor`. `null`: there are no more.
    next_cursor: Option<String>,
}

/// Which events.
#[derive(Debug)]
pub(in crate::http) struct Which {
    filter: Filter,
    page_size: i64,
}

impl FromQuery for Which {
    const NAMES: &'static [&'static str] = &["contact_id", "name", "source", "from", "to", "cursor", "page_size"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let before = match params.text("cursor") {
            None => None,
            Some(text) => Some(
                text.strip_prefix("before-")
                    .and_then(|id| id.parse().ok())
                    .map(EventId)
                    .ok_or_else(|| bad_parameter("cursor", "cursor_invalid", "not a cursor of this list".to_owned()))?,
            ),
        };
        let filter = Filter {
            contact: params.integer("contact_id", 1..=i64::MAX)?.map(ContactId),
            name: params.short("name", MAX_NAME)?,
            source: params.short("source", EventSource::LONGEST)?,
            from: params.instant("from")?,
            to: params.instant("to")?,
            before,
        };
        Ok(Self { filter, page_size: params.integer("page_size", 1..=PAGE.1)?.unwrap_or(PAGE.0) })
    }
}

/// Lists events, newest first by when they were received. Without a `contact_id`, one request looks at 10,000 events at most: go on
/// with `next_cursor` until it is `null`. `from` and `to` go by `occurred_at`.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(("contact_id" = Option<i64>, Query), ("name" = Option<String>, Query), ("source" = Option<String>, Query),
        ("from" = Option<UtcInstant>, Query), ("to" = Option<UtcInstant>, Query), ("cursor" = Option<String>, Query),
        ("page_size" = Option<i64>, Query)),
    responses((status = 200, body = Events), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(which): Query<Which>,
) -> Result<web::Json<Events>, ApiError> {
    let Which { filter, page_size } = which;
    let read = move |conn: &mut _| listing::list(conn, &filter, page_size);
    let part = state.store.run(Lane::Read, "list events", read).await?;
    let data = part.rows.into_iter().map(Event::try_from).collect::<Result<_, _>>()?;
    Ok(web::Json(Events { data, next_cursor: part.next.map(|id| format!("before-{id}")) }))
}

/// Shows an event.
#[utoipa::path(get, path = "/v1/events/{id}", tag = "events", params(("id" = i64, Path)),
    responses((status = 200, body = Event), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    Id(id): Id<EventId>,
    _: Query<()>,
) -> Result<web::Json<Event>, ApiError> {
    let row = state.store.run(Lane::Read, "read an event", move |conn| events::find(conn, id)).await?;
    let row = row.ok_or_else(|| ApiError::not_found("event", id.0))?;
    Ok(web::Json(row.try_into()?))
}
