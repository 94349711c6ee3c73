//! Signed links: what a recipient may open without an account.
//!
//! A token is `kid · purpose · payload · MAC` in base64url (RFC 4648 5) without padding, 34 to 56 characters. The kid names
//! the key. The MAC is HMAC-SHA256 (RFC 2104), cut to its left 128 bits (RFC 2104 5), over everything before it. Because the
//! purpose is under the MAC, a link to the preferences confirms nothing. A token has one spelling, and the same key and link
//! give the same token.
//!
//! A token in the address that a message comes back to is the same in base32 (RFC 4648 6), in lower case: mail servers may change the
//! case of an address.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::instant::UtcInstant;

pub mod tracked;

/// How long a link to the preferences shows them, in days from the launch of its campaign.
pub const PREFERENCES_DAYS: i64 = 30;

/// How long a link confirms a subscription, in days.
pub const CONFIRM_DAYS: i64 = 7;

/// The bytes of a MAC.
const MAC_BYTES: usize = 16;

/// The bytes of the mark of an address.
const MARK_BYTES: usize = 8;

/// The characters of a kid: 24 bits, so that a token begins with its kid in clear.
const KID_CHARS: usize = 4;

/// The longest token, in characters. A longer text is none.
const MAX_TOKEN: usize = 96;

/// The longest token that an address has room for, in characters: of 64 before the @ (RFC 5321 4.5.3.1.1), 12 belong to the name that it is
/// put behind, and one to the delimiter.
const MOST_IN_ADDRESS: usize = 64 - 12 - 1;

const HOUR_MS: i64 = 3_600_000;

/// The name of a key: four characters of base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kid([u8; KID_CHARS]);

impl Kid {
    /// Reads a kid. `None`: it is not four characters of base64url.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; KID_CHARS] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)).then_some(Self(bytes))
    }

    /// The kid of these random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 3]) -> Self {
        let mut kid = [b'A'; KID_CHARS];
        // Three bytes are four characters exactly.
        let _ = URL_SAFE_NO_PAD.encode_slice(bytes, &mut kid);
        Self(kid)
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Display for Kid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An address as a token holds it: 64 bits of a MAC under the token's key, from which nobody learns the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressMark([u8; MARK_BYTES]);

/// What a link lets its holder do, and which person it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Refuses a campaign's topics. It never expires.
    Unsubscribe {
        /// The campaign whose message had the link.
        campaign: CampaignId,
        /// Its recipient.
        contact: ContactId,
    },
    /// Shows and changes what a contact agreed to.
    Preferences {
        /// The campaign whose message had the link.
        campaign: CampaignId,
        /// Its recipient.
        contact: ContactId,
        /// From then on it only refuses.
        expires: Hour,
    },
    /// Confirms a subscription.
    Confirm {
        /// To which list.
        list: ListId,
        /// Whose.
        contact: ContactId,
        /// The address that was asked.
        address: AddressMark,
        /// When the subscription was asked for: a refusal since then outdates the link. It confirms for [`CONFIRM_DAYS`].
        asked_at: UtcInstant,
    },
    /// Names the message that a mail server gives back. It is in the address that the message comes back to, and no page opens it. It
    /// never expires.
    Returned {
        /// The campaign whose message it is.
        campaign: CampaignId,
        /// Its recipient.
        contact: ContactId,
    },
}

/// A point in time in whole hours since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hour(i64);

impl Hour {
    /// The first full hour that is at least so many days after `instant`.
    #[must_use]
    pub fn days_after(instant: UtcInstant, days: i64) -> Self {
        let ms = instant.0.saturating_add(days.saturating_mul(24 * HOUR_MS));
        Self(ms.saturating_add(HOUR_MS - 1).div_euclid(HOUR_MS))
    }

    /// When it begins.
    #[must_use]
    pub fn instant(self) -> UtcInstant {
        UtcInstant(self.0.saturating_mul(HOUR_MS))
    }
}

impl Link {
    /// The link to the preferences in the messages of a campaign. Its end counts from the launch, so that every message to
    /// one recipient has the same.
    #[must_use]
    pub fn preferences(campaign: CampaignId, contact: ContactId, launched_at: UtcInstant) -> Self {
        Self::Preferences { campaign, contact, expires: Hour::days_after(launched_at, PREFERENCES_DAYS) }
    }

    /// The link that confirms a subscription which was asked for at `asked_at`.
    #[must_use]
    pub fn confirm(list: ListId, contact: ContactId, address: AddressMark, asked_at: UtcInstant) -> Self {
        Self::Confirm { list, contact, address, asked_at }
    }

    /// The person that it is about.
    #[must_use]
    pub fn contact(&self) -> ContactId {
        match self {
            Self::Unsubscribe { contact, .. }
            | Self::Preferences { contact, .. }
            | Self::Confirm { contact, .. }
            | Self::Returned { contact, .. } => *contact,
        }
    }

    /// Whether it only refuses by now.
    #[must_use]
    pub fn is_expired(&self, now: UtcInstant) -> bool {
        match self {
            Self::Unsubscribe { .. } | Self::Returned { .. } => false,
            Self::Preferences { expires, .. } => expires.instant() <= now,
            Self::Confirm { asked_at, .. } => asked_at.0.saturating_add(CONFIRM_DAYS * 24 * HOUR_MS) <= now.0,
        }
    }

    /// Purpose and payload.
    fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Unsubscribe { campaign, contact } => {
                bytes.push(b'u');
                write_number(bytes, campaign.0);
                write_number(bytes, contact.0);
            }
            Self::Preferences { campaign, contact, expires } => {
                bytes.push(b'p');
                write_number(bytes, campaign.0);
                write_number(bytes, contact.0);
                write_number(bytes, expires.0);
            }
            Self::Confirm { list, contact, address, asked_at } => {
                bytes.push(b'c');
                write_number(bytes, list.0);
                write_number(bytes, contact.0);
                bytes.extend_from_slice(&address.0);
                write_number(bytes, asked_at.0);
            }
            Self::Returned { campaign, contact } => {
                bytes.push(b'r');
                write_number(bytes, campaign.0);
                write_number(bytes, contact.0);
            }
        }
    }

    /// What [`Self::write`] has written, and nothing else.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (purpose, mut rest) = bytes.split_first()?;
        let rest = &mut rest;
        let link = match purpose {
            b'u' => {
                Self::Unsubscribe { campaign: CampaignId(read_number(rest)?), contact: ContactId(read_number(rest)?) }
            }
            b'p' => Self::Preferences {
                campaign: CampaignId(read_number(rest)?),
                contact: ContactId(read_number(rest)?),
                expires: Hour(read_number(rest)?),
            },
            b'c' => Self::Confirm {
                list: ListId(read_number(rest)?),
                contact: ContactId(read_number(rest)?),
                address: read_mark(rest)?,
                asked_at: UtcInstant(read_number(rest)?),
            },
            b'r' => Self::Returned { campaign: CampaignId(read_number(rest)?), contact: ContactId(read_number(rest)?) },
            _ => return None,
        };
        rest.is_empty().then_some(link)
    }
}

/// A key that signs links. Its secret is never shown.
#[derive(Clone)]
pub struct LinkKey {
    kid: Kid,
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LinkKey({})", self.kid)
    }
}

impl LinkKey {
    /// The key of this name.
    #[must_use]
    pub fn new(kid: Kid, secret: &[u8; 32]) -> Self {
        // A block of SHA-256 has 64 bytes; a shorter secret is filled up with zeros (RFC 2104 2).
        let mut block = [0_u8; 64];
        if let Some(start) = block.first_chunk_mut() {
            *start = *secret;
        }
        Self { kid, mac: Hmac::new(&block.into()) }
    }

    /// Its name.
    #[must_use]
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// The token of `link`.
    #[must_use]
    pub fn sign(&self, link: &Link) -> String {
        let mut bytes = Vec::with_capacity(48);
        link.write(&mut bytes);
        self.token(bytes, &[])
    }

    /// The token of `link` for an address, where upper and lower case may change on the way. Where that is too long, because ids are very
    /// large, it is [`LinkKey::sign`]'s.
    #[must_use]
    pub fn sign_for_address(&self, link: &Link) -> String {
        let plain = self.sign(link);
        let token = Token::parse(&plain).map(|token| token.without_case());
        token.filter(|token| token.len() <= MOST_IN_ADDRESS).unwrap_or(plain)
    }

    /// The token of purpose and payload. `beside` is under the MAC and not in the token.
    fn token(&self, mut content: Vec<u8>, beside: &[u8]) -> String {
        let mac = self.mac_of(&content, beside).finalize().into_bytes();
        content.extend(mac.into_iter().take(MAC_BYTES));
        let mut token = String::with_capacity(KID_CHARS + content.len().div_ceil(3) * 4);
        token.push_str(self.kid.as_str());
        URL_SAFE_NO_PAD.encode_string(content, &mut token);
        token
    }

    /// Nothing can move from a payload to what stands beside it: where a payload ends is seen from its beginning.
    fn mac_of(&self, content: &[u8], beside: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(&self.kid.0);
        mac.update(content);
        mac.update(beside);
        mac
    }

    /// Whether this key has signed `token` with `beside`. Compares in constant time.
    fn has_signed(&self, token: &Token, beside: &[u8]) -> bool {
        token.kid == self.kid && self.mac_of(&token.content, beside).verify_truncated_left(&token.mac).is_ok()
    }

    /// The mark of `address` in tokens of this key.
    #[must_use]
    pub fn mark(&self, address: &str) -> AddressMark {
        // No token's MAC begins so: a kid has no zero byte.
        let mut mac = self.mac.clone();
        mac.update(&[0]);
        mac.update(address.as_bytes());
        AddressMark(mac.finalize().into_bytes().first_chunk().copied().unwrap_or_default())
    }

    /// The link that `token` is, if this key has signed it. Compares in constant time.
    #[must_use]
    pub fn open(&self, token: &Token) -> Option<Link> {
        self.has_signed(token, &[]).then(|| Link::read(&token.content)).flatten()
    }
}

/// A text of the shape of a token. Nothing in it may be believed before a key has opened it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    kid: Kid,
    content: Vec<u8>,
    mac: [u8; MAC_BYTES],
}

impl Token {
    /// Reads a token. `None`: no key can have signed this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_TOKEN {
            return None;
        }
        let (kid, rest) = text.split_at_checked(KID_CHARS)?;
        // Refuses padding and bits beyond the last byte, so that a token has one spelling.
        let bytes = URL_SAFE_NO_PAD.decode(rest).ok()?;
        let (content, mac) = bytes.split_last_chunk()?;
        Some(Self { kid: Kid::parse(kid)?, content: content.to_vec(), mac: *mac })
    }

    /// Reads a token out of an address, in either spelling. Which of the two it is, only a key can tell.
    #[must_use]
    pub fn parse_in_address(text: &str) -> Vec<Self> {
        [Self::parse_without_case(text), Self::parse(text)].into_iter().flatten().collect()
    }

    fn parse_without_case(text: &str) -> Option<Self> {
        if text.len() > MAX_TOKEN {
            return None;
        }
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()?;
        let (kid, rest) = bytes.split_first_chunk()?;
        let (content, mac) = rest.split_last_chunk()?;
        Some(Self { kid: Kid::from_random(*kid), content: content.to_vec(), mac: *mac })
    }

    fn without_case(&self) -> String {
        // A kid is three bytes exactly.
        let mut bytes = URL_SAFE_NO_PAD.decode(self.kid.0).unwrap_or_default();
        bytes.extend_from_slice(&self.content);
        bytes.extend_from_slice(&self.mac);
        BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
    }

    /// The key that it says has signed it.
    #[must_use]
    pub fn kid(&self) -> Kid {
        self.kid
    }
}

/// A number in groups of seven bits, the lowest first (LEB128).
fn write_number(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = number.cast_unsigned();
    loop {
        let [low, ..] = (rest & 0x7f).to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// Takes a number from the front. `None`: it is cut, too large, or longer than needed.
fn read_number(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let low = u64::from(byte & 0x7f);
        if low << shift >> shift != low {
            return None;
        }
        number |= low << shift;
        if byte & 0x80 == 0 {
            let is_shortest = shift == 0 || *byte != 0;
            return is_shortest.then_some(number.cast_signed());
        }
    }
    None
}

fn read_mark(bytes: &mut &[u8]) -> Option<AddressMark> {
    let (mark, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(AddressMark(*mark))
}

#[cfg(test)]
mod tests;
