//! What the rows of an import refuse: the list of the import, everything, or an address.

use std::collections::BTreeSet;

use crate::domain::channel::ChannelKind;
use crate::domain::ids::ListId;
use crate::domain::import::suppressions::Target;
use crate::domain::people::consent::{EVERYTHING, Said, SaidSuppression, keys_as_addresses};
use crate::domain::people::contact::{BuiltIn, Fields};
use crate::domain::people::standing::Standing;
use crate::services::By;
use crate::services::people::standings::{Refusal, RefusalScope, refuse};
use crate::services::people::suppress::{Suppression, set};
use crate::store::import::imports::Batch;
use crate::store::people::consent::Scribe;
use crate::store::people::contacts::Applied;
use crate::store::{Conn, StoreError};

/// A row that was rejected and says no all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongRow {
    /// The keys that could be read, as addresses.
    pub keys: Vec<(ChannelKind, String)>,
    /// What it says.
    pub said: Said,
}

/// Stores what the rows of a batch refuse, inside the transaction of the batch. A refusal counts from the moment it is said: also where its
/// row is rejected for something else; and for an e-mail address that another contact has. Belongs behind the rows that are stored, so that none of them
/// takes it back.
///
/// # Errors
/// A query failed.
pub fn keep_refusals(
    conn: &mut Conn,
    scribe: &Scribe,
    list: Option<ListId>,
    (batch, wrong): (&Batch, &[WrongRow]),
    applied: &Applied,
) -> Result<(), StoreError> {
    let by = By { request_id: scribe.act.request_id.clone(), ..By::start() };
    let refuses = |said: &Said| said.standing == Some(Standing::Unsubscribed);
    if let Some(list) = list {
        let of_wrong = wrong.iter().filter(|row| refuses(&row.said)).flat_map(|row| row.keys.iter().cloned());
        // Who shares a telephone has said nothing; an e-mail address that is said to refuse does so, whichever contact has it.
        let of_others =
            applied.ignored.iter().filter(|(_, key)| key.field == BuiltIn::Email).filter_map(|(index, _)| {
                let draft = batch.said.get(*index).filter(|said| refuses(said)).and(batch.drafts.get(*index))?;
                Some(keys_as_addresses(&Fields { email: draft.fields.email.clone(), ..Fields::default() }))
            });
        let refusals: Vec<Refusal> =
            of_wrong.chain(of_others.flatten()).map(|address| refusal(list, address, scribe)).collect();
        if !refusals.is_empty() {
            refuse(conn, &scribe.book, &by, &refusals)?;
        }
    }
    let mut all: Vec<Suppression> = Vec::new();
    for (index, (said, draft)) in batch.said.iter().zip(&batch.drafts).enumerate() {
        if !said.suppressed.is_empty() {
            let ignored = applied.ignored.iter().filter(|(of, _)| *of == index).map(|(_, key)| key.field);
            all.extend(suppressions(said, &draft.fields, &ignored.collect::<Vec<_>>()));
        }
    }
    for row in wrong {
        let all_of = |one: &SaidSuppression| suppression(*one, one.of(&row.keys, false), &row.said);
        all.extend(row.said.suppressed.iter().map(all_of));
    }
    if all.is_empty() { Ok(()) } else { set(conn, scribe, &by, &all).map(|_: BTreeSet<ListId>| ()) }
}

fn refusal(list: ListId, address: (ChannelKind, String), scribe: &Scribe) -> Refusal {
    Refusal {
        contact: None,
        address: Some(address),
        scope: RefusalScope::Topics(vec![list]),
        source: scribe.act.source.clone(),
        campaign: None,
        at: None,
        client: None,
    }
}

/// What a row says of the addresses of its contact, which came in without the `ignored` keys.
fn suppressions(said: &Said, fields: &Fields, ignored: &[BuiltIn]) -> Vec<Suppression> {
    let mut own = fields.clone();
    if ignored.contains(&BuiltIn::Phone) {
        // It is another person's, who has said nothing.
        own.phone = None;
    }
    let own = keys_as_addresses(&own);
    let suppression = |one: &SaidSuppression| suppression(*one, one.of(&own, !ignored.contains(&BuiltIn::Email)), said);
    said.suppressed.iter().map(suppression).collect()
}

fn suppression(one: SaidSuppression, addresses: Vec<(ChannelKind, String)>, said: &Said) -> Suppression {
    Suppression { target: Target::Address(addresses), topic: EVERYTHING, reason: one.reason, at: said.at }
}
