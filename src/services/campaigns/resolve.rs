//! An operator's word on what is uncertain.

use serde_json::{Value, json};

use crate::domain::access::audit::{Action, Object};
use crate::domain::callbacks::delivery_key::DeliveryKey;
use crate::domain::campaigns::CampaignStatus;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::note::Note;
use crate::domain::shown::grouped;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::campaigns::{self, Sweep, TransitionError};
use crate::store::dispatch::deliveries::{self, Resolution};
use crate::store::{Conn, Lane};

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Resolved {
    /// How many deliveries changed, or how many a pass that has begun will find.
    pub resolved: i64,
    /// The campaign's status now.
    pub status: CampaignStatus,
}

/// On what evidence. It stands in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What a person says of it.
    pub note: Note,
    /// SHA-256 of the log that was looked into, in hex: who has the file can show that it is the one.
    pub log_sha256: Option<String>,
}

impl Evidence {
    fn as_json(&self) -> Value {
        json!({ "note": self.note.as_str(), "log_sha256": self.log_sha256 })
    }
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Order {
    /// Whose; `None`: all uncertain ones of the campaign.
    pub contacts: Option<Vec<ContactId>>,
    /// What becomes of them.
    pub resolution: Resolution,
    /// On what evidence.
    pub evidence: Option<Evidence>,
}

/// What a resolution means for people, in a sentence.
#[must_use]
pub fn consequence(resolution: Resolution, count: i64) -> String {
    let people = if count == 1 { "1 person".to_owned() } else { format!("{} people", grouped(count)) };
    let (counts, gets) = if count == 1 { ("counts", "gets") } else { ("count", "get") };
    match (resolution, count) {
        (_, 0) => "Nothing is uncertain here, and nothing would change.".to_owned(),
        (Resolution::Sent, _) => format!("Counted as sent: {people} {counts} as reached, and {gets} no other message."),
        (Resolution::Failed, _) => format!(
            "Counted as not sent: {people} {counts} as not reached, and {gets} no message unless what failed is tried again."
        ),
        (Resolution::Pending, _) => format!("Sent again: up to {people} may get it twice."),
    }
}

/// Says what would become of it, and changes nothing.
///
/// # Errors
/// As [`resolve`].
pub async fn plan(
    services: &Services,
    id: CampaignId,
    contacts: Option<Vec<ContactId>>,
    resolution: Resolution,
) -> Result<Resolved, TransitionError> {
    let look = move |conn: &mut Conn| {
        let Some(status) = campaigns::glance::these(conn, &[id])?.pop().map(|row| row.status) else {
            return Ok(Err(TransitionError::NotFound(id)));
        };
        let resolved = match contacts.as_deref() {
            None => campaigns::counts(conn, id)?.uncertain,
            Some(contacts) => deliveries::count_uncertain(conn, id, contacts)?,
        };
        let would = Resolved { resolved, status };
        // Nobody to send to: then nothing is opened.
        if resolution != Resolution::Pending || resolved == 0 {
            return Ok(Ok(would));
        }
        match campaigns::may_reopen(conn, id, status) {
            Ok(_) => Ok(Ok(would)),
            Err(TransitionError::Store(error)) => Err(error),
            Err(
                error @ (TransitionError::NotFound(_)
                | TransitionError::Illegal(_)
                | TransitionError::SweepUnderWay(_)
                | TransitionError::Archived(_)),
            ) => Ok(Err(error)),
        }
    };
    services.store.run(Lane::Read, "say what would be resolved", look).await?
}

/// The contacts that keys or `Message-ID`s of a campaign name.
///
/// # Errors
/// The campaign is missing, or the database failed. In the answer, an error is the place of the first text that is no key of it.
pub async fn contacts_of(
    services: &Services,
    id: CampaignId,
    texts: Vec<String>,
) -> Result<Result<Vec<ContactId>, usize>, TransitionError> {
    let read = move |conn: &mut Conn| campaigns::glance::these(conn, &[id]);
    let row = services.store.run(Lane::Read, "read a campaign's key", read).await?.pop();
    let key = row.ok_or(TransitionError::NotFound(id))?.key;
    let one = |(place, text): (usize, &String)| {
        let found = DeliveryKey::parse(text).filter(|found| Some(&found.campaign) == key.as_ref());
        found.map(|found| found.contact).ok_or(place)
    };
    Ok(texts.iter().enumerate().map(one).collect())
}

/// Resolves the uncertain deliveries of a campaign, or of some of its contacts. Those to be sent again need an open
/// campaign: it is opened again in the same transaction, unless there is nobody to send to.
///
/// # Errors
/// The campaign is missing or cannot be opened again, or the database failed. Repeating it finishes the rest.
pub async fn resolve(services: &Services, id: CampaignId, order: Order, by: &By) -> Result<Resolved, TransitionError> {
    let Order { contacts, resolution, evidence } = order;
    let mut asked = json!({ "resolution": resolution.state(), "contacts": contacts.as_ref().map(Vec::len) });
    if let (Some(fields), Some(evidence)) = (asked.as_object_mut(), &evidence) {
        fields.insert("evidence".to_owned(), evidence.as_json());
    }
    let line = Line::of(Action::Resolved, Object::Campaign, id).after(asked);
    let done = match resolution {
        Resolution::Pending => send_again(services, id, contacts, line, by).await?,
        Resolution::Sent | Resolution::Failed => settle(services, id, contacts, resolution, line, by).await?,
    };
    tracing::info!(
        event = "campaign.resolved",
        campaign.id = id.0,
        resolved = done.resolved,
        resolution = resolution.state().as_str(),
        by = %by,
        "uncertain deliveries of the campaign were resolved"
    );
    Ok(done)
}

/// Page by page, each its own transaction: repeating it after an interruption finishes the rest.
async fn settle(
    services: &Services,
    id: CampaignId,
    contacts: Option<Vec<ContactId>>,
    resolution: Resolution,
    line: Line,
    by: &By,
) -> Result<Resolved, TransitionError> {
    // No read behind the effect: it could fail, and who asks again would resolve what became uncertain meanwhile.
    let found = services.store.run(Lane::Read, "read a campaign", move |conn| campaigns::find(conn, id)).await?;
    let status = found.ok_or(TransitionError::NotFound(id))?.status;
    // Before the first page: it says what was asked for.
    audit::announce(&services.store, by, line).await?;
    let chosen = contacts.clone();
    let find = move |conn: &mut _| deliveries::uncertain_pages(conn, id, chosen.as_deref());
    let pages = services.store.run(Lane::Read, "find what is uncertain", find).await?;
    let mut resolved = 0;
    for page in pages {
        let contacts = contacts.clone();
        let one = move |conn: &mut Conn| deliveries::resolve_pages(conn, &[page], contacts.as_deref(), resolution);
        resolved += services.store.transact(Lane::Write, "resolve what is uncertain", one).await?;
    }
    Ok(Resolved { resolved, status })
}

async fn send_again(
    services: &Services,
    id: CampaignId,
    contacts: Option<Vec<ContactId>>,
    line: Line,
    by: &By,
) -> Result<Resolved, TransitionError> {
    let by = by.clone();
    let again = move |conn: &mut Conn| {
        // First the lock, which says whether there is such a campaign.
        campaigns::locked(conn, id)?;
        audit::write(conn, &by, line)?;
        let Some(contacts) = contacts else {
            let uncertain = campaigns::counts(conn, id)?.uncertain;
            if uncertain == 0 {
                return Ok((campaigns::locked(conn, id)?.into_row(), 0));
            }
            return Ok((campaigns::reopen(conn, id, Some(Sweep::ResendUncertain))?, uncertain));
        };
        let before = campaigns::locked(conn, id)?;
        let pages = deliveries::uncertain_pages(conn, id, Some(&contacts))?;
        if pages.is_empty() {
            return Ok((before.into_row(), 0));
        }
        let row = campaigns::reopen(conn, id, None)?;
        let resolved = deliveries::resolve_pages(conn, &pages, Some(&contacts), Resolution::Pending)?;
        Ok::<_, TransitionError>((row, resolved))
    };
    let (row, resolved) = services.store.transact(Lane::Control, "send uncertain deliveries again", again).await?;
    services.status.set(id, row.status, row.status_version);
    services.hints.campaign_changed(id);
    Ok(Resolved { resolved, status: row.status })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resolution_says_what_it_means_for_people() {
        let said = |resolution, count| consequence(resolution, count);
        assert_eq!(said(Resolution::Pending, 10), "Sent again: up to 10 people may get it twice.");
        assert_eq!(said(Resolution::Pending, 1), "Sent again: up to 1 person may get it twice.");
        assert_eq!(
            said(Resolution::Sent, 1_200),
            "Counted as sent: 1,200 people count as reached, and get no other message."
        );
        assert!(said(Resolution::Failed, 1).starts_with("Counted as not sent: 1 person counts as not reached"));
        assert!(said(Resolution::Failed, 0).contains("nothing would change"));
    }
}
