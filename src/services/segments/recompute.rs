//! Everybody is evaluated anew for a segment.

use super::definition::SegmentError;
use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::SegmentId;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::segments::{self, SegmentRow};
use crate::store::{Conn, Lane};

/// Evaluates everybody anew. Entries are not reported, leaves are.
///
/// # Errors
/// [`SegmentError`]; nothing has changed then.
pub async fn recompute(services: &Services, id: SegmentId, by: &By) -> Result<SegmentRow, SegmentError> {
    let by = by.clone();
    let work = move |conn: &mut Conn| {
        segments::hold_definitions(conn)?;
        if !segments::restart(conn, id)? {
            return Err(SegmentError::NotFound(id));
        }
        audit::write(conn, &by, Line::of(Action::Recomputed, Object::Segment, id))?;
        segments::find(conn, id)?.ok_or(SegmentError::NotFound(id))
    };
    services.store.transact(Lane::Write, "evaluate everybody anew", work).await
}
