//! How many people an audience names, before a campaign is made of it.

use std::sync::Arc;

use super::launch::{self, LaunchError};
use crate::domain::campaigns::audience::Audience;
use crate::domain::ids::ContactId;
use crate::domain::segments::estimate::{BLOCK, EXACT_UP_TO, Estimate, Found, blocks};
use crate::services::Services;
use crate::store::dispatch::counting;
use crate::store::segments::matching;
use crate::store::{Conn, Lane, engine};

/// Checks that what an audience names exists.
///
/// # Errors
/// It names something that does not exist, or the database failed.
pub async fn check(services: &Services, audience: Audience) -> Result<(), LaunchError> {
    let check = move |conn: &mut Conn| Ok(launch::check_audience(conn, &audience));
    services.store.run(Lane::Read, "look an audience up", check).await?
}

/// Counts an audience as it is now. With a filter all contacts are asked up to [`EXACT_UP_TO`] of them, else blocks of them.
///
/// # Errors
/// It names something that does not exist, or the database failed.
pub async fn count(services: &Services, audience: Audience) -> Result<Estimate, LaunchError> {
    let audience = Arc::new(audience);
    let asked = Arc::clone(&audience);
    let begin = move |conn: &mut Conn| {
        let checked = launch::check_audience(conn, &asked);
        Ok((checked, engine::now(conn)?, matching::base(conn)?))
    };
    let (checked, now, (contacts, highest)) = services.store.run(Lane::Read, "look an audience up", begin).await?;
    checked?;
    let stretch = |after: ContactId, up_to: ContactId, most: Option<i64>| {
        let audience = Arc::clone(&audience);
        let count = move |conn: &mut Conn| counting::count(conn, &audience, (after, up_to), most, now);
        services.store.run(Lane::Read, "count an audience", count)
    };
    let mut found = Found::default();
    if !audience.has_filter() {
        found.add(contacts, stretch(ContactId(0), highest, None).await?.named);
        return Ok(found.counted(contacts));
    }
    if contacts <= EXACT_UP_TO {
        let mut after = Some(ContactId(0));
        while let Some(begin) = after {
            let counted = stretch(begin, highest, Some(BLOCK)).await?;
            found.add(counted.looked_at, counted.named);
            after = counted.rest_after;
        }
        return Ok(found.counted(contacts));
    }
    let begins = blocks(highest.0);
    let ends = begins.iter().skip(1).copied().chain([highest.0]);
    for (begin, end) in begins.iter().zip(ends) {
        let counted = stretch(ContactId(*begin), ContactId(end), Some(BLOCK)).await?;
        found.add(counted.looked_at, counted.named);
    }
    Ok(found.estimated(contacts))
}
