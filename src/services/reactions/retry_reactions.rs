//! Reactions that failed are tried again.

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::ReactionId;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::reactions::over::{self, Retried};
use crate::store::{Conn, Lane, StoreError};

/// Tries a reaction again that failed.
///
/// # Errors
/// The database failed; nothing has changed then.
pub async fn retry(services: &Services, id: ReactionId, by: &By) -> Result<Retried, StoreError> {
    let by = by.clone();
    let work = move |conn: &mut Conn| {
        let retried = over::retry(conn, id)?;
        if retried == Retried::Again {
            audit::write(conn, &by, Line::of(Action::Retried, Object::Reaction, id))?;
        }
        Ok::<_, StoreError>(retried)
    };
    services.store.transact(Lane::Write, "try a reaction again", work).await
}

/// Tries all reactions again that failed, or the calls of a target, a part in each transaction. Those of segments that are switched off
/// stay. How many are tried again.
///
/// # Errors
/// The database failed. The parts before it are tried again.
pub async fn retry_all(services: &Services, target: Option<String>, by: &By) -> Result<usize, StoreError> {
    let (mut count, mut after) = (0, ReactionId(0));
    loop {
        let (target, by) = (target.clone(), by.clone());
        let work = move |conn: &mut Conn| {
            let (retried, last) = over::retry_some(conn, target.as_deref(), after)?;
            if retried > 0 {
                let after = json!({ "count": retried, "target": target });
                audit::write(conn, &by, Line::of(Action::Retried, Object::Reaction, "several").after(after))?;
            }
            Ok::<_, StoreError>((retried, last))
        };
        let (retried, last) = services.store.transact(Lane::Write, "try reactions again", work).await?;
        count += retried;
        match last {
            Some(last) => after = last,
            None => return Ok(count),
        }
    }
}
