//! The links of one recipient, for an operator who answers a person, or who tries what a recipient can do.

use std::sync::Arc;

use serde_json::json;

use super::carried::{Carried, RecipientLinks};
use crate::domain::access::audit::{Action, Object};
use crate::domain::callbacks::delivery_key::DeliveryKey;
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{CampaignId, ContactId};
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::campaigns::archives::Archived;
use crate::store::campaigns::{self, archives};
use crate::store::dispatch::deliveries;
use crate::store::{Conn, Lane, MayBeStoreError, StoreError};

/// What is given of a recipient's message.
pub struct Given {
    /// What reports name the delivery by. None: the campaign is not launched.
    pub delivery_key: Option<String>,
    /// Its links and headers.
    pub links: RecipientLinks,
}

/// Why no links are given.
#[derive(Debug, thiserror::Error)]
pub enum LinksError {
    /// There is no such campaign.
    #[error("there is no campaign {0}")]
    NoCampaign(CampaignId),
    /// The contact is no recipient of the campaign, or is not packed yet.
    #[error("the campaign has no delivery to contact {0}")]
    NoDelivery(ContactId),
    /// The campaign's deliveries were archived: it is not known here who was sent it.
    #[error("{0}")]
    Archived(Box<Archived>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MayBeStoreError for LinksError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        if let Self::Store(error) = self { Ok(error) } else { Err(self) }
    }
}

/// The links and headers of the message that a recipient of a launched campaign got or will get. The holder of a link can refuse in
/// the recipient's name: the audit log says, before the answer, whose links were given, and to which key.
///
/// # Errors
/// [`LinksError`].
pub async fn recipient_links(
    services: &Services,
    id: CampaignId,
    contact: ContactId,
    by: &By,
) -> Result<Given, LinksError> {
    let (links, settings, by) = (services.links.clone(), Arc::clone(&services.settings), by.clone());
    let give = move |conn: &mut Conn| {
        let campaign = campaigns::find(conn, id)?.ok_or(LinksError::NoCampaign(id))?;
        if let Some(archived) = archives::find(conn, id)? {
            return Err(LinksError::Archived(Box::new(archived)));
        }
        if !deliveries::exists(conn, id, contact)? {
            return Err(LinksError::NoDelivery(contact));
        }
        let mut links = Carried::of(conn, &links, &settings, &campaign)?.links(contact);
        if campaign.channel != ChannelKind::Email {
            links.headers = None;
        }
        let delivery_key = campaign.key.as_deref().map(|key| DeliveryKey::text(key, contact));
        let after = json!({ "fields": ["links"], "contact_ids": [contact] });
        audit::write(conn, &by, Line::of(Action::Read, Object::Campaign, id).after(after))?;
        Ok(Given { delivery_key, links })
    };
    services.store.transact(Lane::Write, "give the links of a recipient", give).await
}
