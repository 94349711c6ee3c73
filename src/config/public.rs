//! `[links]` and `[email]`: what every message of marketing carries, and where its links lead.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

/// `[links]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Links {
    /// Where recipients reach this installation: `https://mail.example.com`. Unset: the instance's own address while that is
    /// on loopback, else there are no links.
    pub public_url: Option<String>,
    /// Whether a marketing email needs `unsubscribe_url` in its body. True.
    pub require_unsubscribe: bool,
    /// A folder with the words of the public pages in further languages.
    pub texts_dir: Option<PathBuf>,
}

impl Default for Links {
    fn default() -> Self {
        Self { public_url: None, require_unsubscribe: true, texts_dir: None }
    }
}

/// `[email]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Email {
    /// The sender's postal address, in one line.
    pub postal_address: Option<String>,
    /// Whether a marketing email needs `postal_address` in its body. True.
    pub require_postal_address: bool,
    /// The most that all files of one message have together, in bytes: 0 to 50 MiB. 10 MiB. On the wire they are a third longer.
    pub max_attachments_bytes: u64,
}

impl Default for Email {
    fn default() -> Self {
        Self { postal_address: None, require_postal_address: true, max_attachments_bytes: 10 << 20 }
    }
}

impl Links {
    /// What the address of every link begins with, without a slash at its end. `listens_on` is where this instance serves the
    /// public pages, if it does: on loopback, links lead there if nothing is set. `None`: there can be no links.
    #[must_use]
    pub fn base(&self, listens_on: Option<SocketAddr>) -> Option<String> {
        match &self.public_url {
            Some(url) => Some(url.trim_end_matches('/').to_owned()),
            None => listens_on.filter(|addr| addr.ip().is_loopback()).map(|addr| format!("http://{addr}")),
        }
    }

    /// What is wrong with `public_url`.
    pub(super) fn check_url(&self) -> Result<(), &'static str> {
        let Some(text) = &self.public_url else { return Ok(()) };
        let form = "not an address such as https://mail.example.com";
        let url = Url::parse(text).map_err(|_invalid| form)?;
        if !matches!(url.scheme(), "https" | "http") || !url.has_host() || url.query().is_some() {
            return Err(form);
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(form);
        }
        if !text.is_ascii() || text.chars().any(|c| c.is_control() || " <>\"'&;,".contains(c)) {
            return Err("must be ASCII, without spaces and without < > \" ' & ; ,");
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err("must begin with https:// (RFC 8058), except on loopback");
        }
        Ok(())
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(url: &str) -> Links {
        Links { public_url: Some(url.to_owned()), ..Links::default() }
    }

    #[test]
    fn links_lead_to_the_set_address_else_to_the_instance_on_loopback() {
        let (here, everywhere) = ("127.0.0.1:8080".parse().unwrap(), "0.0.0.0:8080".parse().unwrap());
        assert_eq!(links("https://mail.example.com/news/").base(Some(here)).unwrap(), "https://mail.example.com/news");
        assert_eq!(Links::default().base(Some(here)).unwrap(), "http://127.0.0.1:8080");
        assert_eq!(Links::default().base("[::1]:8080".parse().ok()).unwrap(), "http://[::1]:8080");
        assert_eq!(Links::default().base(Some(everywhere)), None);
    }

    #[test]
    fn an_address_must_be_one_that_mailbox_providers_take() {
        for url in
            ["https://mail.example.com", "https://example.com:8443/a/", "http://127.0.0.1:8080", "http://localhost"]
        {
            assert_eq!(links(url).check_url(), Ok(()), "{url}");
        }
        for url in [
            "http://mail.example.com",
            "ftp://mail.example.com",
            "mail.example.com",
            "https://",
            "https://a:b@mail.example.com",
            "https://mail.example.com/?a=b",
            "https://mail.example.com/#a",
            "https://mail.example.com/<a>",
            "",
        ] {
            assert!(links(url).check_url().is_err(), "{url}");
        }
    }
}
