//! Which attributes contacts have, and how many of them: counted where contacts are few, else in a sample.

use std::collections::BTreeMap;

use crate::domain::ids::ContactId;
use crate::domain::segments::estimate::blocks;
use crate::services::Services;
use crate::store::people::{attributes, contact_filter};
use crate::store::{Conn, Lane, StoreError};

/// Up to so many contacts, all of them are looked at.
pub const ALL_UP_TO: i64 = 10_000;

/// Contacts of one read.
const AT_ONCE: i64 = 1_000;

/// Contacts of each of the hundred blocks of a sample.
const OF_A_BLOCK: i64 = 100;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// How many contacts were looked at, at most [`ALL_UP_TO`].
    pub looked_at: i64,
    /// Whether these are all contacts. Else they are blocks that lie evenly over the ids.
    pub complete: bool,
    /// Of each name that any contact has ever had, how many of these contacts have it.
    pub names: BTreeMap<String, i64>,
}

impl Coverage {
    fn add(&mut self, block: attributes::Block) {
        self.looked_at += block.looked_at;
        for (name, count) in block.names {
            *self.names.entry(name).or_default() += count;
        }
    }
}

/// Looks at contacts: at all of them up to [`ALL_UP_TO`], else at as many in a hundred blocks.
///
/// # Errors
/// The database failed.
pub async fn coverage(services: &Services) -> Result<Coverage, StoreError> {
    let begin = |conn: &mut Conn| Ok((contact_filter::newest(conn)?, attributes::known(conn)?));
    let (highest, known) = services.store.run(Lane::Read, "read attribute names", begin).await?;
    let nothing = || Coverage { names: known.iter().map(|name| (name.clone(), 0)).collect(), ..Coverage::default() };
    // A read of its own each: no connection is kept for all of them.
    let look = async |after: ContactId, up_to: ContactId, limit: i64| {
        let read = move |conn: &mut Conn| attributes::block(conn, after, up_to, limit);
        services.store.run(Lane::Read, "count attributes", read).await
    };
    let (mut found, mut after) = (nothing(), ContactId(0));
    while found.looked_at < ALL_UP_TO {
        let block = look(after, highest, AT_ONCE).await?;
        let (looked_at, last) = (block.looked_at, block.last);
        found.add(block);
        match last {
            Some(last) if looked_at == AT_ONCE => after = last,
            Some(_) | None => return Ok(Coverage { complete: true, ..found }),
        }
    }
    if look(after, highest, 1).await?.looked_at == 0 {
        return Ok(Coverage { complete: true, ..found });
    }
    let begins = blocks(highest.0);
    let ends = begins.iter().skip(1).copied().chain([highest.0]);
    let mut sample = nothing();
    for (begin, end) in begins.iter().zip(ends) {
        sample.add(look(ContactId(*begin), ContactId(end), OF_A_BLOCK).await?);
    }
    Ok(sample)
}
