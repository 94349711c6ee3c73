//! What a content would say to one reader, before it is saved anywhere.

use std::collections::BTreeSet;

use super::check::ContentError;
use crate::domain::channel::ChannelKind;
use crate::domain::content::advice::{Advice, advise};
use crate::domain::content::check;
use crate::domain::content::message::Message;
use crate::domain::content::props;
use crate::domain::content::sms::SmsLength;
use crate::domain::content::template::{Content, RenderError};
use crate::domain::ids::{ContactId, TemplateId};
use crate::domain::people::contact::{BuiltIn, Profile};
use crate::services::Services;
use crate::services::blocking::blocking;
use crate::store::people::{attributes, contacts};
use crate::store::{Lane, StoreError};

/// Who reads.
#[derive(Debug, Clone)]
pub enum Reader {
    /// A contact.
    Contact(ContactId),
    /// Somebody with these values and no others.
    Example(Box<Profile>),
    /// Somebody who has a value for every name of the content; those of attributes stand for themselves.
    Anybody,
}

/// A content as one reader would get it.
#[derive(Debug)]
pub struct ContentPreview {
    /// What it says.
    pub message: Message,
    /// The names that the content uses.
    pub placeholders: Vec<String>,
    /// Those for which this reader has no value.
    pub missing: Vec<String>,
    /// Those that no contact has ever had.
    pub unknown: BTreeSet<String>,
    /// What its author may want to change, and is not refused for.
    pub warnings: Vec<Advice>,
    /// How long it is as a text message; of other channels none.
    pub sms: Option<SmsLength>,
}

/// Why a content is not rendered.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// There is no such template.
    #[error("there is no template {0}")]
    NoTemplate(TemplateId),
    /// The template has no such version.
    #[error("the template has no version {0}")]
    NoVersion(i64),
    /// There is no such contact.
    #[error("there is no contact {0}")]
    NoContact(ContactId),
    /// The content is refused.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// It cannot be rendered for this reader.
    #[error(transparent)]
    Unrenderable(#[from] RenderError),
}

impl From<StoreError> for PreviewError {
    fn from(error: StoreError) -> Self {
        Self::Content(error.into())
    }
}

/// Renders a content for one reader. Nothing is stored.
///
/// # Errors
/// [`PreviewError`].
pub async fn preview_content(
    services: &Services,
    channel: ChannelKind,
    content: Content,
    reader: Reader,
) -> Result<ContentPreview, PreviewError> {
    let (mut known, profile) = match reader {
        Reader::Contact(id) => {
            let read = move |conn: &mut _| Ok((attributes::known(conn)?, contacts::find(conn, id)?));
            let (known, row) = services.store.run(Lane::Read, "read a contact", read).await?;
            (known, Some(row.ok_or(PreviewError::NoContact(id))?.profile()?))
        }
        Reader::Example(profile) => {
            (services.store.run(Lane::Read, "read attribute names", attributes::known).await?, Some(*profile))
        }
        Reader::Anybody => (services.store.run(Lane::Read, "read attribute names", attributes::known).await?, None),
    };
    // A template is for any campaign.
    known.extend(props::any());
    let provided = services.links.sample(&services.settings);
    let content = content.tidied();
    let render = move || {
        let (compiled, unknown) = check::check_for_preview(channel, &content, &known).map_err(ContentError::Parts)?;
        let profile = profile.unwrap_or_else(|| example(compiled.placeholders()));
        let message = compiled.render_for(&profile, &provided, None)?;
        Ok(ContentPreview {
            sms: (channel == ChannelKind::Sms).then(|| SmsLength::of(&message.text)),
            warnings: message.html.as_deref().map(advise).unwrap_or_default(),
            message,
            placeholders: compiled.placeholders().map(ToOwned::to_owned).collect(),
            missing: compiled.missing(&profile, &provided).into_iter().filter(|name| !unknown.contains(name)).collect(),
            unknown,
        })
    };
    blocking("render a preview", render).await.map_err(ContentError::from)?
}

/// Somebody who has a value for each of these names.
fn example<'n>(names: impl Iterator<Item = &'n str>) -> Profile {
    let mut profile = Profile::default();
    for name in names {
        let Some(field) = BuiltIn::from_name(name) else {
            profile.attributes.insert(name.to_owned(), format!("‹{name}›").into());
            continue;
        };
        let value = match field {
            BuiltIn::ExternalId => "c-1",
            BuiltIn::Email => "ann@example.com",
            BuiltIn::Phone => "+442079460123",
            BuiltIn::FirstName => "Ann",
            BuiltIn::LastName => "Lee",
            BuiltIn::Timezone => "Europe/London",
            BuiltIn::Locale => "en",
        };
        *profile.fields.get_mut(field) = Some(value.to_owned());
    }
    profile
}
