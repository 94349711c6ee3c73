//! Addresses that are not written to: set and lifted by operators and programs, one by one or from a file.

use std::sync::Arc;

use serde_json::json;

use crate::domain::access::Scope;
use crate::domain::access::audit::{Action, Object};
use crate::domain::channel::ChannelKind;
use crate::domain::ids::ListId;
use crate::domain::import::suppressions::Target;
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Act, EVERYTHING, Reason, Source};
use crate::services::audit::{self, Line};
use crate::services::people::standings::{Refusal, RefusalScope, refuse, scribe};
use crate::services::{By, Services};
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::standings::{hold, hold_lists, holders};
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
        if topic != EVERYTHING && hold_lists(conn, &[topic])?.is_empty() {
            return Err(SuppressError::NoList(topic));
        }
        let addresses = addresses(&suppression.target);
        audit::write(conn, &by, line(Action::Created, topic, Some(suppression.reason)))?;
        set(conn, &scribe, &by, std::slice::from_ref(&suppression))?;
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

/// Stores suppressions inside the caller's write transaction. A refusal is also written on the contacts that have the address.
///
/// # Errors
/// A query failed.
pub fn set(conn: &mut Conn, scribe: &Scribe, by: &By, all: &[Suppression]) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    let (mut refusals, mut entries) = (Vec::new(), Vec::new());
    let mut ledger = Ledger::new(scribe);
    for Suppression { target, topic, reason, at } in all {
        if let Target::Domain(domain) = target {
            suppressions::block_domain(conn, &mut ledger, domain)?;
        }
        for (channel, address) in addresses(target) {
            match reason {
                Reason::Unsubscribed => refusals.push(Refusal {
                    contact: None,
                    address: Some((channel, address)),
                    scope: if *topic == EVERYTHING {
                        RefusalScope::Everything
                    } else {
                        RefusalScope::Topics(vec![*topic])
                    },
                    source: scribe.act.source.clone(),
                    campaign: None,
                    at: *at,
                    client: None,
                }),
                Reason::Complained | Reason::Bounced | Reason::SoftBounced | Reason::Blocked => entries.push(Entry {
                    at: if *reason == Reason::SoftBounced {
                        at.unwrap_or(now)
                    } else {
                        at.map_or(now, |at| at.min(now))
                    },
                    address,
                    channel,
                    topic: *topic,
                    reason: *reason,
                    contact: None,
                    act: None,
                    is_said: true,
                }),
            }
        }
    }
    // Contacts are held before anything is written beside them, and all rows at once, in the order of their keys.
    let all: Vec<(ChannelKind, String)> = all.iter().flat_map(|one| addresses(&one.target)).collect();
    let people = holders(conn, &all)?;
    hold(conn, &people)?;
    suppressions::hold_of_addresses(conn, &all)?;
    if !refusals.is_empty() {
        refuse(conn, &scribe.book, by, &refusals)?;
    }
    suppressions::set(conn, &mut ledger, &entries)?;
    ledger.close(conn)
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
        if wanted.contains(&Reason::Unsubscribed) && lift.note.is_none() {
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
