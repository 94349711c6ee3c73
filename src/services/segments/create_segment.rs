//! A new segment.

use super::definition::{Draft, MAX_SEGMENTS, SegmentError, check};
use crate::domain::access::audit::{Action, Object};
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::segments::{self, NewSegment, SegmentRow};
use crate::store::{Conn, Lane};

/// Creates a segment. Who is a member is known when everybody is evaluated; those entries are not reported.
///
/// # Errors
/// [`SegmentError`]; nothing is stored then.
pub async fn create_segment(services: &Services, draft: Draft, by: &By) -> Result<SegmentRow, SegmentError> {
    draft.rules.check().map_err(SegmentError::Rules)?;
    let by = by.clone();
    let work = move |conn: &mut Conn| {
        segments::hold_definitions(conn)?;
        if segments::all(conn)?.len() >= MAX_SEGMENTS {
            return Err(SegmentError::TooMany);
        }
        let Draft { name, slug, description, criteria, rules, enabled } = draft;
        check(conn, &criteria, None)?;
        let new = NewSegment { name, slug, description, criteria: Some(criteria), rules, enabled };
        let created = segments::create(conn, &new)?;
        audit::write(conn, &by, Line::of(Action::Created, Object::Segment, created.id))?;
        Ok(created)
    };
    services.store.transact(Lane::Write, "create a segment", work).await
}
