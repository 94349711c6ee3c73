//! Who changed what people agreed to, and why an address is not written to.

use std::borrow::Cow;

use crate::domain::channel::ChannelKind;
use crate::domain::ids::{CampaignId, ListId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::{BuiltIn, FieldError, Fields};
use crate::domain::people::spelling::trim;
use crate::domain::people::standing::Standing;
use crate::domain::people::{email, phone};
use crate::domain::text_enum::text_enum;

/// The topic of a suppression that is about everything. No list has this id.
pub const EVERYTHING: ListId = ListId(0);

text_enum! {
    /// Why an address is not written to. Each is set and lifted by itself.
    Reason {
        /// The person refused.
        Unsubscribed = "unsubscribed",
        /// The person wants nothing more on this channel.
        Stopped = "stopped",
        /// The person complained to its provider.
        Complained = "complained",
        /// The address does not exist.
        Bounced = "bounced",
        /// The address takes no mail for now.
        SoftBounced = "soft_bounced",
        /// An operator keeps the address from being written to.
        Blocked = "blocked",
    }
}

impl Reason {
    /// Whether only an administrator may lift it.
    #[must_use]
    pub const fn is_for_admins(self) -> bool {
        match self {
            Self::Complained | Self::Bounced => true,
            Self::Unsubscribed | Self::Stopped | Self::SoftBounced | Self::Blocked => false,
        }
    }

    /// Whether somebody has said no, so that losing it would be a wrong.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        match self {
            Self::Unsubscribed | Self::Stopped | Self::Complained | Self::Blocked => true,
            Self::Bounced | Self::SoftBounced => false,
        }
    }

    /// Whether a later instant takes the place of an earlier one: the end of a soft bounce, and the last time that somebody said stop,
    /// because only what is said after it undoes it. Of the others, the first instant stays.
    #[must_use]
    pub const fn moves_on(self) -> bool {
        match self {
            Self::SoftBounced | Self::Stopped => true,
            Self::Unsubscribed | Self::Complained | Self::Bounced | Self::Blocked => false,
        }
    }
}

/// How long soft bounces suppress an address, in milliseconds.
pub const SOFT_FOR_MS: i64 = 30 * 86_400_000;

/// The longest text that a client may give as a source, in characters.
pub const MAX_SOURCE: usize = 100;

/// Where a change of consent came from. What a client writes stands behind `import: ` or `api: `, so that it cannot pass for the
/// person's own act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source(Cow<'static, str>);

impl Source {
    /// The one-click request of a mailbox provider (RFC 8058). The person's own act.
    pub const ONE_CLICK: Self = Self(Cow::Borrowed("one_click"));
    /// The button of the page behind a link. The person's own act.
    pub const PAGE: Self = Self(Cow::Borrowed("page"));
    /// The page of preferences. The person's own act.
    pub const PREFERENCES: Self = Self(Cow::Borrowed("preferences"));
    /// The link that confirms a subscription. The person's own act.
    pub const CONFIRMATION: Self = Self(Cow::Borrowed("confirmation"));
    /// A program, by the API.
    pub const API: Self = Self(Cow::Borrowed("api"));
    /// An event that a program told of.
    pub const EVENT: Self = Self(Cow::Borrowed("event"));
    /// An imported file.
    pub const IMPORT: Self = Self(Cow::Borrowed("import"));
    /// The contact was deleted: its refusals stay with its address.
    pub const DELETION: Self = Self(Cow::Borrowed("deletion"));
    /// The contact has another address: its refusals stay with the old one, and go along to the new one.
    pub const NEW_ADDRESS: Self = Self(Cow::Borrowed("new_address"));
    /// The contact has an address that refused before.
    pub const TAKEN_OVER: Self = Self(Cow::Borrowed("taken_over"));
    /// The database was restored from a backup that did not know of it.
    pub const RESTORED: Self = Self(Cow::Borrowed("restored"));
    /// Nobody confirmed it in time.
    pub const EXPIRED: Self = Self(Cow::Borrowed("expired"));

    /// The sources that are the person's own act, as they are stored.
    pub const OWN_ACTS: [&'static str; 4] = ["one_click", "page", "preferences", "confirmation"];

    /// A program, and what it says about itself.
    #[must_use]
    pub fn api(said: Option<&str>) -> Self {
        said.map_or(Self::API, |said| Self(format!("api: {said}").into()))
    }

    /// An imported file, and what it says of a row.
    #[must_use]
    pub fn import(said: Option<&str>) -> Self {
        said.map_or(Self::IMPORT, |said| Self(format!("import: {said}").into()))
    }

    /// The provider of a pool.
    #[must_use]
    pub fn pool(name: &str) -> Self {
        Self(format!("pool: {name}").into())
    }

    /// A reaction of a segment.
    #[must_use]
    pub fn segment(id: SegmentId) -> Self {
        Self(format!("segment: {id}").into())
    }

    /// A source as it was stored.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text.into())
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the person did it.
    #[must_use]
    pub fn is_own_act(&self) -> bool {
        Self::OWN_ACTS.contains(&self.as_str())
    }
}

/// What is known of the other side of a person's own act.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Client {
    /// The address that the request came from.
    pub ip: Option<String>,
    /// What its program calls itself.
    pub user_agent: Option<String>,
}

/// What all changes of one decision have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Where it comes from.
    pub source: Source,
    /// The operator's reason.
    pub note: Option<String>,
    /// The campaign whose message led to it.
    pub campaign: Option<CampaignId>,
    /// The request.
    pub request_id: Option<String>,
    /// When it was said, where that was before it could be stored.
    pub at: Option<UtcInstant>,
    /// The other side; kept only for a person's own act.
    pub client: Option<Client>,
}

impl Act {
    /// When it was said: now, unless it waited to be stored.
    #[must_use]
    pub fn said_by(&self, now: UtcInstant) -> UtcInstant {
        self.at.map_or(now, |at| at.min(now))
    }

    /// An act of which only the source is known.
    #[must_use]
    pub const fn of(source: Source) -> Self {
        Self { source, note: None, campaign: None, request_id: None, at: None, client: None }
    }
}

/// What a row of an import says of a contact besides its fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// How it stands on the list of the import. None: subscribed.
    pub standing: Option<Standing>,
    /// Since when, as the file says.
    pub at: Option<UtcInstant>,
    /// Where the consent comes from, as the file says.
    pub source: Option<String>,
    /// Names of tags.
    pub tags: Vec<String>,
    /// Why addresses of the contact are not written to, whatever lists it is on.
    pub suppressed: Vec<SaidSuppression>,
}

/// Why addresses of a contact are not written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaidSuppression {
    /// Why.
    pub reason: Reason,
    /// The channel of the address; none: every one.
    pub channel: Option<ChannelKind>,
}

impl SaidSuppression {
    /// Which of a row's [`keys_as_addresses`] are meant. `is_known`: there is a contact for the row. It refuses everything under all its
    /// addresses where it does so under one; so the strongest address is enough, and a weaker one may be another person's.
    #[must_use]
    pub fn of(self, keys: &[(ChannelKind, String)], is_known: bool) -> Vec<(ChannelKind, String)> {
        let of_channel = |channel| keys.iter().filter(move |(key, _)| *key == channel).cloned().collect::<Vec<_>>();
        match (self.reason, self.channel) {
            (Reason::Stopped, Some(channel)) => of_channel(channel),
            (_, Some(channel)) if !of_channel(channel).is_empty() => of_channel(channel),
            (Reason::Unsubscribed, _) if is_known => keys
                .iter()
                .filter(|(_, address)| keys.first().is_some_and(|(_, first)| first == address))
                .cloned()
                .collect(),
            _ => keys.to_vec(),
        }
    }
}

/// The addresses under which the channels reach a contact. Channel `http` goes by the email, else the phone, else the external id.
#[must_use]
pub fn addresses_of(fields: &Fields) -> Vec<(ChannelKind, String)> {
    let mut all = Vec::new();
    let mut add = |channel, address: Option<&String>| all.extend(address.map(|address| (channel, address.clone())));
    add(ChannelKind::Email, fields.email.as_ref());
    add(ChannelKind::Sms, fields.phone.as_ref());
    add(ChannelKind::Whatsapp, fields.phone.as_ref());
    add(ChannelKind::Http, fields.email.as_ref().or(fields.phone.as_ref()).or(fields.external_id.as_ref()));
    all
}

/// Each key as the address that it can be refused under: channel `http` is taken along by the others.
#[must_use]
pub fn keys_as_addresses(fields: &Fields) -> Vec<(ChannelKind, String)> {
    let mut all = Vec::new();
    let mut add = |channel, key: Option<&String>| all.extend(key.map(|key| (channel, key.clone())));
    add(ChannelKind::Email, fields.email.as_ref());
    add(ChannelKind::Sms, fields.phone.as_ref());
    add(ChannelKind::Whatsapp, fields.phone.as_ref());
    add(ChannelKind::Http, fields.external_id.as_ref());
    all
}

/// The channels on which a suppression of an address of `channel` holds: channel `http` uses addresses of the others.
#[must_use]
pub fn channels_held_by(channel: ChannelKind) -> &'static [ChannelKind] {
    match channel {
        ChannelKind::Email => &[ChannelKind::Email, ChannelKind::Http],
        ChannelKind::Sms => &[ChannelKind::Sms, ChannelKind::Http],
        ChannelKind::Whatsapp => &[ChannelKind::Whatsapp, ChannelKind::Http],
        ChannelKind::Http => &[ChannelKind::Http],
    }
}

/// An address of a channel, in the form that contacts hold it in.
///
/// # Errors
/// It is no address of this channel.
pub fn normalised(channel: ChannelKind, raw: &str) -> Result<String, FieldError> {
    let field = match channel {
        ChannelKind::Email => BuiltIn::Email,
        ChannelKind::Sms | ChannelKind::Whatsapp => BuiltIn::Phone,
        ChannelKind::Http if email::parse(raw).is_ok() => BuiltIn::Email,
        ChannelKind::Http if phone::parse(raw).is_ok() => BuiltIn::Phone,
        ChannelKind::Http => BuiltIn::ExternalId,
    };
    let renamed = |error: FieldError| FieldError { field: "address".to_owned(), ..error };
    field.parse(raw).map_err(renamed)?.ok_or_else(|| FieldError::new("address", "required", "must not be empty"))
}

/// Every form in which contacts may hold an address of a channel: [`normalised`]; on channel `http` also as it is written, because
/// a contact without email and phone is reached there by its external id, whatever that looks like.
///
/// # Errors
/// It is no address of this channel.
pub fn forms(channel: ChannelKind, raw: &str) -> Result<Vec<String>, FieldError> {
    let mut forms = vec![normalised(channel, raw)?];
    if channel == ChannelKind::Http
        && let Ok(Some(id)) = BuiltIn::ExternalId.parse(raw)
        && !forms.contains(&id)
    {
        forms.push(id);
    }
    Ok(forms)
}

/// The channels that an address without one is meant for, by its form: an email address, or a phone number.
///
/// # Errors
/// It is neither.
pub fn guessed(raw: &str) -> Result<(&'static [ChannelKind], String), FieldError> {
    const MAIL: &[ChannelKind] = &[ChannelKind::Email];
    const PHONE: &[ChannelKind] = &[ChannelKind::Sms, ChannelKind::Whatsapp];
    if raw.contains('@') {
        normalised(ChannelKind::Email, raw).map(|address| (MAIL, address))
    } else {
        normalised(ChannelKind::Sms, raw).map(|address| (PHONE, address))
    }
}

/// What a client calls the source of a consent: one line of at most [`MAX_SOURCE`] characters. Blank text is none.
///
/// # Errors
/// It is longer, or has control characters.
pub fn said_source(raw: &str) -> Result<Option<String>, FieldError> {
    let text = trim(raw);
    if text.chars().any(char::is_control) {
        return Err(FieldError::new("source", "control_character", "has a control character or a line break"));
    }
    if text.chars().count() > MAX_SOURCE {
        return Err(FieldError::new("source", "too_long", format!("is longer than {MAX_SOURCE} characters")));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_pass_for_the_person() {
        for word in Source::OWN_ACTS {
            assert!(Source::stored(word.to_owned()).is_own_act());
            assert!(!Source::import(Some(word)).is_own_act());
            assert!(!Source::api(Some(word)).is_own_act());
            assert!(!Source::pool(word).is_own_act());
        }
        assert!(!Source::API.is_own_act() && Source::ONE_CLICK.is_own_act());
    }

    #[test]
    fn one_address_has_one_form() {
        assert_eq!(normalised(ChannelKind::Email, " Ann@EXAMPLE.com ").unwrap(), "ann@example.com");
        assert_eq!(normalised(ChannelKind::Http, "Ann@EXAMPLE.com").unwrap(), "ann@example.com");
        assert_eq!(normalised(ChannelKind::Sms, "0044 20 7946 0123").unwrap(), "+442079460123");
        assert_eq!(normalised(ChannelKind::Http, "c-17").unwrap(), "c-17");
        assert_eq!(normalised(ChannelKind::Email, "c-17").unwrap_err().field, "address");
        assert_eq!(guessed("+44 20 7946 0123").unwrap().1, "+442079460123");
        assert_eq!(guessed("ann").unwrap_err().code, "phone_invalid");
    }
}
