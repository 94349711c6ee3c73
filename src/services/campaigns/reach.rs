//! How many of the people that an audience names a channel reaches, and a few of them, before a campaign is launched.

use std::sync::Arc;

use crate::domain::campaigns::audience::Audience;
use crate::domain::campaigns::reach::Reach;
use crate::domain::ids::ContactId;
use crate::services::Services;
use crate::store::dispatch::preflight::{Fate, Ground, Question, stretch};
use crate::store::{Conn, Lane, StoreError};

/// Most stretches that are looked at.
pub const MOST_STRETCHES: usize = 10;

/// How many people are in a stretch, and how many while a campaign is being sent, which goes first.
const AT_ONCE: i64 = 2_000;
const AT_ONCE_BESIDE: i64 = 500;

/// Looks at the first people of an audience, at most so many stretches of them. Each stretch is a read of its own.
///
/// # Errors
/// The database failed.
pub async fn reach(
    services: &Services,
    audience: Audience,
    question: Question,
    stretches: usize,
) -> Result<Reach, StoreError> {
    let begin = move |conn: &mut Conn| Ground::of(conn, &audience, &question);
    let ground = Arc::new(services.store.run(Lane::Read, "look an audience up", begin).await?);
    let mut found = Reach::default();
    let (mut after, mut size) = (ContactId(0), AT_ONCE_BESIDE);
    for _ in 0..stretches {
        let ground = Arc::clone(&ground);
        let look = move |conn: &mut Conn| stretch(conn, &ground, after, size);
        let next = services.store.run(Lane::Read, "look at the people of an audience", look).await?;
        found.looked_at += next.named;
        found.excluded += next.excluded;
        for (contact, fate) in &next.recipients {
            match fate {
                Fate::Reached(_) => found.reach(*contact),
                Fate::Skipped(reason) => found.skip(reason.as_str()),
                Fate::Unreadable(_) => found.skip("unreadable"),
            }
        }
        if next.is_end {
            found.complete = true;
            break;
        }
        size = if next.is_sending { AT_ONCE_BESIDE } else { AT_ONCE };
        after = next.up_to;
    }
    Ok(found)
}
