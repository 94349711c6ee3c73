//! Addresses that are not written to: set and lifted by operators and programs, one by one or from a file.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use crate::domain::access::Scope;
use crate::domain::access::audit::{Action, Object};
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ContactId, ListId};
use crate::domain::import::suppressions::Target;
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Act, EVERYTHING, Reason, Source, addresses_of};
use crate::services::audit::{self, Line};
use crate::services::people::standings::{Refusal, RefusalScope, refuse, scribe};
use crate::services::{By, Services};
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::standings::{hold, hold_lists, holders, of_contacts};
use crate::store::people::suppressions::{self, Entry, SuppressionRow};
use crate::store::{Conn, Lane, MayBeStoreError, StoreError, engine};

/// What is suppressed, and why.
#[derive(Debug, Clone)]
pub struct Suppression {
    /// What.
    pub target: Target,
    /// The list, or [`EVERYTHING`].
    pub topic: ListId,
    /// Why.
    pub reason: Reason,
    /// Since when; of a soft bounce: until when. None: from now on.
    pub at: Option<UtcInstant>,
}

/// What is lifted.
#[derive(Debug, Clone)]
pub struct Lift {
    /// What.
    pub target: Target,
    /// The list, or [`EVERYTHING`].
    pub topic: ListId,
    /// The reason that is lifted. None: every one.
    pub reason: Option<Reason>,
    /// Why it is lifted.
    pub note: Option<String>,
}

/// Why nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum SuppressError {
    /// There is no such list.
    #[error("there is no list {0}")]
    NoList(ListId),
    /// Only an administrator lifts complaints and hard bounces.
    #[error("a complaint and a hard bounce are lifted with a key of scope admin only")]
    AdminOnly {
        /// What the caller may do.
        own: Scope,
    },
    /// A refusal is lifted with a reason only.
    #[error("say why the refusal is lifted")]
    NoteRequired,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MayBeStoreError for SuppressError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        if let Self::Store(error) = self { Ok(error) } else { Err(self) }
    }
}

/// Sets a reason. What is suppressed of the address now, with everything else that was before.
///
/// # Errors
/// [`SuppressError`]; nothing has changed then.
pub async fn suppress(
    services: &Services,
    suppression: Suppression,
    note: Option<String>,
    by: &By,
) -> Result<Vec<SuppressionRow>, SuppressError> {
    let scribe = noted(scribe(services, by, Source::API), note);
    let by = by.clone();
    let work = move |conn: &mut Conn| {
        let topic = suppression.topic;
        let addresses = addresses(&suppression.target);
        if let Some(gone) = set(conn, &scribe, &by, std::slice::from_ref(&suppression))?.first() {
            return Err(SuppressError::NoList(*gone));
        }
        audit::write(conn, &by, line(Action::Created, topic, Some(suppression.reason)))?;
        Ok(suppressions::of_addresses(conn, &addresses)?)
    };
    services.store.transact(Lane::Write, "suppress an address", work).await
}

/// The address is personal data: the consent log has it where it may.
fn line(action: Action, topic: ListId, reason: Option<Reason>) -> Line {
    let topic = if topic == EVERYTHING { "everything".to_owned() } else { format!("list {topic}") };
    let reason = reason.map(Reason::as_str);
    Line::of(action, Object::Suppression, topic).after(json!({ "reason": reason }))
}

fn noted(scribe: Scribe, note: Option<String>) -> Scribe {
    Scribe { act: Arc::new(Act { note, ..Act::clone(&scribe.act) }), ..scribe }
}

fn addresses(target: &Target) -> Vec<(ChannelKind, String)> {
    match target {
        Target::Address(all) => all.clone(),
        Target::Domain(_) => Vec::new(),
    }
}

/// Stores suppressions inside the caller's write transaction. A refusal is also written on the contacts that have the address. The
/// lists among their topics that are gone: nothing is stored of what is about these.
///
/// # Errors
/// A query failed.
pub fn set(conn: &mut Conn, scribe: &Scribe, by: &By, all: &[Suppression]) -> Result<BTreeSet<ListId>, StoreError> {
    let now = engine::now(conn)?;
    let (mut refusals, mut entries) = (Vec::new(), Vec::new());
    let mut ledger = Ledger::new(scribe);
    for one in all {
        for (channel, address) in addresses(&one.target) {
            match one.reason {
                Reason::Unsubscribed => refusals.push(refusal(one, channel, address, &scribe.act.source)),
                Reason::Stopped | Reason::Complained | Reason::Bounced | Reason::SoftBounced | Reason::Blocked => {
                    entries.push(entry(one, channel, address, now));
                }
            }
        }
    }
    let gone = hold_everything(conn, all)?;
    if !refusals.is_empty() {
        refuse(conn, &scribe.book, by, &refusals)?;
    }
    suppressions::set(conn, &mut ledger, &entries)?;
    let domains: BTreeSet<&str> = all.iter().filter_map(|one| domain(&one.target)).collect();
    for domain in domains {
        suppressions::block_domain(conn, &mut ledger, domain)?;
    }
    ledger.close(conn)?;
    Ok(gone)
}

/// Holds all that suppressions are about before anything is written, in the order in which everybody does: the people, the lists, what
/// is known of the addresses; each kind at once, by its keys. Two that come at the same time wait for each other once. The lists that
/// are gone.
fn hold_everything(conn: &mut Conn, all: &[Suppression]) -> Result<BTreeSet<ListId>, StoreError> {
    let mut addresses: Vec<(ChannelKind, String)> = all.iter().flat_map(|one| addresses(&one.target)).collect();
    let found = holders(conn, &addresses)?;
    let people = hold(conn, &found)?;
    let named: BTreeSet<ListId> = all.iter().map(|one| one.topic).filter(|topic| *topic != EVERYTHING).collect();
    let ids: Vec<ContactId> = people.iter().map(|person| person.id).collect();
    let stood_on = of_contacts(conn, &ids)?.into_iter().map(|(list, ..)| list);
    let lists: BTreeSet<ListId> = stood_on.chain(named.iter().copied()).collect();
    let there = hold_lists(conn, &lists.into_iter().collect::<Vec<_>>())?;
    // Who refuses everything does so under every other address, too.
    addresses.extend(people.iter().flat_map(|person| addresses_of(&person.keys)));
    suppressions::hold_of_addresses(conn, &addresses)?;
    let there: BTreeSet<ListId> = there.into_iter().map(|(list, _)| list).collect();
    Ok(named.difference(&there).copied().collect())
}

fn domain(target: &Target) -> Option<&str> {
    match target {
        Target::Domain(domain) => Some(domain),
        Target::Address(_) => None,
    }
}

fn refusal(told: &Suppression, channel: ChannelKind, address: String, source: &Source) -> Refusal {
    Refusal {
        contact: None,
        address: Some((channel, address)),
        scope: if told.topic == EVERYTHING { RefusalScope::Everything } else { RefusalScope::Topics(vec![told.topic]) },
        source: source.clone(),
        campaign: None,
        at: told.at,
        client: None,
    }
}

fn entry(told: &Suppression, channel: ChannelKind, address: String, now: UtcInstant) -> Entry {
    let at = told.at.unwrap_or(now);
    Entry {
        at: if told.reason == Reason::SoftBounced { at } else { at.min(now) },
        address,
        channel,
        topic: told.topic,
        reason: told.reason,
        contact: None,
        act: None,
        is_said: true,
    }
}

/// Lifts a reason, or every one. Whether there was one.
///
/// # Errors
/// [`SuppressError`]; nothing has changed then.
pub async fn lift(services: &Services, lift: Lift, by: &By) -> Result<bool, SuppressError> {
    let scribe = noted(scribe(services, by, Source::API), lift.note.clone());
    let (own, by) = (by.rights.scope, by.clone());
    let work = move |conn: &mut Conn| {
        let mut ledger = Ledger::new(&scribe);
        if let Target::Domain(domain) = &lift.target {
            let was_blocked = suppressions::unblock_domain(conn, &mut ledger, domain)?;
            if was_blocked {
                audit::write(conn, &by, line(Action::Deleted, EVERYTHING, Some(Reason::Blocked)))?;
            }
            ledger.close(conn)?;
            return Ok(was_blocked);
        }
        let addresses = addresses(&lift.target);
        let rows = suppressions::hold_of_addresses(conn, &addresses)?;
        let there = rows.iter().filter(|row| row.topic == lift.topic).flat_map(SuppressionRow::reasons);
        let wanted: Vec<Reason> = there.filter(|reason| lift.reason.is_none_or(|wanted| wanted == *reason)).collect();
        if wanted.iter().any(|reason| reason.is_for_admins()) && !own.includes(Scope::Admin) {
            return Err(SuppressError::AdminOnly { own });
        }
        let is_said = |reason: &Reason| matches!(reason, Reason::Unsubscribed | Reason::Stopped);
        if wanted.iter().any(is_said) && lift.note.is_none() {
            return Err(SuppressError::NoteRequired);
        }
        let mut lifted = 0;
        for reason in Reason::ALL.iter().filter(|reason| wanted.contains(reason)) {
            lifted += suppressions::lift(conn, &mut ledger, &addresses, lift.topic, *reason, None)?;
        }
        ledger.close(conn)?;
        if lifted > 0 {
            audit::write(conn, &by, line(Action::Deleted, lift.topic, lift.reason))?;
        }
        Ok(lifted > 0)
    };
    services.store.transact(Lane::Write, "lift a suppression", work).await
}
