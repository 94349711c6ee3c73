//! The targets that instances have in their settings, and which events of campaigns those hear of. Settings change one instance after the
//! other: no instance goes by its own ones alone.

use std::collections::BTreeSet;

use diesel::prelude::*;

use super::dialect;
use crate::domain::instant::UtcInstant;
use crate::domain::reactions::CampaignNews;
use crate::store::engine::schema::known_targets;
use crate::store::{Conn, StoreError, engine};

/// Stands for the target itself.
const ITSELF: &str = "";

/// Says which targets an instance has, in the order of their names, and what those hear of.
///
/// # Errors
/// A query failed.
pub fn say(conn: &mut Conn, targets: &[(String, Vec<CampaignNews>)]) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    for (name, events) in targets {
        dialect::say_target(conn, name, ITSELF, now)?;
        let events: BTreeSet<&str> = events.iter().map(|event| event.as_str()).collect();
        events.into_iter().try_for_each(|event| dialect::say_target(conn, name, event, now))?;
    }
    Ok(())
}

/// The targets that hear of an event, by what instances have said since `since`.
///
/// # Errors
/// The query failed.
pub fn hearing(conn: &mut Conn, event: &str, since: UtcInstant) -> Result<BTreeSet<String>, StoreError> {
    known_targets::table
        .filter(known_targets::event.eq(event).and(known_targets::seen_at.ge(since)))
        .select(known_targets::name)
        .load(conn)
        .map(|found: Vec<String>| found.into_iter().collect())
        .map_err(StoreError::query("look for targets that hear of an event"))
}
