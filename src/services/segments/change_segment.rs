//! Another name, rule or switch for a segment.

use serde_json::json;

use super::definition::{SegmentError, check};
use super::reactions::{TargetNames, named, settle};
use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::SegmentId;
use crate::domain::segments::Criteria;
use crate::domain::segments::reaction::{Reaction, check_marks};
use crate::domain::segments::stay::{EntryLimit, Mark, Rules};
use crate::domain::span::Span;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::segments::{self, Anew, NewSegment, SegmentRow};
use crate::store::{Conn, Lane, engine};

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default)]
pub struct SegmentChange {
    /// The new name.
    pub name: Option<String>,
    /// The new slug.
    pub slug: Option<String>,
    /// The new description.
    pub description: Option<String>,
    /// The new rule.
    pub criteria: Option<Criteria>,
    /// How long a member stays one at least.
    pub min_stay: Option<Option<Span>>,
    /// How long a member stays one at most.
    pub max_stay: Option<Option<Span>>,
    /// When a stay is reported.
    pub marks: Option<Vec<Mark>>,
    /// Which entries are reported.
    pub entries: Option<EntryLimit>,
    /// What is done when a contact enters, leaves or is still there.
    pub reactions: Option<Vec<Reaction>>,
    /// Whether it is kept up to date.
    pub enabled: Option<bool>,
}

impl SegmentChange {
    /// The fields that it sets, as clients name them.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let set = [
            ("name", self.name.is_some()),
            ("slug", self.slug.is_some()),
            ("description", self.description.is_some()),
            ("criteria", self.criteria.is_some()),
            ("min_dwell", self.min_stay.is_some()),
            ("max_dwell", self.max_stay.is_some()),
            ("dwell", self.marks.is_some()),
            ("entry_limit", self.entries.is_some()),
            ("reactions", self.reactions.is_some()),
            ("enabled", self.enabled.is_some()),
        ];
        set.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
    }
}

/// Changes a segment. Where its rule or its stays become other ones, or it is enabled, everybody is evaluated anew: entries are
/// not reported, leaves are.
///
/// # Errors
/// [`SegmentError`]; nothing has changed then.
pub async fn change_segment(
    services: &Services,
    id: SegmentId,
    change: SegmentChange,
    by: &By,
) -> Result<SegmentRow, SegmentError> {
    let (by, targets) = (by.clone(), TargetNames::of(&services.settings));
    let work = move |conn: &mut Conn| {
        segments::hold_definitions(conn)?;
        let before = segments::find(conn, id)?.ok_or(SegmentError::NotFound(id))?;
        let names = change.names();
        if let Some(criteria) = &change.criteria {
            check(conn, criteria, Some(id))?;
        }
        // One that cannot be read is another one.
        let stored = segments::criteria_of(conn, &[id])?.remove(&id).and_then(|stored| stored.given().ok());
        let old = before.rules()?;
        let enabled = change.enabled.unwrap_or(before.enabled);
        let is_enabled_now = enabled && !before.enabled;
        let mut rules = Rules {
            min_stay: change.min_stay.unwrap_or(old.min_stay),
            max_stay: change.max_stay.unwrap_or(old.max_stay),
            marks: change.marks.unwrap_or_else(|| old.marks.clone()),
            entries: change.entries.unwrap_or(old.entries),
            marks_since: old.marks_since,
        };
        rules.check().map_err(SegmentError::Rules)?;
        let known = before.reactions();
        let reactions = change.reactions.map(|given| settle(conn, given, &rules, &targets)).transpose()?;
        if let (None, Ok(known)) = (&reactions, &known) {
            check_marks(known, &rules.marks).map_err(SegmentError::Reactions)?;
        }
        let said = reactions.as_deref().map(|new| (named(known.as_deref().unwrap_or_default()), named(new)));
        let stays_differ = (rules.min_stay, rules.max_stay, &rules.marks) != (old.min_stay, old.max_stay, &old.marks);
        if rules.marks != old.marks || is_enabled_now {
            rules.marks_since = engine::now(conn)?;
        }
        let rule_differs = change.criteria.as_ref().is_some_and(|criteria| Some(criteria.given()) != stored.as_ref());
        let anew = if rule_differs || stays_differ || is_enabled_now { Anew::Yes } else { Anew::No };
        let new = NewSegment {
            name: change.name.unwrap_or_else(|| before.name.clone()),
            slug: change.slug,
            description: change.description.unwrap_or_else(|| before.description.clone()),
            criteria: change.criteria,
            rules,
            reactions,
            enabled,
        };
        let changed = segments::change(conn, &before, &new, anew)?.ok_or(SegmentError::NotFound(id))?;
        let line = Line::of(Action::Updated, Object::Segment, id);
        let line = match said {
            Some((before, now)) => line
                .before(json!({ "reactions": before }))
                .after(json!({ "fields": names, "enabled": changed.enabled, "reactions": now })),
            None => line.after(json!({ "fields": names, "enabled": changed.enabled })),
        };
        audit::write(conn, &by, line)?;
        Ok(changed)
    };
    services.store.transact(Lane::Write, "change a segment", work).await
}

/// Switches a segment on or off.
///
/// # Errors
/// [`SegmentError`]; nothing has changed then.
pub async fn switch_segment(
    services: &Services,
    id: SegmentId,
    enabled: bool,
    by: &By,
) -> Result<SegmentRow, SegmentError> {
    let change = SegmentChange { enabled: Some(enabled), ..SegmentChange::default() };
    change_segment(services, id, change, by).await
}
