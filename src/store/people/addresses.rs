//! A contact that gets another address: its refusals go along, and those of the new address are its own from then on. What it refused
//! stays with the address that it gives up.

use std::collections::{BTreeSet, HashMap};

use super::consent::Ledger;
use super::standings::{Wished, apply, of_contacts};
use super::suppressions::{self, Entry, SuppressionRow};
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{EVERYTHING, Reason, Source, addresses_of};
use crate::domain::people::fields::Fields;
use crate::domain::people::standing::{Standing, Wish};
use crate::store::{Conn, StoreError};

/// Writes the list refusals of a contact under the addresses that it gives up: a new contact, or another one, that has such an
/// address later takes them over.
///
/// # Errors
/// A query failed.
pub fn leave_refusals(
    conn: &mut Conn,
    ledger: &mut Ledger<'_>,
    contact: ContactId,
    given_up: &[(ChannelKind, String)],
) -> Result<(), StoreError> {
    if given_up.is_empty() {
        return Ok(());
    }
    let at = ledger.now(conn)?;
    let refused =
        of_contacts(conn, &[contact])?.into_iter().filter(|(.., standing)| *standing == Standing::Unsubscribed);
    let entries: Vec<Entry> = refused
        .flat_map(|(list, ..)| given_up.iter().map(move |address| (list, address)))
        .map(|(topic, (channel, address))| Entry {
            address: address.clone(),
            channel: *channel,
            topic,
            reason: Reason::Unsubscribed,
            at,
            contact: Some(contact),
            act: None,
            is_said: false,
        })
        .collect();
    suppressions::set(conn, ledger, &entries).map(drop)
}

/// A contact and its addresses before and after a change.
pub struct Moved {
    /// The contact. It is held.
    pub contact: ContactId,
    /// Its keys before; of a new contact: none.
    pub before: Fields,
    /// Its keys now.
    pub after: Fields,
    /// Whether it was made in this transaction.
    pub is_new: bool,
    /// Whether the person has confirmed the new address.
    pub is_confirmed: bool,
}

/// Addresses that a contact has and did not have before.
struct Gained {
    contact: ContactId,
    is_new: bool,
    addresses: Vec<(ChannelKind, String)>,
    /// All that it has now.
    all: Vec<(ChannelKind, String)>,
    /// Since when the contact itself refuses everything.
    refuses_since: Option<UtcInstant>,
}

/// A contact with another address takes its refusals along, and those of the new address over; a list that asks for a
/// confirmation asks again. The contacts that took refusals over.
///
/// # Errors
/// A query failed.
pub fn follow_addresses(
    conn: &mut Conn,
    ledger: &mut Ledger<'_>,
    moved: &[Moved],
) -> Result<BTreeSet<ContactId>, StoreError> {
    let mut gained: Vec<Gained> = Vec::new();
    for moved in moved {
        let (before, all) = (addresses_of(&moved.before), addresses_of(&moved.after));
        let given_up: Vec<_> = before.iter().filter(|address| !all.contains(address)).cloned().collect();
        let addresses: Vec<_> = all.iter().filter(|address| !before.contains(address)).cloned().collect();
        let mut refuses_since = None;
        if !before.is_empty() {
            leave_refusals(conn, ledger, moved.contact, &given_up)?;
            if !addresses.is_empty() {
                let known = suppressions::of_addresses(conn, &before)?;
                stop_new_addresses(conn, ledger, moved.contact, &known, &addresses)?;
                refuses_since = refuse_new_addresses(conn, ledger, moved.contact, &known, &addresses)?;
            }
            if moved.before.email != moved.after.email && moved.after.email.is_some() && !moved.is_confirmed {
                doubt(conn, ledger, moved.contact)?;
            }
        }
        if !addresses.is_empty() {
            gained.push(Gained { contact: moved.contact, is_new: moved.is_new, addresses, all, refuses_since });
        }
    }
    take_over(conn, ledger, &gained)
}

/// Who refused everything refuses it at a new address, too, since the same time: what the person agreed to later still counts. Since
/// when. `known` is what was known of the contact's addresses.
fn refuse_new_addresses(
    conn: &mut Conn,
    ledger: &mut Ledger<'_>,
    contact: ContactId,
    known: &[SuppressionRow],
    new: &[(ChannelKind, String)],
) -> Result<Option<UtcInstant>, StoreError> {
    let Some(at) = known.iter().filter_map(refused_everything_at).min() else { return Ok(None) };
    suppressions::set(conn, ledger, &everything(contact, new, at, Reason::Unsubscribed))?;
    Ok(Some(at))
}

/// Who stopped a channel stops it at a new address of the channel, too, since the same time.
fn stop_new_addresses(
    conn: &mut Conn,
    ledger: &mut Ledger<'_>,
    contact: ContactId,
    known: &[SuppressionRow],
    new: &[(ChannelKind, String)],
) -> Result<(), StoreError> {
    let stopped = known.iter().filter_map(|row| Some((row, row.stopped_at?)));
    // Channel `http` is stopped together with another one that has the same address, and does not go along by itself then.
    let by_another = |row: &SuppressionRow| {
        let mut others =
            known.iter().filter(|other| other.channel != ChannelKind::Http && other.address == row.address);
        row.channel == ChannelKind::Http && others.any(|other| other.stopped_at.is_some())
    };
    let stopped: Vec<(ChannelKind, UtcInstant)> =
        stopped.filter(|(row, _)| !by_another(row)).map(|(row, at)| (row.channel, at)).collect();
    for (channel, at) in stopped {
        let of_channel: Vec<_> = new.iter().filter(|(other, _)| *other == channel).cloned().collect();
        suppressions::set(conn, ledger, &everything(contact, &of_channel, at, Reason::Stopped))?;
    }
    Ok(())
}

fn refused_everything_at(row: &SuppressionRow) -> Option<UtcInstant> {
    row.unsubscribed_at.filter(|_| row.topic == EVERYTHING)
}

/// A refusal of everything, or of the channel, that is carried to these addresses.
fn everything(contact: ContactId, addresses: &[(ChannelKind, String)], at: UtcInstant, reason: Reason) -> Vec<Entry> {
    let entry = |(channel, address): &(ChannelKind, String)| Entry {
        address: address.clone(),
        channel: *channel,
        topic: EVERYTHING,
        reason,
        at,
        contact: Some(contact),
        act: None,
        is_said: false,
    };
    addresses.iter().map(entry).collect()
}

fn doubt(conn: &mut Conn, ledger: &mut Ledger<'_>, contact: ContactId) -> Result<(), StoreError> {
    let standings = of_contacts(conn, &[contact])?;
    let wished: Vec<Wished> = standings
        .into_iter()
        .filter(|(.., standing)| *standing == Standing::Subscribed)
        .map(|(list, ..)| Wished { source: Some(Source::NEW_ADDRESS), ..Wished::new(contact, list, Wish::Doubt) })
        .collect();
    apply(conn, ledger, &wished).map(drop)
}

fn take_over(conn: &mut Conn, ledger: &mut Ledger<'_>, gained: &[Gained]) -> Result<BTreeSet<ContactId>, StoreError> {
    let addresses: Vec<(ChannelKind, String)> = gained.iter().flat_map(|gained| gained.addresses.clone()).collect();
    let known = suppressions::of_addresses(conn, &addresses)?;
    let refused = known.into_iter().filter(|row| row.unsubscribed_at.is_some());
    let mut rows: HashMap<(String, &'static str), Vec<SuppressionRow>> = HashMap::new();
    for row in refused {
        rows.entry((row.address.clone(), row.channel.as_str())).or_default().push(row);
    }
    if rows.is_empty() {
        return Ok(BTreeSet::new());
    }
    let (mut wished, mut entries, mut takers) = (Vec::new(), Vec::new(), BTreeSet::new());
    for Gained { contact, is_new, addresses, all, refuses_since } in gained {
        let of_it = addresses.iter().filter_map(|(channel, address)| rows.get(&(address.clone(), channel.as_str())));
        let of_it: Vec<&SuppressionRow> = of_it.flatten().collect();
        let mut topics: BTreeSet<ListId> =
            of_it.iter().map(|row| row.topic).filter(|topic| *topic != EVERYTHING).collect();
        // The contact's own refusal, which it had taken there before, is no other one.
        let others = of_it.iter().filter_map(|row| refused_everything_at(row)).filter(|at| Some(*at) != *refuses_since);
        if let Some(at) = others.min() {
            // On the addresses and on all standings, as when it is said: what the contact agreed to before does not pass it.
            entries.extend(everything(*contact, all, at, Reason::Unsubscribed));
            takers.insert(*contact);
            if !is_new {
                topics.extend(of_contacts(conn, &[*contact])?.into_iter().map(|(list, ..)| list));
            }
        }
        wished.extend(topics.into_iter().map(|list| Wished {
            source: Some(Source::TAKEN_OVER),
            addresses: addresses.clone(),
            is_new: *is_new,
            ..Wished::new(*contact, list, Wish::Unsubscribe)
        }));
    }
    let outcomes = apply(conn, ledger, &wished)?;
    suppressions::set(conn, ledger, &entries)?;
    takers.extend(outcomes.into_iter().map(|outcome| outcome.contact));
    Ok(takers)
}
