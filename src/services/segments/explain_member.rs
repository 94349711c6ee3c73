//! Why a contact is a member of a segment, or is none.

use super::definition::SegmentError;
use crate::domain::ids::{ContactId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::segments::Criteria;
use crate::domain::segments::decide::{Decision, decide};
use crate::domain::segments::explain::{Explained, explain};
use crate::domain::segments::question::{Facts, Question};
use crate::store::segments::facts;
use crate::store::segments::members::{self, MemberRow};
use crate::store::{Conn, engine, segments};

/// What is known of a contact and a segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The database's clock.
    pub now: UtcInstant,
    /// Whether the contact is there.
    pub living: bool,
    /// What the rule says of it now.
    pub decision: Decision,
    /// Clause by clause. `None`: people decide who is a member, or the rule cannot be read, as the segment says.
    pub criteria: Option<Explained>,
    /// Its stay, where it is open.
    pub member: Option<MemberRow>,
    /// Whether the evaluation of everybody has yet to come to it.
    pub is_still_to_evaluate: bool,
}

/// Explains, from one look at the database.
///
/// # Errors
/// [`SegmentError`].
pub fn explain_member(conn: &mut Conn, id: SegmentId, contact: ContactId) -> Result<Explanation, SegmentError> {
    let segment = segments::find(conn, id)?.ok_or(SegmentError::NotFound(id))?;
    let stored = segments::criteria_of(conn, &[id])?.remove(&id);
    let criteria = stored.and_then(|stored| stored.given().ok()).and_then(|given| Criteria::read(given).ok());
    let now = engine::now(conn)?;
    let open = members::open_of(conn, &[contact])?;
    let question = Question::of(&criteria);
    let found = facts::of_contacts(conn, &question, &[contact])?.into_iter().next();
    let mut facts = found.unwrap_or_else(|| Facts { living: false, ..Facts::blank(contact, question) });
    facts.segments = open.iter().filter(|row| row.left_at.is_none()).map(|row| row.segment_id).collect();
    Ok(Explanation {
        now,
        living: facts.living,
        decision: criteria.as_ref().map_or(Decision::NO, |criteria| decide(criteria, &facts, now)),
        criteria: criteria.as_ref().map(|criteria| explain(criteria, &facts, now)),
        member: open.into_iter().find(|row| row.segment_id == id),
        is_still_to_evaluate: segment.is_still_to_evaluate(contact),
    })
}
