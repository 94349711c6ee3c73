//! Events as they are listed: newest first, by what was received last.

use diesel::prelude::*;

use super::EventRow;
use crate::domain::ids::{ContactId, EventId};
use crate::domain::instant::UtcInstant;
use crate::store::engine::dialect::conn::MultiBackend;
use crate::store::engine::schema::events;
use crate::store::{Conn, StoreError};

/// How many events one request looks at, where they are not those of one contact: no request reads the whole table.
pub const LOOKED_AT: i64 = 10_000;

/// Which events. `None` takes all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whose.
    pub contact: Option<ContactId>,
    /// Of this name.
    pub name: Option<String>,
    /// From this source.
    pub source: Option<String>,
    /// That occurred not before this time.
    pub from: Option<UtcInstant>,
    /// That occurred before this time.
    pub to: Option<UtcInstant>,
    /// Only events with a lower id: where a cursor stopped.
    pub before: Option<EventId>,
}

/// A part of a list.
pub struct Part {
    /// The events, newest first.
    pub rows: Vec<EventRow>,
    /// Where the list goes on, if it does: behind the event with this id.
    pub next: Option<EventId>,
}

/// Up to `limit` events. There may be fewer and more of them all the same: then `next` says where to go on.
///
/// # Errors
/// A query failed.
pub fn list(conn: &mut Conn, filter: &Filter, limit: i64) -> Result<Part, StoreError> {
    let stretch = if filter.contact.is_some() { None } else { stretch(conn, filter.before)? };
    let mut query = events::table.limit(limit + 1).into_boxed::<MultiBackend>();
    query = match filter.contact {
        // By an expression, so that the events of the contact are sorted, and those of all others are not walked.
        Some(contact) => query.filter(events::contact_id.eq(contact)).order((events::id + EventId(0)).desc()),
        None => query.order(events::id.desc()),
    };
    // An expression, so that the index of names is not walked: it would gather all events of a frequent name and sort them.
    match (&filter.name, filter.contact) {
        (Some(name), Some(_)) => query = query.filter(events::name.eq(name)),
        (Some(name), None) => query = query.filter(events::name.concat("").eq(name)),
        (None, _) => {}
    }
    if let Some(source) = &filter.source {
        query = query.filter(events::source.eq(source));
    }
    if let Some(from) = filter.from {
        query = query.filter(events::occurred_at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(events::occurred_at.lt(to));
    }
    if let Some(before) = filter.before {
        query = query.filter(events::id.lt(before));
    }
    if let Some(oldest) = stretch {
        query = query.filter(events::id.ge(oldest));
    }
    let mut rows: Vec<EventRow> =
        query.select(EventRow::as_select()).load(conn).map_err(StoreError::query("list events"))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if rows.len() > limit {
        rows.truncate(limit);
        let next = rows.last().map(|row| row.id);
        return Ok(Part { rows, next });
    }
    Ok(Part { rows, next: stretch })
}

/// The oldest event that this request looks at, if there are older ones.
fn stretch(conn: &mut Conn, before: Option<EventId>) -> Result<Option<EventId>, StoreError> {
    events::table
        .filter(events::id.lt(before.unwrap_or(EventId(i64::MAX))))
        .order(events::id.desc())
        .offset(LOOKED_AT - 1)
        .select(events::id)
        .first(conn)
        .optional()
        .map_err(StoreError::query("list events"))
}
