//! Which contacts criteria take, block by block.

use diesel::prelude::*;

use super::facts;
use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::domain::segments::Criteria;
use crate::domain::segments::decide::{decide, glance};
use crate::domain::segments::question::Question;
use crate::store::engine::schema::contacts;
use crate::store::{Conn, StoreError, engine};

/// Those of `ids` that criteria take, in the order of their ids. What costs little is asked first: events only of contacts whose
/// answer they can change.
///
/// # Errors
/// A query failed.
pub fn taken(
    conn: &mut Conn,
    criteria: &Criteria,
    ids: &[ContactId],
    now: UtcInstant,
) -> Result<Vec<ContactId>, StoreError> {
    let question = Question::of([criteria]);
    if !question.is_worth_a_glance() {
        let all = facts::of_contacts(conn, &question, ids)?;
        return Ok(all
            .iter()
            .filter(|facts| decide(criteria, facts, now).matches)
            .map(|facts| facts.contact)
            .collect());
    }
    let (mut taken, mut open) = (Vec::new(), Vec::new());
    for facts in facts::of_contacts(conn, &question.without_events(), ids)? {
        match glance(criteria, &facts, now) {
            Some(decision) if decision.matches => taken.push(facts.contact),
            Some(_) => {}
            None => open.push(facts.contact),
        }
    }
    let asked = facts::of_contacts(conn, &question, &open)?;
    taken.extend(asked.iter().filter(|facts| decide(criteria, facts, now).matches).map(|facts| facts.contact));
    taken.sort_unstable();
    Ok(taken)
}

/// Living contacts of a stretch of ids, in order, at most so many: those above `after`, up to `up_to`.
///
/// # Errors
/// The query failed.
pub fn living(conn: &mut Conn, after: ContactId, up_to: ContactId, most: i64) -> Result<Vec<ContactId>, StoreError> {
    contacts::table
        .filter(contacts::id.gt(after.0).and(contacts::id.le(up_to.0)).and(contacts::deleted_at.is_null()))
        .order(contacts::id)
        .limit(most)
        .select(contacts::id)
        .load(conn)
        .map(|ids: Vec<i64>| ids.into_iter().map(ContactId).collect())
        .map_err(StoreError::query("walk through contacts"))
}

/// What was found in a block of contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// How many living contacts were looked at.
    pub looked_at: i64,
    /// Those of them that are taken, in the order of their ids.
    pub taken: Vec<ContactId>,
    /// The last one that was looked at. `None`: there was none.
    pub last: Option<ContactId>,
}

/// Looks at the first living contacts of a stretch of ids, at most so many.
///
/// # Errors
/// A query failed.
pub fn block(
    conn: &mut Conn,
    criteria: &Criteria,
    after: ContactId,
    up_to: ContactId,
    most: i64,
    now: UtcInstant,
) -> Result<Block, StoreError> {
    conn.snapshot(|conn| {
        engine::keep_to_indexes(conn)?;
        let ids = living(conn, after, up_to, most)?;
        let taken = taken(conn, criteria, &ids, now)?;
        Ok(Block { looked_at: i64::try_from(ids.len()).unwrap_or(i64::MAX), taken, last: ids.last().copied() })
    })
}

/// How many contacts there are: living ones, and the highest id of all.
///
/// # Errors
/// A query failed.
pub fn base(conn: &mut Conn) -> Result<(i64, ContactId), StoreError> {
    let count = |conn: &mut Conn, deleted: bool| -> Result<i64, StoreError> {
        let counted = match deleted {
            false => contacts::table.count().get_result(conn),
            // Few rows of an index of their own.
            true => contacts::table.filter(contacts::deleted_at.is_not_null()).count().get_result(conn),
        };
        counted.map_err(StoreError::query("count contacts"))
    };
    let living = count(conn, false)? - count(conn, true)?;
    let highest: Option<i64> = contacts::table
        .select(diesel::dsl::max(contacts::id))
        .first(conn)
        .map_err(StoreError::query("find the highest contact"))?;
    Ok((living, ContactId(highest.unwrap_or_default())))
}
