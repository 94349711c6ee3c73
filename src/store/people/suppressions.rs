//! Addresses that are not written to.
//!
//! One row for each address, channel and topic, with an instant for each reason. Each reason is set and lifted by itself, so that a
//! soft bounce that ends cannot take a refusal along. Rows go only when every reason of theirs is lifted; a refusal stays for as
//! long as the person does not take it back, so that the table grows with the people who refused. Side rows: written after the
//! contacts are held.

pub mod listing;

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::prelude::*;

use super::consent::Ledger;
use super::consent_line::Line;
pub use super::suppression_row::SuppressionRow;
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Act, EVERYTHING, Reason, channels_held_by};
use crate::store::engine::schema::{blocked_domains, suppressions};
use crate::store::people::dialect::{self, Hold};
use crate::store::{Conn, StoreError};

/// Whose row it is.
pub type Key = (String, ChannelKind, ListId);

/// A reason that an address gets.
#[derive(Clone)]
pub struct Entry {
    /// In the form that contacts hold it in.
    pub address: String,
    /// The channel.
    pub channel: ChannelKind,
    /// The list that is refused, or [`EVERYTHING`].
    pub topic: ListId,
    /// Why.
    pub reason: Reason,
    /// Since when; of a soft bounce: until when; of a stop: when it was last said.
    pub at: UtcInstant,
    /// The contact that the address belongs to, for the log.
    pub contact: Option<ContactId>,
    /// What it comes from, where that is not what the whole decision comes from.
    pub act: Option<Arc<Act>>,
    /// Whether it is said now, and not only carried to this address: a refusal is then filed.
    pub is_said: bool,
}

/// Where the last change of what is held against an address came from, whatever the topic.
///
/// # Errors
/// The query failed.
pub fn source_of(conn: &mut Conn, address: &str, channel: ChannelKind) -> Result<Option<String>, StoreError> {
    suppressions::table
        .find((address, channel, EVERYTHING))
        .select(suppressions::source)
        .first::<Option<String>>(conn)
        .optional()
        .map(Option::flatten)
        .map_err(StoreError::query("read a suppression"))
}

/// Sets reasons on each address and its channel, and on channel `http`, which uses the addresses of the others. Reasons that are
/// there stay as they are, unless they [move on](Reason::moves_on). How many of the entries changed something.
///
/// # Errors
/// A query failed.
pub fn set(conn: &mut Conn, ledger: &mut Ledger<'_>, entries: &[Entry]) -> Result<usize, StoreError> {
    let known = read(conn, entries.iter().map(|entry| entry.address.as_str()), Hold::Yes)?;
    set_on(conn, ledger, known, entries)
}

/// [`set`], where every suppression of these addresses is held.
///
/// # Errors
/// A query failed.
pub fn set_on(
    conn: &mut Conn,
    ledger: &mut Ledger<'_>,
    known: Vec<SuppressionRow>,
    entries: &[Entry],
) -> Result<usize, StoreError> {
    let mut known = by_key(known);
    let mut changed: BTreeMap<(String, &'static str, ListId), SuppressionRow> = BTreeMap::new();
    let mut count = 0;
    let now = ledger.now(conn)?;
    for entry in entries {
        let mut is_new = false;
        for channel in channels_held_by(entry.channel) {
            let key = (entry.address.clone(), channel.as_str(), entry.topic);
            let row = known.entry(key.clone()).or_insert_with(|| SuppressionRow {
                address: entry.address.clone(),
                channel: *channel,
                topic: entry.topic,
                unsubscribed_at: None,
                stopped_at: None,
                complained_at: None,
                bounced_at: None,
                soft_until: None,
                blocked_at: None,
                source: None,
                created_at: now,
                updated_at: now,
            });
            let before = row.get(entry.reason);
            if before.is_some() && (!entry.reason.moves_on() || before >= Some(entry.at)) {
                continue;
            }
            row.set(entry.reason, Some(entry.at));
            row.source = Some(entry.act.as_ref().map_or(ledger.source(), |act| &act.source).as_str().to_owned());
            row.updated_at = now;
            changed.insert(key, row.clone());
            if *channel == entry.channel {
                is_new = true;
                let line = Line {
                    contact: entry.contact,
                    list: Some(entry.topic).filter(|topic| *topic != EVERYTHING),
                    channel: Some(channel.as_str()),
                    after: Some(entry.reason.as_str()),
                    address: Some(entry.address.clone()),
                    ..ledger.line(entry.act.as_ref())
                };
                if entry.is_said && entry.reason.is_refusal() {
                    ledger.refusal(line, entry.reason, &[(entry.channel, entry.address.clone())]);
                } else {
                    ledger.suppression(line);
                }
            }
        }
        count += usize::from(is_new);
    }
    let rows: Vec<SuppressionRow> = changed.into_values().collect();
    dialect::suppressions::add(conn, &rows)?;
    Ok(count)
}

/// Lifts a reason of addresses on a topic, on the channels given and on channel `http` with them. The others stay. How many rows
/// had it.
///
/// # Errors
/// A query failed.
pub fn lift(
    conn: &mut Conn,
    ledger: &mut Ledger<'_>,
    addresses: &[(ChannelKind, String)],
    topic: ListId,
    reason: Reason,
    contact: Option<ContactId>,
) -> Result<usize, StoreError> {
    // A refusal that is said while another one is lifted waits for it, and is not taken for said already.
    let known = by_key(hold_of_addresses(conn, addresses)?);
    let now = ledger.now(conn)?;
    let mut count = 0;
    for (channel, address) in addresses {
        for held in channels_held_by(*channel) {
            let Some(row) = known.get(&(address.clone(), held.as_str(), topic)) else { continue };
            if row.get(reason).is_none() {
                continue;
            }
            let mut left = row.clone();
            left.set(reason, None);
            let this = suppressions::table.find((address, *held, topic));
            if left.reasons().is_empty() {
                diesel::delete(this).execute(conn)
            } else {
                diesel::update(this)
                    .set((
                        suppressions::unsubscribed_at.eq(left.unsubscribed_at),
                        suppressions::stopped_at.eq(left.stopped_at),
                        suppressions::complained_at.eq(left.complained_at),
                        suppressions::bounced_at.eq(left.bounced_at),
                        suppressions::soft_until.eq(left.soft_until),
                        suppressions::blocked_at.eq(left.blocked_at),
                        suppressions::source.eq(ledger.source().as_str()),
                        suppressions::updated_at.eq(now),
                    ))
                    .execute(conn)
            }
            .map_err(StoreError::query("lift a suppression"))?;
            if held == channel {
                count += 1;
                ledger.suppression(Line {
                    contact,
                    list: Some(topic).filter(|topic| *topic != EVERYTHING),
                    channel: Some(held.as_str()),
                    before: Some(reason.as_str()),
                    address: Some(address.clone()),
                    ..ledger.line(None)
                });
            }
        }
    }
    Ok(count)
}

fn by_key(rows: Vec<SuppressionRow>) -> BTreeMap<(String, &'static str, ListId), SuppressionRow> {
    rows.into_iter().map(|row| ((row.address.clone(), row.channel.as_str(), row.topic), row)).collect()
}

/// Every suppression of these addresses.
///
/// # Errors
/// The query failed.
pub fn of_addresses(conn: &mut Conn, addresses: &[(ChannelKind, String)]) -> Result<Vec<SuppressionRow>, StoreError> {
    read(conn, addresses.iter().map(|(_, address)| address.as_str()), Hold::No)
}

/// Every suppression of these addresses, locked: who decides by them what to write.
///
/// # Errors
/// The query failed.
pub fn hold_of_addresses(
    conn: &mut Conn,
    addresses: &[(ChannelKind, String)],
) -> Result<Vec<SuppressionRow>, StoreError> {
    read(conn, addresses.iter().map(|(_, address)| address.as_str()), Hold::Yes)
}

fn read<'a>(
    conn: &mut Conn,
    addresses: impl Iterator<Item = &'a str>,
    hold: Hold,
) -> Result<Vec<SuppressionRow>, StoreError> {
    let mut addresses: Vec<&str> = addresses.collect();
    addresses.sort_unstable();
    addresses.dedup();
    dialect::suppressions::of_addresses(conn, &addresses, hold)
}

/// Keeps every email address of a domain from being written to. Whether that is new.
///
/// # Errors
/// A query failed.
pub fn block_domain(conn: &mut Conn, ledger: &mut Ledger<'_>, domain: &str) -> Result<bool, StoreError> {
    let now = ledger.now(conn)?;
    let is_there: Option<String> = blocked_domains::table
        .find(domain)
        .select(blocked_domains::domain)
        .first(conn)
        .optional()
        .map_err(StoreError::query("look a blocked domain up"))?;
    if is_there.is_some() {
        return Ok(false);
    }
    dialect::suppressions::block_domain(conn, domain, now, ledger.source().as_str())?;
    let line = ledger.line(None);
    ledger.suppression(Line {
        channel: Some(ChannelKind::Email.as_str()),
        after: Some(Reason::Blocked.as_str()),
        note: Some(about_domain(domain, line.note.as_deref())),
        ..line
    });
    Ok(true)
}

/// Lets a domain be written to again. Whether it was blocked.
///
/// # Errors
/// A query failed.
pub fn unblock_domain(conn: &mut Conn, ledger: &mut Ledger<'_>, domain: &str) -> Result<bool, StoreError> {
    let gone = diesel::delete(blocked_domains::table.find(domain))
        .execute(conn)
        .map_err(StoreError::query("lift the block of a domain"))?;
    if gone > 0 {
        let line = ledger.line(None);
        ledger.suppression(Line {
            channel: Some(ChannelKind::Email.as_str()),
            before: Some(Reason::Blocked.as_str()),
            note: Some(about_domain(domain, line.note.as_deref())),
            ..line
        });
    }
    Ok(gone > 0)
}

fn about_domain(domain: &str, note: Option<&str>) -> String {
    note.map_or_else(|| format!("domain {domain}"), |note| format!("domain {domain}: {note}"))
}
