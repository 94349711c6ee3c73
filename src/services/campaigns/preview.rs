//! What a campaign would say to one contact.

use std::collections::BTreeSet;

use super::render::{Material, RenderingError, profiles};
use crate::domain::content::attachment::AttachedFile;
use crate::domain::content::check::check_for_preview;
use crate::domain::content::email_fields::CompiledFields;
use crate::domain::content::message::Message;
use crate::domain::content::template::Provided;
use crate::domain::dispatch::delivery::SkipReason;
use crate::domain::dispatch::eligibility::address_for;
use crate::domain::ids::{CampaignId, ContactId};
use crate::services::Services;
use crate::services::content::files;
use crate::store::{Lane, StoreError};

/// A campaign as one contact would get it.
#[derive(Debug)]
pub struct CampaignPreview {
    /// What it says.
    pub message: Message,
    /// The files of every message.
    pub files: Vec<AttachedFile>,
    /// The text that was rendered.
    pub text: String,
    /// Names that the content uses and this contact has no value for.
    pub missing: Vec<String>,
    /// Names that the content uses and no contact has ever had.
    pub unknown: BTreeSet<String>,
    /// The contact's given name.
    pub first_name: Option<String>,
    /// Why it would not be sent to this contact.
    pub skip_reason: Option<SkipReason>,
}

/// Renders a campaign for one contact, with `text` instead of its own if that is given. Nothing is stored.
///
/// # Errors
/// [`RenderingError`].
pub async fn preview(
    services: &Services,
    id: CampaignId,
    contact: ContactId,
    text: Option<String>,
) -> Result<CampaignPreview, RenderingError> {
    let mut material = Material::read(&services.store, id).await?;
    if let Some(text) = text {
        material.content.text = text;
    }
    let (compiled, unknown) = material.compile(check_for_preview).await?;
    let found = profiles(&services.store, &[contact]).await?;
    let profile = found.into_iter().next().ok_or_else(|| RenderingError::NoContacts(vec![contact]))?;
    let provided = Provided { props: material.props.clone(), ..services.links.sample(&services.settings) };
    let reached = address_for(material.campaign.channel, &profile).map(drop);
    let asked = material.may_send(&services.store, contact).await?;
    let skip_reason = reached.and(asked).err();
    let mut message = compiled.render_for(&profile, &provided, None)?;
    let fields = CompiledFields::compile(&material.email, &material.known)
        .map_err(|error| StoreError::Corrupt { what: "headers of a campaign", detail: error.to_string() })?;
    message.headers = fields.render(&profile, &provided)?;
    message.from = fields.from;
    message.reply_to = fields.reply_to;
    let uses = material.email.attachments;
    let look_up = move |conn: &mut _| files::described(conn, &uses);
    Ok(CampaignPreview {
        message,
        files: services.store.run(Lane::Read, "look up the files of a campaign", look_up).await?,
        text: material.content.text,
        missing: compiled.missing(&profile, &provided).into_iter().filter(|name| !unknown.contains(name)).collect(),
        unknown,
        first_name: profile.fields.first_name,
        skip_reason,
    })
}
