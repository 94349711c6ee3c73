//! Which segments there are.

use std::collections::BTreeMap;

use diesel::prelude::*;
use serde_json::Value;

use super::SegmentRow;
use crate::domain::ids::SegmentId;
use crate::domain::people::slug;
use crate::domain::segments::Criteria;
use crate::domain::segments::standing::SegmentKind;
use crate::store::engine::listing::{Slice, Window};
use crate::store::engine::schema::segments;
use crate::store::{Conn, StoreError};

/// A segment.
///
/// # Errors
/// The query failed.
pub fn find(conn: &mut Conn, id: SegmentId) -> Result<Option<SegmentRow>, StoreError> {
    segments::table
        .filter(segments::id.eq(id).and(segments::deleted_at.is_null()))
        .select(SegmentRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("read a segment"))
}

/// The rule of a segment, as JSON. `None`: it has none, or is not there.
///
/// # Errors
/// The query failed, or what is stored is not readable.
pub fn criteria(conn: &mut Conn, id: SegmentId) -> Result<Option<Value>, StoreError> {
    let stored = criteria_of(conn, &[id])?.remove(&id);
    let unreadable = |detail: String| StoreError::Corrupt { what: "criteria of a segment", detail };
    stored.map(|stored| stored.given().map_err(unreadable)).transpose()
}

/// The rule of a segment as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCriteria {
    /// The version of the segment.
    pub version: i64,
    text: String,
}

impl StoredCriteria {
    /// The rule.
    ///
    /// # Errors
    /// Why it is no JSON.
    pub fn given(&self) -> Result<Value, String> {
        serde_json::from_str(&self.text).map_err(|error| error.to_string())
    }
}

/// The rules of segments, where they have any.
///
/// # Errors
/// The query failed.
pub fn criteria_of(conn: &mut Conn, ids: &[SegmentId]) -> Result<BTreeMap<SegmentId, StoredCriteria>, StoreError> {
    let stored: Vec<(SegmentId, i64, Option<String>)> = segments::table
        .filter(segments::id.eq_any(ids))
        .select((segments::id, segments::version, segments::criteria))
        .load(conn)
        .map_err(StoreError::query("read the criteria of segments"))?;
    Ok(stored
        .into_iter()
        .filter_map(|(id, version, text)| Some((id, StoredCriteria { version, text: text? })))
        .collect())
}

/// The segments that are kept up to date.
///
/// # Errors
/// The query failed.
pub fn live(conn: &mut Conn) -> Result<Vec<SegmentRow>, StoreError> {
    segments::table
        .filter(segments::enabled.eq(true).and(segments::kind.eq(SegmentKind::Live)))
        .filter(segments::deleted_at.is_null())
        .order(segments::id)
        .select(SegmentRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read the segments"))
}

/// Whether there are segments that were deleted and have left something.
///
/// # Errors
/// The query failed.
pub fn is_any_deleted(conn: &mut Conn) -> Result<bool, StoreError> {
    let deleted: Option<SegmentId> = segments::table
        .filter(segments::deleted_at.is_not_null())
        .select(segments::id)
        .first(conn)
        .optional()
        .map_err(StoreError::query("look for deleted segments"))?;
    Ok(deleted.is_some())
}

/// All segments.
///
/// # Errors
/// The query failed.
pub fn all(conn: &mut Conn) -> Result<Vec<SegmentRow>, StoreError> {
    segments::table
        .filter(segments::deleted_at.is_null())
        .order(segments::id)
        .select(SegmentRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read the segments"))
}

/// Segments, newest first.
///
/// # Errors
/// A query failed.
pub fn list(conn: &mut Conn, window: Window) -> Result<Slice<SegmentRow>, StoreError> {
    conn.snapshot(|conn| {
        let anchor = match window.anchor {
            Some(anchor) => anchor,
            None => segments::table
                .select(diesel::dsl::max(segments::id))
                .first::<Option<i64>>(conn)
                .map_err(StoreError::query("list segments"))?
                .unwrap_or_default(),
        };
        let total = segments::table
            .filter(segments::id.le(anchor).and(segments::deleted_at.is_null()))
            .count()
            .get_result(conn)
            .map_err(StoreError::query("count segments"))?;
        let rows = segments::table
            .filter(segments::id.le(anchor).and(segments::id.lt(window.before.unwrap_or(i64::MAX))))
            .filter(segments::deleted_at.is_null())
            .order(segments::id.desc())
            .offset(window.offset)
            .limit(window.fetch())
            .select(SegmentRow::as_select())
            .load(conn)
            .map_err(StoreError::query("list segments"))?;
        Ok(window.slice(rows, total, anchor))
    })
}

/// Refuses a name or a slug that another segment has.
pub(super) fn refuse_taken(
    conn: &mut Conn,
    name: &str,
    slug: Option<&str>,
    by_other_than: Option<SegmentId>,
) -> Result<(), StoreError> {
    let holder = |conn: &mut Conn, column: &str| -> Result<Option<SegmentId>, StoreError> {
        let query = segments::table.filter(segments::deleted_at.is_null()).select(segments::id);
        let found = match column {
            "segment_name" => query.filter(segments::name.eq(name)).first(conn).optional(),
            _ => query.filter(segments::slug.eq(slug.unwrap_or_default())).first(conn).optional(),
        };
        found.map_err(StoreError::query("look for another segment"))
    };
    for field in ["segment_name", "segment_slug"] {
        if let Some(id) = holder(conn, field)?.filter(|id| Some(*id) != by_other_than) {
            return Err(StoreError::Taken { field, by: Some(id.0) });
        }
    }
    Ok(())
}

/// Slugs that would stand for something else in paths.
pub const RESERVED_SLUGS: [&str; 1] = ["estimate"];

/// A slug that no segment has, made of a name.
pub(super) fn free_slug(conn: &mut Conn, name: &str) -> Result<String, StoreError> {
    let made = slug::of_name(name);
    let base = if made.is_empty() { "segment".to_owned() } else { made };
    let mut taken: Vec<String> = segments::table
        .filter(segments::slug.like(format!("{base}%")).and(segments::deleted_at.is_null()))
        .select(segments::slug)
        .load(conn)
        .map_err(StoreError::query("look for a free slug"))?;
    taken.extend(RESERVED_SLUGS.map(str::to_owned));
    let mut tries = std::iter::once(base.clone()).chain((2..).map(|n: u64| format!("{base}-{n}")));
    tries.find(|slug| !taken.contains(slug)).ok_or(StoreError::Stale { what: "a slug" })
}

/// Another transaction may take the name or the slug between the look and the write.
pub(super) fn taken_or(action: &'static str) -> impl FnOnce(diesel::result::Error) -> StoreError {
    move |source| {
        let is_slug = source.to_string().contains("slug");
        let error = StoreError::query(action)(source);
        if error.is_unique_violation() {
            StoreError::Taken { field: if is_slug { "segment_slug" } else { "segment_name" }, by: None }
        } else {
            error
        }
    }
}

/// Criteria, as they are stored.
pub(super) fn criteria_text(criteria: Option<&Criteria>) -> Option<String> {
    criteria.map(|criteria| criteria.given().to_string())
}
