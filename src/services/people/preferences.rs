//! What a contact chooses on its own page.

use std::sync::Arc;

use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::people::consent::{Act, Client, EVERYTHING, Source, addresses_of};
use crate::domain::people::standing::{Grounds, Standing, Wish};
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::refusals::RefusalBook;
use crate::store::people::standings::{self, Wished};
use crate::store::people::suppressions;
use crate::store::people::topics::{self, Person, TopicRow};
use crate::store::{Conn, StoreError, tracking};

/// What a contact may choose from, and what it has chosen.
#[derive(Clone)]
pub struct Seen {
    /// The contact.
    pub person: Person,
    /// Each topic, and whether the contact is written to about it.
    pub topics: Vec<(TopicRow, bool)>,
    /// Whether it has refused everything.
    pub has_refused: bool,
    /// Whether it may be noted when the contact opens messages and follows links.
    pub is_tracked: bool,
}

/// Reads it as it is now. `None`: there is no such contact, or it was deleted.
///
/// # Errors
/// A query failed.
pub fn see(conn: &mut Conn, contact: ContactId) -> Result<Option<Seen>, StoreError> {
    let Some(person) = topics::person(conn, contact)?.filter(|person| !person.is_deleted) else { return Ok(None) };
    let known = suppressions::of_addresses(conn, &addresses_of(&person.keys))?;
    let has_refused = known.iter().any(|row| row.topic == EVERYTHING && row.unsubscribed_at.is_some());
    let topics = topics::for_contact(conn, contact)?;
    let topics = topics.into_iter().map(|(topic, standing)| {
        let is_on = is_on(&topic, standing, has_refused);
        (topic, is_on)
    });
    let is_tracked = tracking::is_tracked(conn, contact)?.unwrap_or(false);
    Ok(Some(Seen { person, topics: topics.collect(), has_refused, is_tracked }))
}

fn is_on(topic: &TopicRow, standing: Option<Standing>, has_refused: bool) -> bool {
    match standing {
        Some(Standing::Subscribed) => true,
        Some(Standing::Unconfirmed | Standing::Unsubscribed) => false,
        Some(Standing::Moved) | None => topic.default_opt_in && !has_refused,
    }
}

/// What a contact has chosen.
pub struct Chosen {
    /// The topics that the page showed. What came later is left as it is.
    pub shown: Vec<ListId>,
    /// Those of them that it showed as wanted. What stands so still, or no more, was not the person's choice on this page.
    pub was: Vec<ListId>,
    /// Those of them that are wanted.
    pub wanted: Vec<ListId>,
    /// Whether the contact may be tracked from now on. `None`: as before.
    pub tracking: Option<bool>,
    /// The campaign whose message had the link.
    pub campaign: CampaignId,
    /// The other side.
    pub client: Client,
    /// The request.
    pub request_id: Option<String>,
}

/// Stores a choice inside the caller's write transaction, as the person's own act. What does not differ from what the page showed
/// changes nothing: since then, the person may have said no elsewhere. What the contact sees then; `None` as for [`see`].
///
/// # Errors
/// A query failed.
pub fn choose(
    conn: &mut Conn,
    book: &RefusalBook,
    contact: ContactId,
    chosen: &Chosen,
) -> Result<Option<Seen>, StoreError> {
    let held = standings::hold(conn, &[contact])?;
    let Some(before) = see(conn, contact)?.filter(|_| !held.is_empty()) else { return Ok(None) };
    let addresses = addresses_of(&before.person.keys);
    let wish = |(topic, _): &(TopicRow, bool)| {
        let is_in = |topics: &[ListId]| topics.contains(&topic.id);
        let wish = match (is_in(&chosen.shown), is_in(&chosen.was), is_in(&chosen.wanted)) {
            (true, false, true) => Wish::Subscribe(Grounds::OwnAct),
            (true, true, false) => Wish::Unsubscribe,
            (true, true, true) | (true, false, false) | (false, _, _) => return None,
        };
        Some(Wished { addresses: addresses.clone(), ..Wished::new(contact, topic.id, wish) })
    };
    let wished: Vec<Wished> = before.topics.iter().filter_map(wish).collect();
    let act = Act {
        campaign: Some(chosen.campaign),
        request_id: chosen.request_id.clone(),
        client: Some(chosen.client.clone()),
        ..Act::of(Source::PREFERENCES)
    };
    let scribe = Scribe { act: Arc::new(act), book: book.clone() };
    let mut ledger = Ledger::new(&scribe);
    standings::apply(conn, &mut ledger, &wished)?;
    ledger.close(conn)?;
    if let Some(is_tracked) = chosen.tracking {
        tracking::set_tracked(conn, contact, is_tracked)?;
    }
    see(conn, contact)
}
