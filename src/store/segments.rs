//! Segments: their rules, who is a member, and what waits to be evaluated.

pub mod building;
mod dialect;
pub mod facts;
mod finding;
pub mod matching;
pub mod members;
pub mod names;
pub mod queue;
pub mod ranges;
pub mod transitions;

use diesel::prelude::*;

use crate::domain::ids::{ContactId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::segments::Criteria;
use crate::domain::segments::reaction::Reaction;
use crate::domain::segments::standing::{EntryLimitKind, SegmentKind, SegmentState};
use crate::domain::segments::stay::{EntryLimit, Mark, Rules};
use crate::domain::span::Span;
use crate::store::engine::dialect::conn::MultiBackend;
use crate::store::engine::schema::{segment_members, segment_transitions, segments};
use crate::store::{Conn, StoreError, engine};
pub use finding::{RESERVED_SLUGS, StoredCriteria, all, criteria, criteria_of, find, is_any_deleted, list, live};
use finding::{criteria_text, free_slug, refuse_taken, taken_or};
use queue::Shard;

/// A segment as stored, without its criteria.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = segments)]
pub struct SegmentRow {
    /// Its id.
    pub id: SegmentId,
    /// Unique.
    pub name: String,
    /// Stands wherever the id may; unique.
    pub slug: String,
    /// For operators.
    pub description: String,
    /// Who decides who is a member.
    pub kind: SegmentKind,
    /// Rises with every change that asks for another evaluation of everybody.
    pub version: i64,
    /// Whether it is kept up to date, and anything follows from it.
    pub enabled: bool,
    /// How far the evaluation of everybody has come.
    pub state: SegmentState,
    /// Up to which contact it has come.
    pub cursor_contact_id: ContactId,
    /// Up to which contact it goes. `None`: it has not begun.
    pub build_max_id: Option<ContactId>,
    /// Whether it is the first one.
    pub first_build: bool,
    /// How long a member stays one at least, in milliseconds.
    pub min_dwell_ms: Option<i64>,
    /// How long a member stays one at most, in milliseconds.
    pub max_dwell_ms: Option<i64>,
    /// After which times a member is said to be still there: JSON.
    pub dwell: String,
    /// Since when it says so.
    pub marks_since: UtcInstant,
    /// Which entries are reported.
    pub entry_limit: EntryLimitKind,
    /// How long after the contact last left, in milliseconds.
    pub entry_period_ms: Option<i64>,
    /// Why its criteria cannot be evaluated. It is passed over until then.
    pub problem: Option<String>,
    /// When it was created.
    pub created_at: UtcInstant,
    /// When something above changed last, but for the evaluation.
    pub updated_at: UtcInstant,
    /// What is done when a contact enters, leaves or is still there: JSON.
    pub reactions: String,
}

/// The reactions of a segment that has none.
const NONE: &str = "[]";

impl SegmentRow {
    /// Whether the evaluation of everybody will come to a contact, which is left to it until then.
    #[must_use]
    pub fn is_still_to_evaluate(&self, contact: ContactId) -> bool {
        self.state == SegmentState::Building
            && self.cursor_contact_id < contact
            && self.build_max_id.is_none_or(|last| contact <= last)
    }

    /// How much of all contacts is evaluated, by their ids, in thousandths. `None`: the evaluation of everybody has ended.
    #[must_use]
    pub fn progress(&self) -> Option<u16> {
        if self.state == SegmentState::Ready {
            return None;
        }
        let Some(ContactId(last)) = self.build_max_id.filter(|last| last.0 > 0) else { return Some(0) };
        let thousandths = self.cursor_contact_id.0.saturating_mul(1_000) / last;
        Some(u16::try_from(thousandths.clamp(0, 1_000)).unwrap_or_default())
    }

    /// What is done when a contact enters, leaves or is still there.
    ///
    /// # Errors
    /// What is stored is not readable.
    pub fn reactions(&self) -> Result<Vec<Reaction>, StoreError> {
        // Most segments have none, and all are read for each batch.
        if self.reactions == NONE {
            return Ok(Vec::new());
        }
        serde_json::from_str(&self.reactions)
            .map_err(|error| StoreError::Corrupt { what: "reactions of a segment", detail: error.to_string() })
    }

    /// What it says of stays.
    ///
    /// # Errors
    /// What is stored is not readable.
    pub fn rules(&self) -> Result<Rules, StoreError> {
        let corrupt = |detail: String| StoreError::Corrupt { what: "rules of a segment", detail };
        let marks: Vec<Mark> = serde_json::from_str(&self.dwell).map_err(|error| corrupt(error.to_string()))?;
        let entries = match (self.entry_limit, self.entry_period_ms) {
            (EntryLimitKind::Unlimited, _) => EntryLimit::Unlimited,
            (EntryLimitKind::Once, _) => EntryLimit::Once,
            (EntryLimitKind::OncePerPeriod, Some(ms)) => EntryLimit::OncePer(Span::from_ms(ms)),
            (EntryLimitKind::OncePerPeriod, None) => return Err(corrupt("a period is missing".to_owned())),
        };
        Ok(Rules {
            min_stay: self.min_dwell_ms.map(Span::from_ms),
            max_stay: self.max_dwell_ms.map(Span::from_ms),
            marks,
            entries,
            marks_since: self.marks_since,
        })
    }
}

/// A segment to create, or what one is to become.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSegment {
    /// Unique.
    pub name: String,
    /// Stands wherever the id may; unique. `None`: made of the name.
    pub slug: Option<String>,
    /// For operators.
    pub description: String,
    /// Its rule. `None`: people decide who is a member.
    pub criteria: Option<Criteria>,
    /// What it says of stays.
    pub rules: Rules,
    /// What is done when a contact enters, leaves or is still there. `None`: as before; of a new one, nothing.
    pub reactions: Option<Vec<Reaction>>,
    /// Whether it is kept up to date from now on.
    pub enabled: bool,
}

/// [`Rules`] as they are stored.
struct StoredRules {
    dwell: String,
    limit: EntryLimitKind,
    period: Option<i64>,
}

impl StoredRules {
    fn of(rules: &Rules) -> Result<Self, StoreError> {
        let unwritable =
            |error: serde_json::Error| StoreError::Corrupt { what: "rules of a segment", detail: error.to_string() };
        let (limit, period) = match rules.entries {
            EntryLimit::Unlimited => (EntryLimitKind::Unlimited, None),
            EntryLimit::Once => (EntryLimitKind::Once, None),
            EntryLimit::OncePer(span) => (EntryLimitKind::OncePerPeriod, Some(span.as_ms())),
        };
        Ok(Self { dwell: serde_json::to_string(&rules.marks).map_err(unwritable)?, limit, period })
    }
}

fn reactions_text(reactions: Option<&Vec<Reaction>>) -> Result<Option<String>, StoreError> {
    reactions
        .map(serde_json::to_string)
        .transpose()
        .map_err(|error| StoreError::Corrupt { what: "reactions of a segment", detail: error.to_string() })
}

/// Makes other changes of what segments there are, and of their rules, wait until the transaction ends.
///
/// # Errors
/// The query failed.
pub fn hold_definitions(conn: &mut Conn) -> Result<(), StoreError> {
    queue::lock(conn, Shard(0))
}

/// Creates a segment. The definitions are held.
///
/// # Errors
/// [`StoreError::Taken`] when another segment has the name or the slug, or a query failed.
pub fn create(conn: &mut Conn, new: &NewSegment) -> Result<SegmentRow, StoreError> {
    refuse_taken(conn, &new.name, new.slug.as_deref(), None)?;
    let now = engine::now(conn)?;
    let slug = match &new.slug {
        Some(slug) => slug.clone(),
        None => free_slug(conn, &new.name)?,
    };
    let stored = StoredRules::of(&new.rules)?;
    let reactions = reactions_text(new.reactions.as_ref())?.unwrap_or_else(|| NONE.to_owned());
    let kind = if new.criteria.is_some() { SegmentKind::Live } else { SegmentKind::Manual };
    let state = if new.criteria.is_some() { SegmentState::Building } else { SegmentState::Ready };
    diesel::insert_into(segments::table)
        .values((
            (segments::name.eq(&new.name), segments::slug.eq(slug), segments::description.eq(&new.description)),
            (segments::kind.eq(kind), segments::criteria.eq(criteria_text(new.criteria.as_ref()))),
            (segments::version.eq(1), segments::enabled.eq(new.enabled), segments::state.eq(state)),
            (segments::cursor_contact_id.eq(ContactId(0)), segments::first_build.eq(true)),
            (
                segments::min_dwell_ms.eq(new.rules.min_stay.map(Span::as_ms)),
                segments::max_dwell_ms.eq(new.rules.max_stay.map(Span::as_ms)),
                segments::dwell.eq(stored.dwell),
                segments::marks_since.eq(now),
                segments::entry_limit.eq(stored.limit),
                segments::entry_period_ms.eq(stored.period),
            ),
            (segments::created_at.eq(now), segments::updated_at.eq(now), segments::reactions.eq(reactions)),
        ))
        .returning(<SegmentRow as Selectable<MultiBackend>>::construct_selection())
        .get_result(conn)
        .map_err(taken_or("create a segment"))
}

/// Whether everybody is evaluated anew after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anew {
    /// Yes: who is a member, or when something is told, may be different.
    Yes,
    /// No.
    No,
}

/// Makes a segment what `new` says; without criteria, its own stay. The definitions are held. `None`: there is no such segment.
///
/// # Errors
/// [`StoreError::Taken`] when another segment has the name or the slug, or a query failed.
pub fn change(
    conn: &mut Conn,
    before: &SegmentRow,
    new: &NewSegment,
    anew: Anew,
) -> Result<Option<SegmentRow>, StoreError> {
    refuse_taken(conn, &new.name, new.slug.as_deref(), Some(before.id))?;
    let now = engine::now(conn)?;
    let stored = StoredRules::of(&new.rules)?;
    diesel::update(segments::table.filter(segments::id.eq(before.id).and(segments::deleted_at.is_null())))
        .set((
            (
                segments::name.eq(&new.name),
                segments::slug.eq(new.slug.as_ref().unwrap_or(&before.slug)),
                segments::description.eq(&new.description),
                new.criteria.as_ref().map(|criteria| segments::criteria.eq(criteria_text(Some(criteria)))),
                segments::enabled.eq(new.enabled),
            ),
            (
                segments::min_dwell_ms.eq(new.rules.min_stay.map(Span::as_ms)),
                segments::max_dwell_ms.eq(new.rules.max_stay.map(Span::as_ms)),
                segments::dwell.eq(stored.dwell),
                segments::marks_since.eq(new.rules.marks_since),
                segments::entry_limit.eq(stored.limit),
                segments::entry_period_ms.eq(stored.period),
            ),
            (
                segments::updated_at.eq(now),
                reactions_text(new.reactions.as_ref())?.map(|text| segments::reactions.eq(text)),
            ),
        ))
        .execute(conn)
        .map_err(taken_or("change a segment"))?;
    if anew == Anew::Yes {
        restart(conn, before.id)?;
    }
    find(conn, before.id)
}

/// Begins the evaluation of everybody anew. Whether the segment is there and has criteria.
///
/// # Errors
/// The query failed.
pub fn restart(conn: &mut Conn, id: SegmentId) -> Result<bool, StoreError> {
    diesel::update(segments::table.filter(segments::id.eq(id).and(segments::deleted_at.is_null())))
        .filter(segments::kind.eq(SegmentKind::Live))
        .set((
            segments::version.eq(segments::version + 1),
            segments::state.eq(SegmentState::Building),
            segments::cursor_contact_id.eq(ContactId(0)),
            segments::build_max_id.eq(None::<ContactId>),
            segments::problem.eq(None::<String>),
        ))
        .execute(conn)
        .map(|changed| changed == 1)
        .map_err(StoreError::query("evaluate everybody anew"))
}

/// Notes why the criteria of a segment cannot be evaluated.
///
/// # Errors
/// The query failed.
pub fn note_problem(conn: &mut Conn, id: SegmentId, version: i64, problem: &str) -> Result<(), StoreError> {
    diesel::update(segments::table.filter(segments::id.eq(id).and(segments::version.eq(version))))
        .set(segments::problem.eq(problem))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("note the problem of a segment"))
}

/// How many segments that are to be kept up to date cannot be evaluated.
///
/// # Errors
/// The query failed.
pub fn not_evaluated(conn: &mut Conn) -> Result<i64, StoreError> {
    segments::table
        .filter(segments::problem.is_not_null().and(segments::enabled.eq(true)).and(segments::deleted_at.is_null()))
        .count()
        .get_result(conn)
        .map_err(StoreError::query("count segments that cannot be evaluated"))
}

/// A segment that is to be kept up to date, and cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Unevaluated {
    /// Which one.
    pub id: SegmentId,
    /// What it is called.
    pub name: String,
    /// Why.
    pub problem: String,
}

/// The newest segments that are to be kept up to date and cannot be evaluated, so many at most.
///
/// # Errors
/// The query failed.
pub fn unevaluated(conn: &mut Conn, most: i64) -> Result<Vec<Unevaluated>, StoreError> {
    segments::table
        .filter(segments::enabled.eq(true).and(segments::deleted_at.is_null()))
        .filter(segments::problem.is_not_null())
        .order(segments::id.desc())
        .limit(most)
        .select((segments::id, segments::name, segments::problem.assume_not_null()))
        .load(conn)
        .map_err(StoreError::query("look for segments that cannot be evaluated"))
}

/// Deletes a segment. Its members go later, in portions. The definitions are held. Whether it was there.
///
/// # Errors
/// The query failed.
pub fn delete(conn: &mut Conn, id: SegmentId) -> Result<bool, StoreError> {
    let now = engine::now(conn)?;
    diesel::update(segments::table.filter(segments::id.eq(id).and(segments::deleted_at.is_null())))
        .set((segments::deleted_at.eq(now), segments::enabled.eq(false)))
        .execute(conn)
        .map(|changed| changed == 1)
        .map_err(StoreError::query("delete a segment"))
}

/// How many rows of a deleted segment go in one transaction.
const PORTION: i64 = 500;

/// Removes a portion of what deleted segments have left. Whether there may be more. Belongs in a write transaction.
///
/// # Errors
/// A query failed.
pub fn sweep(conn: &mut Conn) -> Result<bool, StoreError> {
    let deleted: Option<SegmentId> = segments::table
        .filter(segments::deleted_at.is_not_null())
        .order(segments::id)
        .select(segments::id)
        .first(conn)
        .optional()
        .map_err(StoreError::query("look for deleted segments"))?;
    let Some(id) = deleted else { return Ok(false) };
    if dialect::members::sweep(conn, id, PORTION)? {
        return Ok(true);
    }
    // Who had read the segment before it was deleted may have added some.
    queue::lock_all(conn)?;
    diesel::delete(segment_members::table.filter(segment_members::segment_id.eq(id)))
        .execute(conn)
        .map_err(StoreError::query("remove a deleted segment"))?;
    diesel::delete(segment_transitions::table.filter(segment_transitions::segment_id.eq(id)))
        .execute(conn)
        .map_err(StoreError::query("remove a deleted segment"))?;
    diesel::delete(segments::table.find(id))
        .execute(conn)
        .map(|gone| gone > 0)
        .map_err(StoreError::query("remove a deleted segment"))
}
