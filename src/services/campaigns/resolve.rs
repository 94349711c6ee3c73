//! An operator's word on what is uncertain.

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::ids::{CampaignId, ContactId};
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

/// Resolves the uncertain deliveries of a campaign, or of some of its contacts. Those to be sent again need an open
/// campaign: it is opened again in the same transaction, unless there is nobody to send to.
///
/// # Errors
/// The campaign is missing or cannot be opened again, or the database failed. Repeating it finishes the rest.
pub async fn resolve(
    services: &Services,
    id: CampaignId,
    contacts: Option<Vec<ContactId>>,
    resolution: Resolution,
    by: &By,
) -> Result<Resolved, TransitionError> {
    let asked = json!({ "resolution": resolution.state(), "contacts": contacts.as_ref().map(Vec::len) });
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
        let one = move |conn: &mut Conn| deliveries::resolve_page(conn, page, contacts.as_deref(), resolution);
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
        let mut resolved = 0;
        for page in pages {
            resolved += deliveries::resolve_page(conn, page, Some(&contacts), Resolution::Pending)?;
        }
        Ok::<_, TransitionError>((row, resolved))
    };
    let (row, resolved) = services.store.transact(Lane::Control, "send uncertain deliveries again", again).await?;
    services.status.set(id, row.status, row.status_version);
    services.hints.campaign_changed(id);
    Ok(Resolved { resolved, status: row.status })
}
