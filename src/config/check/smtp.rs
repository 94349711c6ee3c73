//! What the settings of an SMTP pool may be.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use url::Url;

use super::{Check, bad, ensure, within};
use crate::config::pools::{PoolConfig, Provider, SmtpConfig};
use crate::domain::channel::ChannelKind;
use crate::domain::content::email_fields::{check_header, check_reply_to};
use crate::domain::content::mailbox::parse_mailbox;
use crate::domain::host_name::is_domain_name;

impl SmtpConfig {
    pub(super) fn check(&self, pool: &PoolConfig, at: &dyn Fn(&str) -> String) -> Check {
        const FORM: &str = "give smtp://HOST:PORT or smtps://HOST:PORT";
        within(&at("final_reply_timeout_seconds"), self.final_reply_timeout_seconds, 1..=3_600)?;
        ensure(
            pool.channel == ChannelKind::Email,
            &at("channel"),
            format!("smtp carries email, not {}", pool.channel),
        )?;
        let url = self.server.checked_url(Provider::Smtp, at, &["smtp", "smtps"], FORM)?;
        let in_the_clear = url.query_pairs().any(|(name, value)| name == "tls" && value == "none");
        self.server.check_encrypted(at, !in_the_clear)?;
        for (name, value) in url.query_pairs() {
            ensure(name == "tls", &at("url"), format!("unknown parameter {name:?}; tls is the only one"))?;
            ensure(
                url.scheme() == "smtp" && matches!(value.as_ref(), "required" | "opportunistic" | "none"),
                &at("url"),
                "tls is required, opportunistic or none, on smtp:// only",
            )?;
        }
        self.check_login(at, &url)?;
        let name = self.introduction();
        ensure(
            name.is_none_or(|name| is_domain_name(name) || is_address_literal(name)),
            &at("ehlo_name"),
            format!("{:?} is neither a domain name nor an address such as [192.0.2.1]", name.unwrap_or_default()),
        )?;
        self.return_path().map_or(Ok(()), |address| check_return_path(address, &at("return_path")))?;
        if let Some(reply_to) = self.reply_to() {
            check_reply_to(reply_to).map_err(|reason| bad(at("reply_to"), reason))?;
        }
        let mut seen = BTreeSet::new();
        for (name, value) in &self.headers {
            let place = at(&format!("headers.{name}"));
            check_header(name, value).map_err(|(_, reason)| bad(place.clone(), reason))?;
            ensure(
                seen.insert(name.to_ascii_lowercase()),
                &place,
                "is there twice; upper and lower case are the same",
            )?;
        }
        let from = pool.from.as_deref().unwrap_or_default();
        ensure(!from.is_empty(), &at("from"), "smtp needs a sender, such as Shop <shop@example.com>")?;
        parse_mailbox(from).map_err(|reason| bad(at("from"), reason)).map(drop)
    }

    fn check_login(&self, at: &dyn Fn(&str) -> String, url: &Url) -> Check {
        ensure(
            self.username.is_none() || url.username().is_empty(),
            &at("username"),
            "the address names a user already; give it once",
        )?;
        let by_command = match self.oauth_token_command.first() {
            Some(program) => {
                ensure(
                    !program.is_empty(),
                    &at("oauth_token_command"),
                    "names no program; give [PROGRAM, ARGUMENT, …]",
                )?;
                ensure(
                    self.token_file().is_none(),
                    &at("oauth_token_command"),
                    "oauth_token_file is set, too; give one",
                )?;
                true
            }
            None => false,
        };
        if by_command || self.token_file().is_some() {
            let password = self.password.is_some() || url.password().is_some();
            ensure(!password, &at("password"), "an OAuth token takes its place; give one of them")?;
            let named = self.username.is_some() || !url.username().is_empty();
            return ensure(named, &at("username"), "an OAuth token needs the user that it is for");
        }
        ensure(
            self.username.is_some() == self.password.is_some(),
            &at(if self.username.is_some() { "password" } else { "username" }),
            "username and password go together",
        )
    }
}

/// The most characters before the @: with a token and what separates it there may be 64 (RFC 5321 4.5.3.1.1).
const LONGEST_RETURN: usize = 12;

fn check_return_path(address: &str, at: &str) -> Check {
    let reason = || {
        format!(
            "{address:?} is no address such as bounces@example.com: ASCII, with up to {LONGEST_RETURN} letters, digits, dots and hyphens \
             before the @"
        )
    };
    let (local, domain) = address.split_once('@').unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let is_local = (1..=LONGEST_RETURN).contains(&local.len()) && local.bytes().all(is_plain);
    let is_address = address.parse::<lettre::Address>().is_ok();
    ensure(is_local && is_domain_name(domain) && is_address, at, reason())
}

/// RFC 5321 4.1.3: `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
fn is_address_literal(name: &str) -> bool {
    let inside = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inside.is_some_and(|inside| match inside.strip_prefix("IPv6:") {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => inside.parse::<Ipv4Addr>().is_ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_literals_are_told_from_what_is_none() {
        for name in ["[127.0.0.1]", "[IPv6:::1]", "[IPv6:2001:db8::1]"] {
            assert!(is_address_literal(name), "{name}");
        }
        for name in ["127.0.0.1", "[::1]", "[127.0.0.1", "[127.0.0]", "[IPv6:127.0.0.1]", "[IPv6:]", "[]", "", "["] {
            assert!(!is_address_literal(name), "{name}");
        }
    }
}
