//! What the messages of a campaign carry beside their content: links, the sender's postal address, and the headers by which
//! mailbox providers offer to unsubscribe.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::Settings;
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::content::email_fields::CompiledFields;
use crate::domain::content::message::{ListHeaders, Message};
use crate::domain::content::props::Props;
use crate::domain::content::template::{Compiled, Content, Provided, ProvidedName, RenderError};
use crate::domain::content::tracking::{LinkRules, Tracking};
use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::people::contact::Profile;
use crate::domain::people::link::{Kid, Link, LinkKey};
use crate::services::campaigns::known_names::known_names;
use crate::services::people::links::{CampaignLinks, Links};
use crate::store::campaigns::{self, CampaignRow, about, email_fields};
use crate::store::people::{link_keys, topics};
use crate::store::{Conn, StoreError, engine};

/// What the messages of one campaign carry. Made once for a campaign, and asked for each recipient.
#[derive(Debug, Clone)]
pub struct Carried {
    links: Option<CampaignLinks>,
    postal_address: Option<Arc<str>>,
    /// What is tracked of its messages, and which links may be.
    tracked: Option<(Tracking, LinkRules)>,
    /// Whether its messages have the headers.
    has_headers: bool,
    list_id: Option<String>,
    /// The headers of its own.
    fields: CompiledFields,
    /// The values of its own.
    props: Props,
    /// What signs the addresses that its emails come back to. None: they come back to their sender.
    returns: Option<(LinkKey, CampaignId)>,
}

impl Carried {
    /// What the messages of `campaign` carry. One that is not launched yet is tested with the newest key.
    ///
    /// # Errors
    /// A query failed, or the campaign's key is gone.
    pub fn of(conn: &mut Conn, links: &Links, settings: &Settings, campaign: &CampaignRow) -> Result<Self, StoreError> {
        let links = links_of(conn, links, campaign)?;
        let has_headers = match campaign.channel {
            // What an HTTP API is told may become an email.
            ChannelKind::Email | ChannelKind::Http => campaigns::category(conn, campaign)? == Category::Marketing,
            ChannelKind::Sms | ChannelKind::Whatsapp => false,
        };
        let list_id = match (&links, has_headers) {
            (Some(links), true) => list_id(conn, campaign, &links.host())?,
            (None, _) | (_, false) => None,
        };
        let returns = if comes_back(settings, campaign) { Some((key_of(conn, campaign)?, campaign.id)) } else { None };
        let postal_address = settings.email.postal_address.as_deref().map(Arc::from);
        let base = links.as_ref().map(CampaignLinks::base);
        let tracked = tracked(settings, base, campaign.channel, campaigns::tracking(conn, campaign)?);
        let fields = compiled_fields(conn, campaign)?;
        let props = about::of(conn, campaign.id)?.props;
        Ok(Self { links, postal_address, tracked, has_headers, list_id, fields, props, returns })
    }

    /// The campaign's content, ready to be tracked as far as it is. `compiled` was made from `content` and `known` attributes.
    #[must_use]
    pub fn prepare(&self, compiled: Compiled, content: &Content, known: &BTreeSet<String>) -> Compiled {
        match &self.tracked {
            Some((tracking, rules)) => compiled.tracked(content, known, *tracking, rules.clone()),
            None => compiled,
        }
    }

    /// The message of one recipient.
    ///
    /// # Errors
    /// As [`Compiled::render_for`].
    pub fn render(&self, compiled: &Compiled, contact: ContactId, profile: &Profile) -> Result<Message, RenderError> {
        // Each link costs a MAC: only those that are used are made.
        let uses = |name| compiled.uses(name) || self.fields.uses(name);
        let in_content = uses(ProvidedName::UnsubscribeUrl);
        let unsubscribe =
            self.links.as_ref().filter(|_| in_content || self.has_headers).map(|links| links.unsubscribe(contact));
        let preferences = self.links.as_ref().filter(|_| uses(ProvidedName::PreferencesUrl));
        let provided = Provided {
            unsubscribe_url: unsubscribe.clone(),
            preferences_url: preferences.map(|links| links.preferences(contact)),
            postal_address: self.postal_address.as_deref().map(str::to_owned),
            props: self.props.clone(),
        };
        let is_tracked = self.tracked.is_some() && !profile.untracked;
        let tracker = self.links.as_ref().filter(|_| is_tracked).map(|links| links.tracker(contact));
        let mut message = compiled.render_for(profile, &provided, tracker.as_ref())?;
        self.add_fields(&mut message, profile, &provided)?;
        message.returns = self
            .returns
            .as_ref()
            .map(|(key, campaign)| key.sign_for_address(&Link::Returned { campaign: *campaign, contact }));
        message.list = unsubscribe.and_then(|unsubscribe| self.headers(unsubscribe));
        Ok(message)
    }

    /// Adds what the campaign's emails have beside the words: who they are from, where answers go, and headers.
    ///
    /// # Errors
    /// As [`CompiledFields::render`].
    pub fn add_fields(&self, message: &mut Message, profile: &Profile, provided: &Provided) -> Result<(), RenderError> {
        message.headers = self.fields.render(profile, provided)?;
        message.from.clone_from(&self.fields.from);
        message.reply_to.clone_from(&self.fields.reply_to);
        Ok(())
    }

    /// The same with the campaign's own values.
    #[must_use]
    pub fn with_props(&self, provided: &Provided) -> Provided {
        Provided { props: self.props.clone(), ..provided.clone() }
    }

    /// Whether filling in its headers may take a while.
    #[must_use]
    pub fn has_programs(&self) -> bool {
        self.fields.is_program()
    }

    fn headers(&self, unsubscribe: String) -> Option<ListHeaders> {
        self.has_headers.then(|| ListHeaders { unsubscribe, id: self.list_id.clone() })
    }

    /// The same links and headers that the message of `contact` has.
    #[must_use]
    pub fn links(&self, contact: ContactId) -> RecipientLinks {
        let unsubscribe_url = self.links.as_ref().map(|links| links.unsubscribe(contact));
        RecipientLinks {
            headers: unsubscribe_url.clone().and_then(|unsubscribe| self.headers(unsubscribe)),
            preferences_url: self.links.as_ref().map(|links| links.preferences(contact)),
            unsubscribe_url,
        }
    }
}

/// What a message carries for its recipient to say no. A link lets its holder refuse in the recipient's name.
#[derive(Clone)]
pub struct RecipientLinks {
    /// Where the recipient refuses what the campaign is about. None: links lead nowhere (`links.public_url`).
    pub unsubscribe_url: Option<String>,
    /// Where the recipient sees and changes what it agreed to.
    pub preferences_url: Option<String>,
    /// The headers of an email; none for other channels, and for what is transactional.
    pub headers: Option<ListHeaders>,
}

/// What is tracked of messages of this channel, and which of their links may be. `None`: nothing; links that lead nowhere (`base`)
/// cannot be tracked, and only emails are.
pub(super) fn tracked(
    settings: &Settings,
    base: Option<Arc<str>>,
    channel: ChannelKind,
    tracking: Tracking,
) -> Option<(Tracking, LinkRules)> {
    let rules = LinkRules::new(settings.tracking.spelled_hosts(), &base?);
    (channel == ChannelKind::Email && tracking.is_on()).then_some((tracking, rules))
}

/// What its emails have beside the content, compiled.
fn compiled_fields(conn: &mut Conn, campaign: &CampaignRow) -> Result<CompiledFields, StoreError> {
    let fields = email_fields::of(conn, campaign)?;
    if fields.is_empty() {
        return Ok(CompiledFields::default());
    }
    CompiledFields::compile(&fields, &known_names(conn, campaign.id)?)
        .map_err(|error| StoreError::Corrupt { what: "headers of a campaign", detail: error.to_string() })
}

/// Whether the campaign's pool says where mail comes back to.
fn comes_back(settings: &Settings, campaign: &CampaignRow) -> bool {
    let pool = settings.pools.iter().find(|pool| Some(pool.name.as_str()) == campaign.pool.as_deref());
    pool.and_then(|pool| pool.provider.smtp()).is_some_and(|smtp| smtp.return_path().is_some())
}

/// The links of a campaign's messages. One that is not launched yet is tested with the newest key. `None`: links lead nowhere.
fn links_of(conn: &mut Conn, links: &Links, campaign: &CampaignRow) -> Result<Option<CampaignLinks>, StoreError> {
    let Some(base) = links.base() else { return Ok(None) };
    let launched_at = match campaign.launched_at {
        Some(at) => at,
        None => engine::now(conn)?,
    };
    Ok(Some(CampaignLinks::new(Arc::clone(base), key_of(conn, campaign)?, campaign.id, launched_at)))
}

/// The key that was pinned at the launch. A campaign that was launched by a version without links takes the oldest, which
/// stays the oldest.
fn key_of(conn: &mut Conn, campaign: &CampaignRow) -> Result<LinkKey, StoreError> {
    let mut keys = link_keys::all(conn)?;
    let key = match (&campaign.link_kid, campaign.launched_at) {
        (Some(kid), _) => {
            let kid = Kid::parse(kid);
            keys.into_iter().find(|key| Some(key.kid()) == kid)
        }
        (None, Some(_)) => keys.pop(),
        (None, None) => keys.into_iter().next(),
    };
    key.ok_or_else(|| StoreError::Corrupt {
        what: "key of links",
        detail: format!("the key of campaign {} is missing", campaign.id),
    })
}

/// The identifier of the list that a campaign is about (RFC 2919): its slug before the host of links.
fn list_id(conn: &mut Conn, campaign: &CampaignRow, host: &str) -> Result<Option<String>, StoreError> {
    let topic = match topics::topic_of(conn, campaign.id)? {
        Some(topic) => topic,
        None => match first_list(campaign)? {
            Some(list) => list,
            None => return Ok(None),
        },
    };
    let label = match topics::slug(conn, topic)? {
        Some(slug) => slug,
        None => format!("list-{topic}"),
    };
    Ok(Some(format!("{label}.{host}")))
}

fn first_list(campaign: &CampaignRow) -> Result<Option<ListId>, StoreError> {
    Ok(campaigns::topics(campaign)?.first().copied())
}
