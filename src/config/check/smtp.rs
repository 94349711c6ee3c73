//! What the settings of an SMTP pool may be.

use super::{Check, ensure};
use crate::config::pools::PoolConfig;
use crate::domain::campaign::ChannelKind;

impl PoolConfig {
    pub(super) fn check_smtp(&self, at: &dyn Fn(&str) -> String) -> Check {
        const FORM: &str = "give smtp://HOST:PORT or smtps://HOST:PORT";
        ensure(
            self.channel == ChannelKind::Email,
            &at("channel"),
            format!("smtp carries email, not {}", self.channel),
        )?;
        let url = self.address(at, &["smtp", "smtps"], FORM)?;
        let in_the_clear = url.query_pairs().any(|(name, value)| name == "tls" && value == "none");
        self.check_encrypted(at, !in_the_clear)?;
        for (name, value) in url.query_pairs() {
            ensure(name == "tls", &at("url"), format!("unknown parameter {name:?}; tls is the only one"))?;
            ensure(
                url.scheme() == "smtp" && matches!(value.as_ref(), "required" | "opportunistic" | "none"),
                &at("url"),
                "tls is required, opportunistic or none, on smtp:// only",
            )?;
        }
        ensure(
            self.username.is_none() || url.username().is_empty(),
            &at("username"),
            "the address names a user already; give it once",
        )?;
        ensure(
            self.username.is_some() == self.password.is_some(),
            &at(if self.username.is_some() { "password" } else { "username" }),
            "username and password go together",
        )?;
        let from = self.from.as_deref().unwrap_or_default();
        ensure(!from.is_empty(), &at("from"), "smtp needs a sender, such as Shop <shop@example.com>")?;
        ensure(
            from.parse::<lettre::message::Mailbox>().is_ok() && !from.contains(char::is_control),
            &at("from"),
            format!("{from:?} is not a sender such as Shop <shop@example.com>"),
        )
    }
}
