//! What the settings of targets may be.

use url::Url;

use super::{Check, check_delays, check_retry_for, ensure, folded, within};
use crate::config::Settings;
use crate::config::targets::TargetConfig;
use crate::domain::callbacks::Format;
use crate::domain::dispatch::answers::Way;

/// The most targets.
const MAX_TARGETS: usize = 100;

impl Settings {
    pub(super) fn check_targets(&self) -> Check {
        ensure(self.targets.len() <= MAX_TARGETS, "targets", format!("more than {MAX_TARGETS}"))?;
        for (index, target) in self.targets.iter().enumerate() {
            target.check(&format!("targets[{index}]"))?;
            let twin = self.targets.iter().take(index).any(|other| folded(&other.name) == folded(&target.name));
            let reason = format!("another target is named {:?} too (case and - or _ aside)", target.name);
            ensure(!twin, &format!("targets[{index}].name"), reason)?;
        }
        Ok(())
    }
}

impl TargetConfig {
    fn check(&self, path: &str) -> Check {
        let at = |setting: &str| format!("{path}.{setting}");
        let charset = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_name = (1..=64).contains(&self.name.len()) && self.name.bytes().all(charset);
        ensure(is_name, &at("name"), format!("{:?} is not 1 to 64 letters, digits, - and _", self.name))?;
        let webhook = self.webhook();
        webhook.server.check(Way::Http, &at)?;
        webhook.check(&at)?;
        // Its text is not repeated: it may hold a password.
        let url = self.url.as_ref().and_then(|url| Url::parse(url.expose()).ok());
        let is_bare =
            url.is_some_and(|url| url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
        ensure(is_bare, &at("url"), "must have no user, no password and no fragment: the signature proves who calls")?;
        ensure(!self.secrets().is_empty(), &at("secret"), "is needed: calls are signed with it")?;
        for secret in self.secrets() {
            let reason = "must be whsec_ and 16 to 64 bytes in base64";
            ensure(Format::StandardWebhooks.check_secret(secret).is_ok(), &at("secret"), reason)?;
        }
        within(&at("concurrency"), self.concurrency, 1..=64)?;
        within(&at("timeout_seconds"), self.timeout_seconds, 1..=60)?;
        if let Some(delays) = &self.retry_delays {
            check_delays(&at("retry_delays"), delays)?;
        }
        self.retry_for.map_or(Ok(()), |retry_for| check_retry_for(&at("retry_for"), retry_for))
    }
}
