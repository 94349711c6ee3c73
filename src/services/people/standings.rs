//! What people agree to and what they refuse: the decisions that every door makes.
//!
//! A refusal is never lost. It is written on the contact and, where there is none, on the address; it is filed beside the database
//! before the transaction commits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::channel::ChannelKind;
use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Act, Client, EVERYTHING, Reason, Source, addresses_of};
use crate::domain::people::fields::Fields;
use crate::domain::people::standing::{Grounds, Standing, Wish};
use crate::services::{By, Services};
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::ground::{self, Ground, StandsOn};
use crate::store::people::refusals::RefusalBook;
use crate::store::people::standings::{self, KnownContact, Outcome, Wished};
use crate::store::people::suppressions::{self, Entry, SuppressionRow};
use crate::store::{Conn, Lane, StoreError};

/// What is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusalScope {
    /// Every message that is not transactional, on every channel.
    Everything,
    /// These lists.
    Topics(Vec<ListId>),
    /// What a campaign was about: those of its topics that the contact stands on; all of them, where it stands on none; everything,
    /// where the campaign has no topic or its topics are gone. A contact that has refused one of them already refuses nothing more.
    CampaignTopics(Vec<ListId>),
}

/// A refusal. Holds personal data: never logged, hence no `Debug`.
#[derive(Clone)]
pub struct Refusal {
    /// Who refuses. A deleted contact refuses for its addresses, and for those who have them now.
    pub contact: Option<ContactId>,
    /// The address that was written to, normalised. Where the contact has another one now, both refuse.
    pub address: Option<(ChannelKind, String)>,
    /// What is refused.
    pub scope: RefusalScope,
    /// Where it comes from.
    pub source: Source,
    /// The campaign whose message led to it.
    pub campaign: Option<CampaignId>,
    /// When it was said, where it waited to be stored.
    pub at: Option<UtcInstant>,
    /// The other side of a person's own act.
    pub client: Option<Client>,
}

/// What came of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refused {
    /// The living contacts that refuse now.
    pub contacts: Vec<ContactId>,
    /// The lists that are refused.
    pub topics: Vec<ListId>,
    /// Whether everything is refused.
    pub everything: bool,
}

/// A scribe for a decision of `by`.
#[must_use]
pub fn scribe(services: &Services, by: &By, source: Source) -> Scribe {
    let act = Act { request_id: by.request_id.clone(), ..Act::of(source) };
    Scribe { act: Arc::new(act), book: services.refusals.clone() }
}

/// Stores refusals in one transaction. Repeating one changes nothing.
///
/// # Errors
/// The database failed; nothing is stored then.
pub async fn refuse_all(services: &Services, refusals: Vec<Refusal>, by: &By) -> Result<Vec<Refused>, StoreError> {
    let (book, by) = (services.refusals.clone(), by.clone());
    let work = move |conn: &mut Conn| refuse(conn, &book, &by, &refusals);
    services.store.transact(Lane::Control, "store refusals", work).await
}

/// Stores refusals inside the caller's write transaction: many in as many statements as one.
///
/// # Errors
/// A query failed.
pub fn refuse(conn: &mut Conn, book: &RefusalBook, by: &By, refusals: &[Refusal]) -> Result<Vec<Refused>, StoreError> {
    let people = People::of(conn, refusals)?;
    let scribe = Scribe { act: Arc::new(Act::of(Source::API)), book: book.clone() };
    let mut ledger = Ledger::new(&scribe);
    let now = people.ground.now();
    let mut written = Refusals { people, entries: Vec::new(), wished: Vec::new() };
    let mut answers = Vec::with_capacity(refusals.len());
    for refusal in refusals {
        let act = Arc::new(Act {
            source: refusal.source.clone(),
            note: None,
            campaign: refusal.campaign,
            request_id: by.request_id.clone(),
            at: refusal.at,
            client: refusal.client.clone(),
        });
        answers.push(written.add(&mut ledger, refusal, &act, now));
    }
    let Refusals { people, entries, wished } = written;
    standings::grant(conn, &mut ledger, people.ground, &wished)?;
    suppressions::set_on(conn, &mut ledger, people.suppressed, &entries)?;
    ledger.close(conn)?;
    Ok(answers)
}

/// Everybody that refusals are about, held.
struct People {
    living: HashMap<ContactId, Fields>,
    deleted: HashMap<ContactId, Fields>,
    /// Who has an address.
    holders: HashMap<String, Vec<ContactId>>,
    standings: HashMap<ContactId, Vec<StandsOn>>,
    /// The lists that are refused.
    ground: Ground,
    /// What is known of the addresses that are to be suppressed, held.
    suppressed: Vec<SuppressionRow>,
    /// Addresses that refuse everything already.
    refusing: BTreeSet<(&'static str, String)>,
}

/// Everybody that refusals are about, locked in the order of their ids. Most often these are living contacts; else it is looked first
/// who has the addresses.
fn hold_everybody(conn: &mut Conn, refusals: &[Refusal]) -> Result<Vec<KnownContact>, StoreError> {
    let named: Vec<ContactId> = refusals.iter().filter_map(|refusal| refusal.contact).collect();
    let given: Vec<_> = refusals.iter().filter_map(|refusal| refusal.address.clone()).collect();
    if given.is_empty()
        && let Some(held) = standings::hold_if_none_is_deleted(conn, &named)?
        // One may have been deleted while its lock was waited for.
        && held.iter().all(|contact| !contact.is_deleted)
    {
        return Ok(held);
    }
    let named = standings::look(conn, &named)?;
    let let_go = named.iter().filter(|contact| contact.is_deleted).flat_map(|contact| addresses_of(&contact.keys));
    let loose: Vec<(ChannelKind, String)> = given.into_iter().chain(let_go).collect();
    let mut ids = standings::holders(conn, &loose)?;
    ids.extend(named.iter().map(|contact| contact.id));
    standings::hold(conn, &ids)
}

impl People {
    /// Locks everybody, then the lists, then what is known of the addresses.
    fn of(conn: &mut Conn, refusals: &[Refusal]) -> Result<Self, StoreError> {
        let (mut living, mut deleted, mut holders) = (HashMap::new(), HashMap::new(), HashMap::<_, Vec<_>>::new());
        for contact in hold_everybody(conn, refusals)? {
            if contact.is_deleted {
                deleted.insert(contact.id, contact.keys);
                continue;
            }
            for key in contact.keys.keys().into_iter().flatten() {
                holders.entry(key.to_owned()).or_default().push(contact.id);
            }
            living.insert(contact.id, contact.keys);
        }
        let contacts: Vec<ContactId> = living.keys().copied().collect();
        let all = ground::of_contacts(conn, &contacts)?;
        let mut of_each: HashMap<ContactId, Vec<StandsOn>> = HashMap::new();
        for stands in &all {
            of_each.entry(stands.contact).or_default().push(*stands);
        }
        let mut people = Self {
            living,
            deleted,
            holders,
            standings: of_each,
            ground: Ground::default(),
            suppressed: Vec::new(),
            refusing: BTreeSet::new(),
        };
        let lists: BTreeSet<ListId> = refusals.iter().flat_map(|refusal| people.lists(refusal)).collect();
        let all = all.into_iter().map(|stands| (stands.list, stands.contact, stands.standing));
        people.ground = Ground::hold(conn, &lists, all)?;
        // The topics of a campaign may be gone: everything is refused then.
        let gone =
            refusals.iter().filter(|refusal| !refusal.scope.topics().is_empty() && people.is_everything(refusal));
        let instead: BTreeSet<ListId> = gone.flat_map(|refusal| people.stood_on(refusal)).collect();
        people.ground.hold_more(conn, &instead)?;
        let addresses: Vec<_> = refusals
            .iter()
            .flat_map(
                |refusal| if people.is_everything(refusal) { people.addresses(refusal) } else { people.loose(refusal) },
            )
            .collect();
        people.suppressed = suppressions::hold_of_addresses(conn, &addresses)?;
        let refusing = people.suppressed.iter().filter(|row| row.topic == EVERYTHING && row.unsubscribed_at.is_some());
        people.refusing = refusing.map(|row| (row.channel.as_str(), row.address.clone())).collect();
        Ok(people)
    }

    /// The lists that a refusal may be about: those that it names; where it names none, those that its people stand on.
    fn lists(&self, refusal: &Refusal) -> Vec<ListId> {
        match refusal.scope.topics() {
            [] => self.stood_on(refusal),
            named => named.to_vec(),
        }
    }

    /// The lists that the people of a refusal stand on.
    fn stood_on(&self, refusal: &Refusal) -> Vec<ListId> {
        let members = self.members(refusal);
        members.iter().flat_map(|contact| self.stands(*contact)).map(|stands| stands.list).collect()
    }

    /// How a contact stands, on every list.
    fn stands(&self, contact: ContactId) -> &[StandsOn] {
        self.standings.get(&contact).map(Vec::as_slice).unwrap_or_default()
    }

    /// Those of the lists that a refusal names which are there.
    fn named<'r>(&self, refusal: &'r Refusal) -> impl Iterator<Item = ListId> + use<'_, 'r> {
        refusal.scope.topics().iter().copied().filter(|list| self.ground.counts_everybody(*list).is_some())
    }

    /// Whether a refusal comes to one of everything.
    fn is_everything(&self, refusal: &Refusal) -> bool {
        match &refusal.scope {
            RefusalScope::Everything => true,
            RefusalScope::Topics(_) => false,
            RefusalScope::CampaignTopics(_) => self.named(refusal).next().is_none(),
        }
    }

    /// The living contacts that a refusal is about.
    fn members(&self, refusal: &Refusal) -> Vec<ContactId> {
        let mut all: BTreeSet<ContactId> =
            refusal.contact.iter().filter(|contact| self.living.contains_key(contact)).copied().collect();
        let let_go =
            refusal.contact.and_then(|contact| self.deleted.get(&contact)).map(addresses_of).unwrap_or_default();
        for (_, address) in refusal.address.iter().chain(&let_go) {
            all.extend(self.holders.get(address).into_iter().flatten());
        }
        all.into_iter().collect()
    }

    /// Every address that a refusal is about.
    fn addresses(&self, refusal: &Refusal) -> Vec<(ChannelKind, String)> {
        let mut all = self.loose(refusal);
        all.extend(self.members(refusal).iter().filter_map(|contact| self.living.get(contact)).flat_map(addresses_of));
        all.sort_unstable_by(|one, other| (one.0.as_str(), &one.1).cmp(&(other.0.as_str(), &other.1)));
        all.dedup();
        all
    }

    /// Addresses of a refusal that no living contact has: a refusal of a list is written on these.
    fn loose(&self, refusal: &Refusal) -> Vec<(ChannelKind, String)> {
        let let_go =
            refusal.contact.and_then(|contact| self.deleted.get(&contact)).map(addresses_of).unwrap_or_default();
        let all = refusal.address.iter().chain(&let_go);
        all.filter(|(_, address)| !self.holders.contains_key(address)).cloned().collect()
    }

    /// The lists that a contact refuses; none: it has refused already.
    fn campaign_topics(&self, contact: ContactId, topics: &[ListId]) -> Vec<ListId> {
        let standings = self.stands(contact);
        let standing = |list: &ListId| standings.iter().find(|on| on.list == *list).map(|on| on.standing);
        let stands = |list: &&ListId| match standing(list) {
            Some(Standing::Subscribed | Standing::Unconfirmed) => true,
            Some(Standing::Unsubscribed | Standing::Moved) => false,
            None => self.ground.counts_everybody(**list).unwrap_or_default(),
        };
        let on: Vec<ListId> = topics.iter().filter(stands).copied().collect();
        let has_refused = topics.iter().any(|list| standing(list) == Some(Standing::Unsubscribed));
        if on.is_empty() && !has_refused { topics.to_vec() } else { on }
    }
}

impl RefusalScope {
    fn topics(&self) -> &[ListId] {
        match self {
            Self::Everything => &[],
            Self::Topics(topics) | Self::CampaignTopics(topics) => topics,
        }
    }
}

/// What refusals come to.
struct Refusals {
    people: People,
    entries: Vec<Entry>,
    wished: Vec<Wished>,
}

impl Refusals {
    fn add(&mut self, ledger: &mut Ledger<'_>, refusal: &Refusal, act: &Arc<Act>, now: UtcInstant) -> Refused {
        let there: Vec<ListId> = self.people.named(refusal).collect();
        let contacts = self.people.members(refusal);
        if self.people.is_everything(refusal) {
            self.refuse_everything(ledger, refusal, &contacts, act, now);
            return Refused { contacts, topics: Vec::new(), everything: true };
        }
        let mut topics = BTreeSet::new();
        for contact in &contacts {
            let refused = match refusal.scope {
                RefusalScope::CampaignTopics(_) => self.people.campaign_topics(*contact, &there),
                RefusalScope::Everything | RefusalScope::Topics(_) => there.clone(),
            };
            topics.extend(&refused);
            let addresses = self.people.living.get(contact).map(addresses_of).unwrap_or_default();
            self.wish(*contact, refused, &addresses, act);
        }
        let loose = self.people.loose(refusal);
        if !loose.is_empty() {
            topics.extend(&there);
        }
        for (list, (channel, address)) in there.iter().flat_map(|list| loose.iter().map(move |loose| (list, loose))) {
            self.entries.push(Entry {
                address: address.clone(),
                channel: *channel,
                topic: *list,
                reason: Reason::Unsubscribed,
                at: act.said_by(now),
                contact: refusal.contact,
                act: Some(Arc::clone(act)),
                is_said: true,
            });
        }
        Refused { contacts, topics: topics.into_iter().collect(), everything: false }
    }

    fn refuse_everything(
        &mut self,
        ledger: &mut Ledger<'_>,
        refusal: &Refusal,
        contacts: &[ContactId],
        act: &Arc<Act>,
        now: UtcInstant,
    ) {
        let addresses = self.people.addresses(refusal);
        let new = addresses
            .iter()
            .filter(|(channel, address)| !self.people.refusing.contains(&(channel.as_str(), address.clone())));
        if new.count() > 0 {
            let contact = contacts.first().copied().or(refusal.contact);
            ledger.refuse_everything(act, contact, &addresses);
            // Who says it twice in one batch has said it once.
            let refused = addresses.iter().map(|(channel, address)| (channel.as_str(), address.clone()));
            self.people.refusing.extend(refused);
        }
        for contact in contacts {
            let stands = self.people.stands(*contact).iter().filter(|stands| stands.standing != Standing::Moved);
            let lists: Vec<ListId> = stands.map(|stands| stands.list).collect();
            self.wish(*contact, lists, &addresses, act);
        }
        self.entries.extend(addresses.into_iter().map(|(channel, address)| Entry {
            address,
            channel,
            topic: EVERYTHING,
            reason: Reason::Unsubscribed,
            at: act.said_by(now),
            contact: refusal.contact,
            act: Some(Arc::clone(act)),
            is_said: false,
        }));
    }

    fn wish(&mut self, contact: ContactId, lists: Vec<ListId>, addresses: &[(ChannelKind, String)], act: &Arc<Act>) {
        // A file knows no more than was true when it was written: what the person has agreed to since then stays.
        let told = act.at.filter(|_| !act.source.is_own_act());
        let agreed = self.people.stands(contact).iter().filter(|stands| told.is_some() && stands.agreed_at > told);
        let agreed: Vec<ListId> = agreed.map(|stands| stands.list).collect();
        let lists = lists.into_iter().filter(|list| !agreed.contains(list));
        self.wished.extend(lists.map(|list| Wished {
            act: Some(Arc::clone(act)),
            addresses: addresses.to_vec(),
            ..Wished::new(contact, list, Wish::Unsubscribe)
        }));
    }
}

/// What became of contacts on a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Subscribed now, and not before.
    pub subscribed: usize,
    /// Noted until they confirm.
    pub unconfirmed: usize,
    /// Unsubscribed now, and not before.
    pub unsubscribed: usize,
    /// As before.
    pub unchanged: usize,
    /// Have refused, and stay so.
    pub stay_refused: usize,
}

impl Tally {
    /// Counts what became of others in.
    pub fn count_in(&mut self, others: &Self) {
        let Self { subscribed, unconfirmed, unsubscribed, unchanged, stay_refused } = others;
        self.subscribed += subscribed;
        self.unconfirmed += unconfirmed;
        self.unsubscribed += unsubscribed;
        self.unchanged += unchanged;
        self.stay_refused += stay_refused;
    }

    /// Adds outcomes.
    pub fn add(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            *match (outcome.is_change(), outcome.stays_refused, outcome.after) {
                (_, true, _) => &mut self.stay_refused,
                (true, false, Some(Standing::Subscribed)) => &mut self.subscribed,
                (true, false, Some(Standing::Unconfirmed)) => &mut self.unconfirmed,
                (true, false, Some(Standing::Unsubscribed)) => &mut self.unsubscribed,
                (true, false, Some(Standing::Moved) | None) | (false, false, _) => &mut self.unchanged,
            } += 1;
        }
    }
}

/// What became of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscribed {
    /// It was dealt with.
    Done(Tally),
    /// There is no such list.
    NoList,
    /// These are no living contacts; nothing was changed.
    NoContacts(Vec<ContactId>),
}

/// Subscribes contacts to a list, as far as the rules allow, inside the caller's write transaction: all of them or, where one does
/// not exist, none. `address` is the one that a person used.
///
/// # Errors
/// A query failed.
pub fn subscribe(
    conn: &mut Conn,
    scribe: &Scribe,
    list: ListId,
    contacts: &[ContactId],
    grounds: Grounds,
    address: Option<&(ChannelKind, String)>,
) -> Result<Subscribed, StoreError> {
    let held = standings::hold(conn, contacts)?;
    let living: BTreeMap<ContactId, ()> =
        held.iter().filter(|contact| !contact.is_deleted).map(|contact| (contact.id, ())).collect();
    let missing: BTreeSet<ContactId> = contacts.iter().filter(|id| !living.contains_key(id)).copied().collect();
    if !missing.is_empty() {
        return Ok(Subscribed::NoContacts(missing.into_iter().collect()));
    }
    if standings::hold_lists(conn, &[list])?.is_empty() {
        return Ok(Subscribed::NoList);
    }
    let wished: Vec<Wished> = living
        .into_keys()
        .map(|contact| Wished {
            addresses: address.into_iter().cloned().collect(),
            ..Wished::new(contact, list, Wish::Subscribe(grounds))
        })
        .collect();
    let mut ledger = Ledger::new(scribe);
    let outcomes = standings::apply(conn, &mut ledger, &wished)?;
    ledger.close(conn)?;
    let mut tally = Tally::default();
    tally.add(&outcomes);
    Ok(Subscribed::Done(tally))
}
