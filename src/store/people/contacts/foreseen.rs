//! What an import would make of rows. Only reads, and locks nobody.

use std::collections::BTreeMap;

use super::batch::{IgnoredKey, wish_of};
use super::matched::{Matched, Several};
use crate::domain::ids::{ContactId, ListId};
use crate::domain::people::consent::Said;
use crate::domain::people::contact::ContactDraft;
use crate::domain::people::standing::{Grounds, Next, Standing, next};
use crate::store::people::dialect::{self, Hold};
use crate::store::people::{lists, standings};
use crate::store::{Conn, StoreError, engine};

/// The list that the contacts of rows would be on.
#[derive(Debug, Clone, Copy)]
pub struct Onto {
    /// None: one that is yet to be made.
    pub list: Option<ListId>,
    /// What their consent rests on.
    pub grounds: Grounds,
}

/// What would come of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreseen {
    /// The contact that it means; none: a new one.
    pub contact: Option<ContactId>,
    /// The row before it that means the same contact, where that is new.
    pub earlier: Option<usize>,
    /// Keys that are not taken over, because they belong to other contacts.
    pub ignored: Vec<IgnoredKey>,
    /// How the contact would stand on the list.
    pub standing: Option<Standing>,
    /// The contact has refused the list, and the row would not change that.
    pub stays_refused: bool,
}

/// Foresees what an import would make of these rows now, as [`super::apply`] would do it. What other contacts' addresses have refused is not
/// looked at: a new contact may take such a refusal over. `None`: there is no such list.
///
/// # Errors
/// A query failed.
pub fn foresee(
    conn: &mut Conn,
    drafts: &[ContactDraft],
    said: &[Said],
    onto: Option<Onto>,
) -> Result<Option<Vec<Foreseen>>, StoreError> {
    let double_opt_in = match onto.and_then(|onto| onto.list) {
        None => false,
        Some(list) => match lists::find(conn, list)? {
            Some(found) => found.list.double_opt_in,
            None => return Ok(None),
        },
    };
    let now = engine::now(conn)?;
    let stored = dialect::sharing_keys(conn, drafts, Hold::No)?;
    let ids: Vec<ContactId> = stored.iter().map(|row| row.id).collect();
    let mut standing: BTreeMap<usize, Standing> = BTreeMap::new();
    if let Some(list) = onto.and_then(|onto| onto.list) {
        for (on, contact, status) in standings::of_contacts(conn, &ids)? {
            let place = ids.iter().position(|id| *id == contact).filter(|_| on == list);
            standing.extend(place.map(|place| (place, status)));
        }
    }
    let mut matched = Matched::new(stored);
    let mut makers: BTreeMap<usize, usize> = BTreeMap::new();
    let mut all = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.iter().enumerate() {
        let Ok(taken) = matched.apply(draft, Several::StrongestDecides, now)? else { continue };
        let id = matched.people.get(taken.place).map(|person| person.row.id).filter(|id| id.0 != 0);
        let wish = onto.and_then(|onto| wish_of(said.get(index), onto.grounds));
        let foreseen = wish.map(|wish| next(standing.get(&taken.place).copied(), wish, double_opt_in));
        if let Some(Next::Becomes(after)) = foreseen {
            standing.insert(taken.place, after);
        }
        let ignored = taken.ignored.into_iter().filter_map(|(field, holder)| {
            let made_by = makers.get(&holder).copied().filter(|_| holder >= ids.len());
            Some(IgnoredKey { field, holder: matched.people.get(holder)?.row.id, made_by })
        });
        let ignored = ignored.collect();
        let maker = *makers.entry(taken.place).or_insert(index);
        all.push(Foreseen {
            contact: id,
            earlier: Some(maker).filter(|maker| id.is_none() && *maker != index),
            ignored,
            standing: standing.get(&taken.place).copied(),
            stays_refused: foreseen == Some(Next::StaysRefused),
        });
    }
    Ok(Some(all))
}
