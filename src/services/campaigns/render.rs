//! What a campaign would say to a contact: found and compiled as it is now.

use std::collections::BTreeSet;

use super::carried::Carried;
use super::known_names::known_names;
use crate::domain::content::category::Category;
use crate::domain::content::email_fields::EmailFields;
use crate::domain::content::props::Props;
use crate::domain::content::template::{Compiled, Content, RenderError};
use crate::domain::dispatch::delivery::SkipReason;
use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::people::contact::Profile;
use crate::services::content::check::{self, Check, ContentError};
use crate::store::campaigns::{self, CampaignRow, about, email_fields};
use crate::store::dispatch::looks;
use crate::store::people::contacts;
use crate::store::{Conn, Lane, Store, StoreError};

/// Why a campaign is not rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderingError {
    /// There is no such campaign.
    #[error("there is no campaign {0}")]
    NoCampaign(CampaignId),
    /// There are no such contacts: all that are missing.
    #[error("{} of the contacts do not exist", .0.len())]
    NoContacts(Vec<ContactId>),
    /// Its content is refused.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// It cannot be rendered for one of the contacts.
    #[error(transparent)]
    Unrenderable(#[from] RenderError),
}

impl From<StoreError> for RenderingError {
    fn from(error: StoreError) -> Self {
        Self::Content(error.into())
    }
}

/// A campaign, what it says, and which names it may use.
pub(super) struct Material {
    pub(super) campaign: CampaignRow,
    /// Empty where it has none.
    pub(super) content: Content,
    /// What its emails have beside it.
    pub(super) email: EmailFields,
    /// The names that it may use.
    pub(super) known: BTreeSet<String>,
    /// The values of its own.
    pub(super) props: Props,
    category: Category,
    /// Empty where it is about none.
    topics: Vec<ListId>,
}

impl Material {
    /// Reads it as it is now.
    pub(super) async fn read(store: &Store, id: CampaignId) -> Result<Self, RenderingError> {
        let read = move |conn: &mut Conn| {
            let Some(campaign) = campaigns::find(conn, id)? else { return Ok(None) };
            let version = campaigns::content(conn, &campaign)?;
            let email = email_fields::of(conn, &campaign)?;
            let known = known_names(conn, campaign.id)?;
            let props = about::of(conn, id)?.props;
            let content = version.map(|version| version.content()).unwrap_or_default();
            let category = campaigns::category(conn, &campaign)?;
            let topics = campaigns::topics(&campaign)?;
            Ok(Some(Self { campaign, content, email, known, props, category, topics }))
        };
        let found = store.run(Lane::Read, "read a campaign's content", read).await?;
        found.ok_or(RenderingError::NoCampaign(id))
    }

    /// Whether a claim would take this contact now.
    pub(super) async fn may_send(
        &self,
        store: &Store,
        contact: ContactId,
    ) -> Result<Result<(), SkipReason>, StoreError> {
        let (channel, category, topics) = (self.campaign.channel, self.category, self.topics.clone());
        let look = move |conn: &mut Conn| looks::may_send_to(conn, contact, channel, category, &topics);
        store.run(Lane::Read, "look at what a contact has refused", look).await
    }

    /// The content, ready to be tracked as messages of the campaign are.
    pub(super) fn tracked(&self, carried: &Carried, compiled: Compiled) -> Compiled {
        carried.prepare(compiled, &self.content, &self.known)
    }

    /// Checks and compiles the content.
    pub(super) async fn compile<T: Send + 'static>(&self, check: Check<T>) -> Result<T, ContentError> {
        check::compile(self.campaign.channel, self.content.clone(), self.known.clone(), check).await
    }
}

/// The contacts, in the order asked for.
pub(super) async fn profiles(store: &Store, ids: &[ContactId]) -> Result<Vec<Profile>, RenderingError> {
    let (mut found, mut missing) = (Vec::with_capacity(ids.len()), Vec::new());
    for id in ids.iter().copied() {
        match store.run(Lane::Read, "read a contact", move |conn| contacts::find(conn, id)).await? {
            Some(row) => found.push(row.profile()?),
            None => missing.push(id),
        }
    }
    if missing.is_empty() { Ok(found) } else { Err(RenderingError::NoContacts(missing)) }
}
