//! What is uncertain and why, by incident.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::dispatch::incident::{self, Incident, IncidentKey, Journal};
use crate::domain::ids::{CampaignId, ContactId, InstanceId};
use crate::store::dispatch::uncertain::{self, Looked, Named, Owner, Place};
use crate::store::{Conn, Lane, Store, StoreError};

/// An incident, with what is known around it.
#[derive(Debug, Clone)]
pub struct Case {
    /// What happened.
    pub incident: Incident,
    /// The campaign.
    pub campaign: Named,
    /// The instance that made the calls, as far as it is on the books.
    pub owner: Option<Owner>,
    /// Whether a journal may still decide it.
    pub journal: Journal,
}

/// A part of the incidents.
#[derive(Debug)]
pub struct Cases {
    /// The newest first.
    pub cases: Vec<Case>,
    /// Where the next part begins, if there may be one. An incident that goes on there comes again, with the rest of it.
    pub next: Option<Place>,
}

/// The incidents of all campaigns, or of one, behind a place.
///
/// # Errors
/// The database failed.
pub async fn list(store: &Store, campaign: Option<CampaignId>, after: Option<Place>) -> Result<Cases, StoreError> {
    let look = move |conn: &mut Conn| {
        conn.snapshot(|conn| {
            let Looked { rows, next } = uncertain::look(conn, campaign, after)?;
            Ok(Cases { cases: cases(conn, incident::incidents(rows))?, next })
        })
    };
    store.run(Lane::Read, "look at what is uncertain", look).await
}

/// An incident, and who is in it.
#[derive(Debug)]
pub struct Inside {
    /// The incident.
    pub case: Case,
    /// The recipients, by id.
    pub contacts: Vec<ContactId>,
    /// Whether these are all. False: the campaign has more uncertain deliveries than one look takes, and some of them may belong here.
    pub complete: bool,
}

/// Most looks for one incident.
const MOST_LOOKS: usize = 4;

/// One incident and its recipients. `None`: nothing of it is uncertain, any more or at all.
///
/// # Errors
/// The database failed.
pub async fn find(store: &Store, key: IncidentKey) -> Result<Option<Inside>, StoreError> {
    let look = move |conn: &mut Conn| {
        conn.snapshot(|conn| {
            let (mut found, mut after, mut complete) = (Vec::new(), None, false);
            for _ in 0..MOST_LOOKS {
                let Looked { rows, next } = uncertain::look(conn, Some(key.campaign), after)?;
                found.extend(rows.into_iter().filter(|row| row.incident() == key));
                after = next;
                if after.is_none() {
                    complete = true;
                    break;
                }
            }
            let mut contacts: Vec<ContactId> = found.iter().map(|row| row.contact).collect();
            contacts.sort_unstable();
            let case = cases(conn, incident::incidents(found))?.pop();
            Ok(case.map(|case| Inside { case, contacts, complete }))
        })
    };
    store.run(Lane::Read, "look at an incident", look).await
}

fn cases(conn: &mut Conn, incidents: Vec<Incident>) -> Result<Vec<Case>, StoreError> {
    let campaigns: BTreeSet<CampaignId> = incidents.iter().map(|one| one.key.campaign).collect();
    let names = uncertain::names(conn, &campaigns.into_iter().collect::<Vec<_>>())?;
    let owners: BTreeSet<InstanceId> = incidents.iter().filter_map(|one| one.key.owner()).collect();
    let owners: BTreeMap<InstanceId, Owner> = uncertain::owners(conn, &owners.into_iter().collect::<Vec<_>>())?;
    let case = |incident: Incident| {
        let campaign = names.get(&incident.key.campaign)?.clone();
        let owner = incident.key.owner().and_then(|id| owners.get(&id)).cloned();
        let stands = owner.as_ref().map(|owner| owner.stands);
        let journal = Journal::of(incident.reason.as_deref(), incident.category, stands);
        Some(Case { incident, campaign, owner, journal })
    };
    Ok(incidents.into_iter().filter_map(case).collect())
}
