//! A new segment.

use serde_json::json;

use super::definition::{Draft, MAX_SEGMENTS, SegmentError, check};
use super::reactions::{TargetNames, named, settle};
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
    let targets = TargetNames::of(&services.settings);
    let by = by.clone();
    let work = move |conn: &mut Conn| {
        segments::hold_definitions(conn)?;
        if segments::all(conn)?.len() >= MAX_SEGMENTS {
            return Err(SegmentError::TooMany);
        }
        let Draft { name, slug, description, criteria, rules, reactions, enabled } = draft;
        check(conn, &criteria, None)?;
        let reactions = settle(conn, reactions, &rules, &targets)?;
        let said = named(&reactions);
        let new = NewSegment {
            name,
            slug,
            description,
            criteria: Some(criteria),
            rules,
            reactions: Some(reactions),
            enabled,
        };
        let created = segments::create(conn, &new)?;
        let line = Line::of(Action::Created, Object::Segment, created.id);
        audit::write(conn, &by, if let Some(said) = said { line.after(json!({ "reactions": said })) } else { line })?;
        Ok(created)
    };
    services.store.transact(Lane::Write, "create a segment", work).await
}
