//! The deletion of a segment.

use super::definition::{SegmentError, asks};
use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::SegmentId;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::segments;
use crate::store::under_way;
use crate::store::{Conn, Lane};

/// Deletes a segment that no other one asks for, and no campaign that is under way. Its members stay contacts, and their leaves are not reported.
///
/// # Errors
/// [`SegmentError`]; nothing has changed then.
pub async fn delete_segment(services: &Services, id: SegmentId, by: &By) -> Result<(), SegmentError> {
    let by = by.clone();
    let work = move |conn: &mut Conn| {
        segments::hold_definitions(conn)?;
        let all = segments::all(conn)?;
        let asking: Vec<SegmentId> = asks(conn, &all)?
            .into_iter()
            .filter(|(other, asked)| *other != id && asked.contains(&id))
            .map(|(other, _)| other)
            .collect();
        if !asking.is_empty() {
            return Err(SegmentError::InUse(asking));
        }
        if !segments::delete(conn, id)? {
            return Err(SegmentError::NotFound(id));
        }
        // The segment first: a launch that holds it has committed by then.
        let asking = under_way::asking(conn, |audience| audience.segments().contains(&id))?;
        if !asking.is_empty() {
            return Err(SegmentError::InCampaigns(asking));
        }
        audit::write(conn, &by, Line::of(Action::Deleted, Object::Segment, id))?;
        Ok(())
    };
    services.store.transact(Lane::Write, "delete a segment", work).await
}
