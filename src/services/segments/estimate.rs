//! How many contacts criteria take, and a few of them, before anything is saved.

use std::sync::Arc;

use crate::domain::ids::ContactId;
use crate::domain::segments::Criteria;
use crate::domain::segments::estimate::{BLOCK, EXACT_UP_TO, Estimate, Found, blocks};
use crate::services::Services;
use crate::store::segments::matching;
use crate::store::{Conn, Lane, StoreError, engine};

/// The most contacts in the sample.
pub const SAMPLE: usize = 10;

/// An estimate, with some of those who are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimated {
    /// How many.
    pub estimate: Estimate,
    /// The first of them that were found, at most [`SAMPLE`].
    pub sample: Vec<ContactId>,
}

/// Counts the contacts that criteria take: all of them up to [`EXACT_UP_TO`] contacts, else blocks of them.
///
/// # Errors
/// The database failed.
pub async fn estimate(services: &Services, criteria: Criteria) -> Result<Estimated, StoreError> {
    let criteria = Arc::new(criteria);
    let begin = |conn: &mut Conn| Ok((engine::now(conn)?, matching::base(conn)?));
    let (now, (contacts, highest)) = services.store.run(Lane::Read, "count contacts", begin).await?;
    let (mut found, mut sample) = (Found::default(), Vec::new());
    let mut look = async |after: ContactId, up_to: ContactId| {
        let criteria = Arc::clone(&criteria);
        // A read of its own: no connection is kept for the whole count.
        let read = move |conn: &mut Conn| matching::block(conn, &criteria, after, up_to, BLOCK, now);
        let block = services.store.run(Lane::Read, "count who criteria take", read).await?;
        found.add(block.looked_at, i64::try_from(block.taken.len()).unwrap_or(i64::MAX));
        sample.extend(block.taken.into_iter().take(SAMPLE.saturating_sub(sample.len())));
        Ok::<_, StoreError>(block.last)
    };
    if contacts <= EXACT_UP_TO {
        let mut after = ContactId(0);
        while let Some(last) = look(after, highest).await? {
            after = last;
        }
        return Ok(Estimated { estimate: found.counted(contacts), sample });
    }
    let begins = blocks(highest.0);
    let ends = begins.iter().skip(1).copied().chain([highest.0]);
    for (begin, end) in begins.iter().zip(ends) {
        look(ContactId(*begin), ContactId(end)).await?;
    }
    Ok(Estimated { estimate: found.estimated(contacts), sample })
}
