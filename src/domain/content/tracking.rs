//! What is tracked of messages, and which links may be.

use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use crate::domain::people::link::tracked::Target;
use crate::domain::text_enum::text_enum;

/// What is tracked of messages. Without a statement, clicks are and opens are not; a statement names both, so that none is switched on
/// by silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tracking {
    /// Links lead through Volley, which notes who follows them.
    pub clicks: bool,
    /// A pixel tells when a message is opened.
    pub opens: bool,
}

impl Default for Tracking {
    fn default() -> Self {
        Self { clicks: true, opens: false }
    }
}

impl Tracking {
    /// Nothing is tracked.
    pub const NOTHING: Self = Self { clicks: false, opens: false };

    /// Whether anything is tracked.
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.clicks || self.opens
    }
}

text_enum! {
    /// [`Tracking`] as tables hold it.
    StoredTracking {
        /// Neither clicks nor opens.
        Nothing = "nothing",
        /// Clicks alone.
        Clicks = "clicks",
        /// Opens alone.
        Opens = "opens",
        /// Both.
        Both = "clicks_and_opens",
    }
}

impl From<Tracking> for StoredTracking {
    fn from(tracking: Tracking) -> Self {
        match (tracking.clicks, tracking.opens) {
            (false, false) => Self::Nothing,
            (true, false) => Self::Clicks,
            (false, true) => Self::Opens,
            (true, true) => Self::Both,
        }
    }
}

impl From<StoredTracking> for Tracking {
    fn from(stored: StoredTracking) -> Self {
        match stored {
            StoredTracking::Nothing => Self::NOTHING,
            StoredTracking::Clicks => Self { clicks: true, opens: false },
            StoredTracking::Opens => Self { clicks: false, opens: true },
            StoredTracking::Both => Self { clicks: true, opens: true },
        }
    }
}

/// A host with its scheme and port, as a link names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Site {
    fn of(url: &Url) -> Option<Self> {
        Some(Self { scheme: url.scheme().to_owned(), host: url.host_str()?.to_owned(), port: url.port() })
    }
}

/// Which links may lead through Volley.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkRules {
    /// Hosts that a link may compute, as a URL spells them.
    pub hosts: Vec<String>,
    /// What Volley's own links begin with, as a URL spells it and without a slash at its end.
    base: Option<String>,
}

/// Volley's own pages. Nobody is tracked on the way to saying no.
const OWN_PAGES: &[&str] = &["/u/", "/preferences/", "/confirm/", "/t/"];

impl LinkRules {
    /// Links may compute these hosts, as a URL spells them. Volley's own links begin with `base`, however it is spelled.
    #[must_use]
    pub fn new(hosts: Vec<String>, base: &str) -> Self {
        let base = Url::parse(base).ok().map(|base| base.as_str().trim_end_matches('/').to_owned());
        Self { hosts, base }
    }

    /// The target that a text is. `None`: it stays as it is, because it is no address of the web, has a password in it, is too long,
    /// or is a page of Volley.
    #[must_use]
    pub fn target(&self, text: &str) -> Option<Target> {
        Target::new(&self.url(text)?)
    }

    /// The target that a computed text is, if it leads to `site`; without a site, to one of the hosts that links may compute.
    #[must_use]
    pub fn computed_target(&self, text: &str, site: Option<&Site>) -> Option<Target> {
        let url = self.url(text)?;
        let found = Site::of(&url)?;
        let is_allowed = match site {
            Some(site) => found == *site,
            None => false,
        };
        (is_allowed || self.hosts.contains(&found.host)).then(|| Target::new(&url)).flatten()
    }

    fn url(&self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok()?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let has_login = !url.username().is_empty() || url.password().is_some();
        let is_own = self
            .base
            .as_deref()
            .and_then(|base| url.as_str().strip_prefix(base))
            .is_some_and(|path| OWN_PAGES.iter().any(|page| path.starts_with(page)));
        (is_web && !has_login && !is_own).then_some(url)
    }

    /// The site that a text surely leads to, whatever follows it. `None`: its host does not end in it.
    #[must_use]
    pub fn site_of(&self, beginning: &str) -> Option<Site> {
        let (_, after) = beginning.split_once("://")?;
        // What follows the host begins with one of these; a backslash is a slash to browsers, and no host's end to others.
        after.find(['/', '?', '#']).filter(|at| !after.get(..*at).unwrap_or_default().contains(['\\', '@']))?;
        Site::of(&self.url(beginning)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(hosts: &[&str]) -> LinkRules {
        LinkRules::new(hosts.iter().map(|host| (*host).to_owned()).collect(), "https://mail.example.com/news")
    }

    #[test]
    fn volleys_own_pages_are_known_however_the_settings_and_the_link_spell_them() {
        for base in
            ["https://mail.example.com/news", "https://MAIL.Example.com:443/news/", "HTTPS://mail.example.com/news"]
        {
            let rules = LinkRules::new(Vec::new(), base);
            for own in [
                "https://mail.example.com/news/u/abc",
                "https://Mail.EXAMPLE.com:443/news/u/abc",
                "https://mail.example.com/other/../news/preferences/abc",
            ] {
                assert_eq!(rules.target(own), None, "{own} below {base}");
            }
            for other in [
                "https://mail.example.com:8443/news/u/abc",
                "https://mail.example.com/u/abc",
                "https://mail.example.com.evil.example/news/u/abc",
            ] {
                assert!(rules.target(other).is_some(), "{other} beside {base}");
            }
        }
    }

    #[test]
    fn what_is_stored_is_what_was_said() {
        for stored in StoredTracking::ALL {
            assert_eq!(StoredTracking::from(Tracking::from(*stored)), *stored);
        }
        assert_eq!(Tracking::default(), Tracking { clicks: true, opens: false });
        let opens = serde_json::from_str::<Tracking>(r#"{"clicks":false,"opens":true}"#).unwrap();
        assert_eq!(opens, StoredTracking::Opens.into());
        for part in [r#"{"opens":true}"#, r#"{"clicks":false}"#, "{}"] {
            assert!(serde_json::from_str::<Tracking>(part).is_err(), "{part} leaves one of them to a guess");
        }
    }

    #[test]
    fn only_addresses_of_the_web_are_targets() {
        for (text, url) in [
            ("https://shop.example", Some("https://shop.example/")),
            (" HTTP://Shop.Example/ä b ", Some("http://shop.example/%C3%A4%20b")),
            ("https://mail.example.com/blog", Some("https://mail.example.com/blog")),
            ("https://mail.example.com/news/blog", Some("https://mail.example.com/news/blog")),
            ("https://mail.example.com/news/u/abc", None),
            ("https://mail.example.com/news/preferences/abc", None),
            ("https://a:b@shop.example/", None),
            ("https://shop.example@evil.example/", None),
            ("javascript:alert(1)", None),
            ("java\nscript:alert(1)", None),
            ("data:text/html,x", None),
            ("mailto:a@shop.example", None),
            ("//shop.example/", None),
            ("/a", None),
            ("#a", None),
            ("https://", None),
            ("", None),
        ] {
            assert_eq!(rules(&[]).target(text).as_ref().map(Target::url), url, "{text}");
        }
    }

    #[test]
    fn a_site_is_known_only_where_the_host_has_ended() {
        for (beginning, is_known) in [
            ("https://shop.example/", true),
            ("https://shop.example/?a=", true),
            ("https://shop.example?a=", true),
            ("https://shop.example#", true),
            ("https://shop.example:8443/", true),
            ("https://shop.example", false),
            ("https://shop.", false),
            ("https://", false),
            ("https:", false),
            ("https://shop.example\\", false),
            ("https://shop.example@", false),
            ("https://a@shop.example/", false),
            ("javascript://shop.example/", false),
            ("", false),
        ] {
            assert_eq!(rules(&[]).site_of(beginning).is_some(), is_known, "{beginning}");
        }
    }

    #[test]
    fn a_computed_target_stays_on_its_site_or_on_a_host_that_is_named() {
        let rules = rules(&["shop.example"]);
        let site = rules.site_of("https://blog.example/");
        for (text, site, is_target) in [
            ("https://blog.example/a", site.as_ref(), true),
            ("https://blog.example:8443/a", site.as_ref(), false),
            ("http://blog.example/a", site.as_ref(), false),
            ("https://evil.example/a", site.as_ref(), false),
            ("https://shop.example/a", None, true),
            ("https://SHOP.example:8443/a", None, true),
            ("https://shop.example.evil.example/", None, false),
            ("https://evil.example/https://shop.example/", None, false),
            ("https://shop.example@evil.example/", None, false),
            ("javascript://shop.example/%0aalert(1)", None, false),
        ] {
            assert_eq!(rules.computed_target(text, site).is_some(), is_target, "{text}");
        }
    }
}
