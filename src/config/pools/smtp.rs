//! The settings of pools of an SMTP relay.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::server::ServerConfig;
use crate::config::redact::is_secret;
use crate::config::secret::Secret;

/// An SMTP relay.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default)]
pub struct SmtpConfig {
    /// The relay.
    #[serde(flatten, skip_deserializing)]
    pub server: ServerConfig,
    /// The user, unless the address names one.
    pub username: Option<String>,
    /// The password, unless the address has one.
    pub password: Option<Secret>,
    /// A file that holds an OAuth token, for XOAUTH2 in place of a password. Read for each new connection, so that what
    /// refreshes it has only to write it.
    pub oauth_token_file: Option<PathBuf>,
    /// A program and its arguments that print an OAuth token, run without a shell and ended after `timeout_seconds`. Its
    /// token is used for other connections for a minute, or until the relay refuses it.
    pub oauth_token_command: Vec<String>,
    /// The name or address literal that Volley introduces itself with (RFC 5321 4.1.1.1). Unset, the host's name if it has a
    /// dot, or else the connection's own address.
    pub ehlo_name: Option<String>,
    /// Whether `MAIL`, `RCPT` and `DATA` are sent in one piece to a relay that offers PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// How long the reply to the final dot is waited for, in seconds. 1 to 3,600. RFC 5321 4.5.3.2.6 asks for long waits:
    /// after a short one it is often unknown whether the relay took the message.
    pub final_reply_timeout_seconds: u64,
    /// Where mail comes back to: `bounces@example.com`, of which Volley makes `bounces+TOKEN@example.com` for each message. ASCII, up
    /// to 12 characters before the @. Unset: to the sender.
    pub return_path: Option<String>,
    /// Where answers go unless a campaign or its template says so: `Help <help@example.com>`. Unset: to the sender.
    pub reply_to: Option<String>,
    /// Headers of every message, by their names. A campaign's or a template's header of the same name takes the place of one. Those whose
    /// names speak of a secret are shown as one.
    #[serde(serialize_with = "without_secrets")]
    pub headers: BTreeMap<String, String>,
}

fn without_secrets<S: Serializer>(headers: &BTreeMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = headers.iter().map(|(name, value)| match is_secret(&format!("headers.{name}")) {
        true => (name, "***"),
        false => (name, value.as_str()),
    });
    serializer.collect_map(shown)
}

impl Default for SmtpConfig {
    fn default() -> Self {
        Self {
            server: ServerConfig::default(),
            username: None,
            password: None,
            oauth_token_file: None,
            oauth_token_command: Vec::new(),
            ehlo_name: None,
            pipelining: true,
            final_reply_timeout_seconds: 300,
            return_path: None,
            reply_to: None,
            headers: BTreeMap::new(),
        }
    }
}

impl SmtpConfig {
    /// `oauth_token_file`, where it names one.
    #[must_use]
    pub fn token_file(&self) -> Option<&Path> {
        self.oauth_token_file.as_deref().filter(|file| !file.as_os_str().is_empty())
    }

    /// `ehlo_name`, where one is set.
    #[must_use]
    pub fn introduction(&self) -> Option<&str> {
        self.ehlo_name.as_deref().filter(|name| !name.is_empty())
    }

    /// `return_path`, where one is set.
    #[must_use]
    pub fn return_path(&self) -> Option<&str> {
        self.return_path.as_deref().filter(|address| !address.is_empty())
    }

    /// `reply_to`, where one is set.
    #[must_use]
    pub fn reply_to(&self) -> Option<&str> {
        self.reply_to.as_deref().filter(|address| !address.is_empty())
    }

    /// How long the reply to the final dot is waited for.
    #[must_use]
    pub fn final_reply_timeout(&self) -> Duration {
        Duration::from_secs(self.final_reply_timeout_seconds)
    }
}
