//! Reactions that change tags, lists and events, and events of campaigns for those who hear of them: done a portion at a time. Every instance
//! does it; of several, each has other contacts, so that what is done to one contact is done in its order.

use std::collections::BTreeSet;
use std::error::Error;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};

use super::changes::{Changes, make};
use super::notices::{call, spread};
use super::targets::Targets;
use crate::domain::ids::{ContactId, ReactionId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::reactions::ReactionKind;
use crate::domain::segments::reaction::Todo;
use crate::store::people::refusals::RefusalBook;
use crate::store::reactions::{self, Due, Shard};
use crate::store::{Conn, Lane, Store, StoreError, engine};

/// The waits between the tries of what the database does not take, in milliseconds: an hour in all. After one more try it has failed.
const WAITS_MS: [i64; 8] = [1_000, 5_000, 30_000, 120_000, 300_000, 600_000, 900_000, 1_800_000];

/// What a failed one says.
const NOT_TAKEN: &str = "the database does not take what it does; the log of the instance says more";

/// After so many rounds in which somebody else held what a shard needs, its reactions are done one by one.
const MOST_ROUNDS_HELD_UP: u32 = 3;

/// How much one transaction does.
#[derive(Debug, Clone, Copy)]
struct Portion {
    /// How many it does at once.
    at_once: i64,
    /// How long it goes on with the next ones.
    within: Duration,
}

impl Portion {
    /// PostgreSQL: others write beside it.
    const MANY: Self = Self { at_once: 200, within: Duration::ZERO };

    /// SQLite: nobody else writes meanwhile.
    const LITTLE: Self = Self { at_once: 8, within: Duration::from_millis(6) };
}

/// What it takes to do a reaction.
#[derive(Clone)]
struct Means {
    book: RefusalBook,
    targets: Targets,
}

/// Does what is to be done in the database.
pub struct ChangeDesk {
    store: Store,
    means: Means,
    portion: Portion,
    from: Shard,
    /// For each shard, in how many rounds one after the other somebody else held what it needs.
    held_up: [u32; Shard::COUNT],
}

/// What one transaction came to.
#[derive(Debug, Default)]
struct Came {
    taken: usize,
    done: usize,
    /// Their segments are switched off.
    dropped: usize,
    /// Which could not be done, why, and whether they are not tried again.
    not_done: Vec<(ReactionId, String, bool)>,
}

impl ChangeDesk {
    /// A desk on this database. Refusals that lists bring along are filed in this book.
    #[must_use]
    pub fn new(store: Store, book: RefusalBook, targets: Targets) -> Self {
        let portion = if store.has_one_writer() { Portion::LITTLE } else { Portion::MANY };
        let means = Means { book, targets };
        Self { store, means, portion, from: Shard::default(), held_up: [0; Shard::COUNT] }
    }

    /// Does some of what is to be done. Whether there was anything.
    ///
    /// # Errors
    /// The database failed, or somebody else holds what is needed. Nothing was done; the next round begins with other contacts.
    pub async fn work(&mut self) -> Result<bool, StoreError> {
        if !self.store.run(Lane::Read, "look for reactions", reactions::is_any_due).await? {
            return Ok(false);
        }
        let (means, portion, from, held_up) = (self.means.clone(), self.portion, self.from, self.held_up);
        let work = move |conn: &mut Conn| {
            let mut at = None;
            let came = conn.write_along_indexes(|conn| {
                at = reactions::lock_one_with_work(conn, from)?;
                let Some(shard) = at else { return Ok(Came::default()) };
                let alone = held_up.get(shard.place()).is_some_and(|rounds| *rounds >= MOST_ROUNDS_HELD_UP);
                several(conn, shard, &means, portion, alone)
            });
            match came {
                Err(error) if !error.is_contention() => Err(error),
                came => Ok((at, came)),
            }
        };
        let (at, came) = self.store.run(Lane::Segments, "do reactions of segments", work).await?;
        if let Some(shard) = at {
            self.from = shard.next();
            if let Some(rounds) = self.held_up.get_mut(shard.place()) {
                *rounds = if came.is_err() { rounds.saturating_add(1) } else { 0 };
            }
        }
        let came = came?;
        came.count();
        Ok(came.taken > 0)
    }

    /// Shows how much waits.
    ///
    /// # Errors
    /// The database failed.
    pub async fn show(&self) -> Result<(), StoreError> {
        let counted = self.store.run(Lane::Read, "count reactions", reactions::count).await?;
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a gauge is a float")]
        let float = |count: i64| count as f64;
        gauge!("volley_reactions_waiting").set(float(counted.waiting));
        gauge!("volley_reactions_failed").set(float(counted.failed));
        gauge!("volley_reactions_oldest_seconds").set(float(counted.oldest_ms) / 1_000.0);
        Ok(())
    }
}

impl Came {
    fn and(mut self, next: Self) -> Self {
        self.taken += next.taken;
        self.done += next.done;
        self.dropped += next.dropped;
        self.not_done.extend(next.not_done);
        self
    }

    fn count(&self) {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        for (result, count) in [("done", self.done), ("dropped", self.dropped), ("failed", self.not_done.len())] {
            counter!("volley_reactions_total", "result" => result).increment(number(count));
        }
        for (id, error, is_over) in &self.not_done {
            if *is_over {
                tracing::error!(
                    event = "reaction.not_done",
                    reaction.id = id.0,
                    error,
                    "the database does not take what a reaction changes; GET /v1/reactions lists it, and it can be tried again by hand"
                );
            } else {
                tracing::warn!(
                    event = "reaction.put_off",
                    reaction.id = id.0,
                    error,
                    "the database does not take what a reaction changes now; it is tried again, and what else is to be done to the contact waits"
                );
            }
        }
    }
}

/// Does what is to be done in a shard, which is locked, a part after the other while its time lasts.
fn several(conn: &mut Conn, shard: Shard, means: &Means, portion: Portion, alone: bool) -> Result<Came, StoreError> {
    let (began, mut all) = (Instant::now(), Came::default());
    loop {
        let came = some(conn, shard, means, portion.at_once, alone)?;
        let is_full = i64::try_from(came.taken).is_ok_and(|taken| taken >= portion.at_once);
        all = all.and(came);
        if !is_full || began.elapsed() >= portion.within {
            return Ok(all);
        }
    }
}

/// Does up to `limit` of a shard. `alone`: each by itself, and what is held by somebody else is tried later.
fn some(conn: &mut Conn, shard: Shard, means: &Means, limit: i64, alone: bool) -> Result<Came, StoreError> {
    let now = engine::now(conn)?;
    let mut due = reactions::due(conn, shard, now, limit)?;
    let mut came = Came { taken: due.len(), ..Came::default() };
    if !alone {
        match conn.write(|conn| all(conn, means, &due, now)) {
            Ok((done, dropped)) => return Ok(Came { done, dropped, ..came }),
            Err(error) if error.is_outage() || error.is_contention() => return Err(error),
            Err(_) => {}
        }
    }
    // One that the database does not take keeps no other contact out. In the order of contacts, in which everybody locks them.
    due.sort_by_key(|row| row.contact_id);
    let mut put_off: BTreeSet<ContactId> = BTreeSet::new();
    for one in &due {
        if one.contact_id.is_some_and(|contact| put_off.contains(&contact)) {
            continue;
        }
        match conn.write(|conn| all(conn, means, std::slice::from_ref(one), now)) {
            Ok((done, dropped)) => {
                came.done += done;
                came.dropped += dropped;
            }
            Err(error) if error.is_outage() || (error.is_contention() && !alone) => return Err(error),
            Err(error) => {
                put_off.extend(one.contact_id);
                let is_over = reactions::fail(conn, one.id, NOT_TAKEN, &WAITS_MS)?;
                came.not_done.push((one.id, with_causes(&error), is_over));
            }
        }
    }
    Ok(came)
}

/// Does these, and removes them. How many were done, and how many dropped.
fn all(conn: &mut Conn, means: &Means, due: &[Due], now: UtcInstant) -> Result<(usize, usize), StoreError> {
    let (notices, others): (Vec<Due>, Vec<Due>) = due.iter().cloned().partition(|row| row.kind == ReactionKind::Notice);
    spread(conn, &notices, &means.targets, now)?;
    // Held: when a segment has been switched off, nothing of it is still being done.
    let segments: BTreeSet<SegmentId> = others.iter().filter_map(|row| row.segment_id).collect();
    let enabled = reactions::hold_enabled(conn, &segments)?;
    let (mut changes, mut calls) = (Vec::with_capacity(others.len()), Vec::new());
    for row in &others {
        let (Some(segment), Some(contact)) = (row.segment_id, row.contact_id) else { continue };
        if enabled.contains(&segment) {
            let Todo { actions, calls: targets, told } = todo(row)?;
            changes.push(Changes { segment, contact, at: row.at, depth: row.depth, actions });
            calls.push((row, targets, told));
        }
    }
    make(conn, &means.book, &changes, now)?;
    for (row, targets, told) in calls {
        call(conn, row, targets, &told.to_string(), now)?;
    }
    reactions::finish(conn, &due.iter().map(|row| row.id).collect::<Vec<_>>())?;
    let done = notices.len() + changes.len();
    Ok((done, due.len() - done))
}

fn todo(row: &Due) -> Result<Todo, StoreError> {
    serde_json::from_str(&row.content)
        .map_err(|error| StoreError::Corrupt { what: "a reaction", detail: error.to_string() })
}

/// An error and what it comes from.
fn with_causes(error: &StoreError) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
