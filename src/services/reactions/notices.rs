//! Calls that are added when something else is done: events of campaigns become calls of the targets that hear of them, and the calls of a
//! segment follow its changes.

use std::collections::BTreeSet;

use super::KNOWN_FOR_MS;
use super::targets::Targets;
use crate::domain::instant::UtcInstant;
use crate::domain::reactions::ReactionKind;
use crate::store::reactions::known_targets;
use crate::store::reactions::{self, Due, NewReaction};
use crate::store::{Conn, StoreError};

/// Adds a call of each target that hears of it: those of this instance, and those that others have had lately. Belongs in the transaction
/// that removes the notices.
pub(super) fn spread(conn: &mut Conn, notices: &[Due], targets: &Targets, now: UtcInstant) -> Result<(), StoreError> {
    for notice in notices {
        let mut hearing = known_targets::hearing(conn, &notice.event, now.plus_ms(-KNOWN_FOR_MS))?;
        hearing.extend(targets.hearing(&notice.event));
        call(conn, notice, hearing, &notice.content, now)?;
    }
    Ok(())
}

/// Adds a call of each of these targets. Belongs in the transaction that removes what they follow from.
pub(super) fn call(
    conn: &mut Conn,
    from: &Due,
    targets: BTreeSet<String>,
    content: &str,
    now: UtcInstant,
) -> Result<(), StoreError> {
    let call = |target| NewReaction {
        kind: ReactionKind::Call,
        segment: from.segment_id,
        contact: from.contact_id,
        campaign: from.campaign_id,
        key: from.key.clone(),
        event: from.event.clone(),
        at: from.at,
        depth: from.depth,
        target: Some(target),
        content: content.to_owned(),
        refused: None,
    };
    reactions::add(conn, &targets.into_iter().map(call).collect::<Vec<_>>(), now)
}
