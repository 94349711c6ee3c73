//! Links and pixels that tell of clicks and opens: `/t/c/TOKEN/TARGET` and `/t/o/TOKEN`.
//!
//! The target of a click is a path segment of its own, in base64url, and under the token's MAC: nobody can lead it elsewhere, and to
//! follow it needs neither table nor database.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{LinkKey, Token, read_number, write_number};
use crate::domain::ids::{CampaignId, ContactId, LinkNumber};

/// The longest target, in bytes. Mail programs cut longer links.
pub const MAX_TARGET: usize = 2_048;

/// What a recipient's mail program asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracked {
    /// Where a link leads.
    Click {
        /// The campaign whose message had the link.
        campaign: CampaignId,
        /// Its recipient.
        contact: ContactId,
        /// Which link.
        link: LinkNumber,
    },
    /// The pixel.
    Open {
        /// The campaign whose message had the pixel.
        campaign: CampaignId,
        /// Its recipient.
        contact: ContactId,
    },
}

impl Tracked {
    /// Purpose and payload.
    fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(48);
        match self {
            Self::Click { campaign, contact, link } => {
                bytes.push(b'k');
                write_number(&mut bytes, campaign.0);
                write_number(&mut bytes, contact.0);
                write_number(&mut bytes, link.0);
            }
            Self::Open { campaign, contact } => {
                bytes.push(b'o');
                write_number(&mut bytes, campaign.0);
                write_number(&mut bytes, contact.0);
            }
        }
        bytes
    }

    /// What [`Self::write`] has written, and nothing else.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (purpose, mut rest) = bytes.split_first()?;
        let rest = &mut rest;
        let tracked = match purpose {
            b'k' => Self::Click {
                campaign: CampaignId(read_number(rest)?),
                contact: ContactId(read_number(rest)?),
                link: LinkNumber(read_number(rest)?),
            },
            b'o' => Self::Open { campaign: CampaignId(read_number(rest)?), contact: ContactId(read_number(rest)?) },
            _ => return None,
        };
        rest.is_empty().then_some(tracked)
    }
}

/// Where a link leads, as it stands in links: parsed, `http` or `https`, at most [`MAX_TARGET`] bytes of ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: String,
    segment: String,
}

impl Target {
    /// The target `url`. `None`: it is too long.
    #[must_use]
    pub fn new(url: &url::Url) -> Option<Self> {
        let url = url.as_str();
        (url.len() <= MAX_TARGET && url.is_ascii())
            .then(|| Self { url: url.to_owned(), segment: URL_SAFE_NO_PAD.encode(url) })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// What a request to a tracked link says, before a key has been asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    token: Token,
    /// Empty for a pixel.
    target: String,
}

impl Claimed {
    /// Reads the two segments of a link; a pixel has only the first. `None`: no key can have signed them.
    #[must_use]
    pub fn parse(token: &str, segment: Option<&str>) -> Option<Self> {
        let token = Token::parse(token)?;
        let target = match segment {
            None => String::new(),
            Some(segment) if segment.len() > MAX_TARGET * 2 => return None,
            Some(segment) => String::from_utf8(URL_SAFE_NO_PAD.decode(segment).ok()?).ok()?,
        };
        Some(Self { token, target })
    }

    /// The token, which names the key.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }
}

impl LinkKey {
    /// What a request asks for, and where a click leads, if this key has signed them together.
    #[must_use]
    pub fn open_tracked(&self, claimed: Claimed) -> Option<(Tracked, String)> {
        let Claimed { token, target } = claimed;
        if !self.has_signed(&token, target.as_bytes()) {
            return None;
        }
        let tracked = Tracked::read(&token.content)?;
        // What was signed without a target is none with one, and the other way round.
        let is_click = matches!(tracked, Tracked::Click { .. });
        (is_click != target.is_empty()).then_some((tracked, target))
    }
}

/// Signs what is tracked in the message of one recipient. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Tracker {
    base: Arc<str>,
    key: LinkKey,
    campaign: CampaignId,
    contact: ContactId,
}

impl Tracker {
    /// For a recipient of a campaign, whose links begin with `base`.
    #[must_use]
    pub fn new(base: Arc<str>, key: LinkKey, campaign: CampaignId, contact: ContactId) -> Self {
        Self { base, key, campaign, contact }
    }

    /// The address that leads to `target` by way of Volley. It needs no escape in an attribute of HTML, quoted or not.
    #[must_use]
    pub fn click(&self, link: LinkNumber, target: &Target) -> String {
        let tracked = Tracked::Click { campaign: self.campaign, contact: self.contact, link };
        let token = self.key.token(tracked.write(), target.url.as_bytes());
        let Self { base, .. } = self;
        format!("{base}/t/c/{token}/{}", target.segment)
    }

    /// The address of the pixel.
    #[must_use]
    pub fn open(&self) -> String {
        let tracked = Tracked::Open { campaign: self.campaign, contact: self.contact };
        format!("{}/t/o/{}", self.base, self.key.token(tracked.write(), &[]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Kid, Link};
    use super::*;
    use crate::domain::instant::UtcInstant;

    const BASE: &str = "https://mail.example.com";

    fn key(byte: u8) -> LinkKey {
        LinkKey::new(Kid::parse("kid1").unwrap(), &[byte; 32])
    }

    fn tracker(contact: i64) -> Tracker {
        Tracker::new(BASE.into(), key(1), CampaignId(7), ContactId(contact))
    }

    fn target(url: &str) -> Target {
        Target::new(&url.parse().unwrap()).unwrap()
    }

    fn opened(path: &str) -> Option<(Tracked, String)> {
        let (token, segment) = match path.split_once('/') {
            Some((token, segment)) => (token, Some(segment)),
            None => (path, None),
        };
        Claimed::parse(token, segment).and_then(|claimed| key(1).open_tracked(claimed))
    }

    /// Token and target of a link.
    fn path(link: &str) -> &str {
        link.strip_prefix(BASE).unwrap().trim_start_matches("/t/c/").trim_start_matches("/t/o/")
    }

    #[test]
    fn a_link_leads_to_its_target_and_says_who_followed_it() {
        let link = tracker(8).click(LinkNumber(3), &target("https://shop.example/a?b=c&d=%20"));
        let tracked = Tracked::Click { campaign: CampaignId(7), contact: ContactId(8), link: LinkNumber(3) };
        assert_eq!(opened(path(&link)), Some((tracked, "https://shop.example/a?b=c&d=%20".to_owned())));
        assert!(link.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/.-_".contains(&byte)), "{link}");
        let pixel = tracker(8).open();
        let tracked = Tracked::Open { campaign: CampaignId(7), contact: ContactId(8) };
        assert_eq!(opened(path(&pixel)), Some((tracked, String::new())));
    }

    #[test]
    fn the_target_of_a_link_cannot_be_changed() {
        let link = tracker(8).click(LinkNumber(1), &target("https://shop.example/"));
        let (token, segment) = path(&link).split_once('/').unwrap();
        let other = tracker(8).click(LinkNumber(2), &target("https://evil.example/"));
        let (other_token, other_segment) = path(&other).split_once('/').unwrap();
        for forged in [
            format!("{token}/{other_segment}"),
            format!("{other_token}/{segment}"),
            format!("{token}/"),
            token.to_owned(),
            format!("{token}/{segment}A"),
            format!("{token}/{segment}="),
            format!("{token}/{}", &segment[..segment.len() - 4]),
            format!("{}/{segment}", &token[..token.len() - 1]),
            format!("{}/{segment}", path(&tracker(8).open())),
        ] {
            assert_eq!(opened(&forged), None, "{forged}");
        }
    }

    #[test]
    fn a_token_of_one_purpose_is_none_of_another() {
        let refuses = Link::Unsubscribe { campaign: CampaignId(7), contact: ContactId(8) };
        let prefers = Link::preferences(CampaignId(7), ContactId(8), UtcInstant(0));
        for link in [refuses, prefers] {
            let token = key(1).sign(&link);
            assert_eq!(opened(&token), None);
            assert_eq!(opened(&format!("{token}/")), None);
        }
        for link in [tracker(8).open(), tracker(8).click(LinkNumber(1), &target("https://shop.example/"))] {
            let (token, _) = path(&link).split_once('/').unwrap_or((path(&link), ""));
            assert_eq!(Token::parse(token).and_then(|token| key(1).open(&token)), None);
        }
    }

    #[test]
    fn another_key_opens_nothing() {
        let link = tracker(8).open();
        let claimed = Claimed::parse(path(&link), None).unwrap();
        assert_eq!(key(2).open_tracked(claimed), None);
    }

    #[test]
    fn a_target_that_mail_programs_would_cut_is_none() {
        assert!(Target::new(&format!("https://a.example/{}", "b".repeat(MAX_TARGET)).parse().unwrap()).is_none());
    }

    proptest! {
        #[test]
        fn every_target_survives_its_link(path_of in "[ -~äß€]{0,60}", contact in any::<i64>(), link in any::<i64>()) {
            let url: url::Url = format!("https://shop.example/{path_of}").parse().unwrap();
            let target = Target::new(&url).unwrap();
            let tracked = Tracked::Click { campaign: CampaignId(7), contact: ContactId(contact), link: LinkNumber(link) };
            let link = tracker(contact).click(LinkNumber(link), &target);
            prop_assert_eq!(opened(path(&link)), Some((tracked, url.to_string())));
        }

        #[test]
        fn a_link_with_any_other_character_opens_nothing(at in any::<prop::sample::Index>(), other in "[A-Za-z0-9_=~-]") {
            let link = tracker(8).click(LinkNumber(1), &target("https://shop.example/a"));
            let link = path(&link);
            let at = at.index(link.len());
            prop_assume!(link.as_bytes()[at] != b'/');
            let mut forged = link.to_owned();
            forged.replace_range(at..=at, &other);
            prop_assert_eq!(opened(&forged).is_some(), forged == link);
        }
    }
}
