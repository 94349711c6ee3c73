//! Where a channel reaches a contact, and why a contact is not sent to. `store::dispatch::eligibility` says the same in SQL,
//! for what looks at many contacts at once; a test holds both against each other.

use super::delivery::SkipReason;
use crate::domain::channel::ChannelKind;
use crate::domain::people::contact::Profile;

/// What decides whether a contact is sent to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Contactable<'a> {
    /// An email address.
    pub email: Option<&'a str>,
    /// A number in E.164 form.
    pub phone: Option<&'a str>,
    /// The contact's name in another system.
    pub external_id: Option<&'a str>,
    /// Whether the contact was deleted.
    pub is_deleted: bool,
}

impl<'a> From<&'a Profile> for Contactable<'a> {
    /// A profile is of a contact that was not deleted.
    fn from(profile: &'a Profile) -> Self {
        Self {
            email: profile.fields.email.as_deref(),
            phone: profile.fields.phone.as_deref(),
            external_id: profile.fields.external_id.as_deref(),
            is_deleted: false,
        }
    }
}

/// Where a channel reaches a contact: at its address or its number, or for an HTTP API at the first of address, number and
/// external id that it has.
///
/// # Errors
/// Why it is not sent to.
pub fn address_for<'a>(channel: ChannelKind, contact: impl Into<Contactable<'a>>) -> Result<&'a str, SkipReason> {
    let Contactable { email, phone, external_id, is_deleted } = contact.into();
    if is_deleted {
        return Err(SkipReason::ContactDeleted);
    }
    let address = match channel {
        ChannelKind::Email => email,
        ChannelKind::Sms | ChannelKind::Whatsapp => phone,
        ChannelKind::Http => email.or(phone).or(external_id),
    };
    address.ok_or(SkipReason::NoAddress)
}
