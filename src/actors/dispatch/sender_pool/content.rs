//! What a campaign says, compiled once, and the rules that travel with it.

use std::sync::Arc;
use std::time::Duration;

use super::alike::Answers;
use super::render_tally::RenderTally;
use crate::config::Settings;
use crate::domain::callbacks::delivery_key::DeliveryKey;
use crate::domain::campaigns::{CampaignStatus, OnUncertain};
use crate::domain::channel::ChannelKind;
use crate::domain::content::attachment::Attachment;
use crate::domain::content::message::Message;
use crate::domain::content::props::Props;
use crate::domain::content::template::RenderError;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::people::contact::Profile;
use crate::domain::span::Span;
use crate::domain::trace::Trace;
use crate::services::campaigns::composed::{ComposeError, Composed};
use crate::services::content::files;
use crate::services::people::links::Links;
use crate::store::campaigns::{about, email_fields};
use crate::store::content::templates;
use crate::store::{Conn, StoreError, campaigns};

/// A launched campaign, ready to be rendered.
pub(super) struct CampaignContent {
    pub(super) channel: ChannelKind,
    pub(super) on_uncertain: OnUncertain,
    pub(super) rate_per_second: f64,
    /// How much waiting between tries a recipient is given, if the campaign says so.
    pub(super) retry_for: Option<Duration>,
    /// What log lines about this sending carry.
    pub(super) correlation: Option<String>,
    /// The trace that its messages are a part of.
    pub(super) trace: Option<Trace>,
    /// How it has fared with its recipients.
    pub(super) render_tally: RenderTally,
    /// How they were answered.
    pub(super) answers: Answers,
    /// Files that every message has.
    pub(super) attachments: Arc<[Attachment]>,
    /// The name of its template, where it has one.
    pub(super) template_name: Option<String>,
    /// The values of its own.
    pub(super) props: Props,
    key: String,
    composed: Composed,
}

/// Why a campaign cannot be rendered at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContentError {
    /// It is gone, or was never launched.
    #[error("the campaign is not launched")]
    NotLaunched,
    /// The pinned template does not compile.
    #[error("the pinned template does not compile: {0}")]
    Template(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ComposeError> for ContentError {
    fn from(error: ComposeError) -> Self {
        match error {
            ComposeError::Template(error) => Self::Template(error.to_string()),
            ComposeError::Store(error) => Self::Store(error),
        }
    }
}

impl CampaignContent {
    pub(super) fn load(
        conn: &mut Conn,
        id: CampaignId,
        links: &Links,
        settings: &Settings,
    ) -> Result<Self, ContentError> {
        let campaign = campaigns::find(conn, id)?.ok_or(ContentError::NotLaunched)?;
        let (Some(key), Some(version)) = (campaign.key.clone(), campaign.template_version_id) else {
            return Err(ContentError::NotLaunched);
        };
        if campaign.status == CampaignStatus::Draft {
            return Err(ContentError::NotLaunched);
        }
        let content = templates::find_version(conn, version)?.ok_or(ContentError::NotLaunched)?.content();
        let composed = Composed::of(conn, links, settings, &campaign, &content)?;
        let email = email_fields::of(conn, &campaign)?;
        let attachments = files::attachments(conn, &email.attachments)?;
        let template_name = campaign.template_id.map(|id| templates::name_of(conn, id)).transpose()?.flatten();
        let props = about::of(conn, campaign.id)?.props;
        Ok(Self {
            channel: campaign.channel,
            on_uncertain: campaign.on_uncertain,
            rate_per_second: campaign.rate_per_second.unwrap_or(0.0),
            retry_for: campaign.retry_for_ms.map(|ms| Span::from_ms(ms).0),
            trace: campaign.correlation_id.as_deref().and_then(Trace::of_correlation),
            correlation: campaign.correlation_id,
            render_tally: RenderTally::default(),
            answers: Answers::default(),
            attachments,
            template_name,
            props,
            key,
            composed,
        })
    }

    /// The message of one recipient. `is_new`: this is the first try, which counts for the content's tally.
    pub(super) fn render(&self, contact: ContactId, profile: &Profile, is_new: bool) -> Result<Message, RenderError> {
        let rendered = self.composed.render(contact, profile);
        if is_new {
            self.render_tally.note(rendered.is_ok());
        }
        rendered
    }

    /// Whether rendering it may take a while.
    pub(super) fn is_program(&self) -> bool {
        self.composed.is_program()
    }

    /// One for the delivery's whole life.
    pub(super) fn delivery_key(&self, contact: ContactId) -> String {
        DeliveryKey::text(&self.key, contact)
    }
}
