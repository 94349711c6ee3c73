//! `[broker]`: RabbitMQ between instances.

use std::path::{Path, PathBuf};

use lapin::uri::AMQPUri;
use serde::{Deserialize, Serialize};

use super::secret::Secret;

/// `[broker]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Broker {
    /// `amqp://USER:PASSWORD@HOST:PORT/VHOST`, or `amqps://…`. Unset: nothing of RabbitMQ is touched.
    pub url: Option<Secret>,
    /// Whether campaigns are launched by messages on `campaigns.pack`. They pass by the API keys. false.
    pub accept_pack: bool,
    /// Pages that an instance takes from a pool's queue before it has room for them. 2.
    pub prefetch: u16,
    /// amqps: certificates that a private authority has signed are trusted by this PEM file.
    pub tls_ca_file: Option<PathBuf>,
}

impl Default for Broker {
    fn default() -> Self {
        Self { url: None, accept_pack: false, prefetch: 2, tls_ca_file: None }
    }
}

impl Broker {
    /// The address. A path of `/` alone means the virtual host `/`, as leaving it out does.
    ///
    /// # Errors
    /// It is unset, or no address; the text is not repeated.
    pub fn uri(&self) -> Result<AMQPUri, String> {
        const FORM: &str = "not an address such as amqp://USER:PASSWORD@HOST:5672/VHOST";
        let text = self.url.as_ref().ok_or("no broker is configured")?;
        let mut uri: AMQPUri = text.expose().parse().map_err(|_may_quote_it: String| FORM.to_owned())?;
        if uri.vhost.is_empty() {
            "/".clone_into(&mut uri.vhost);
        }
        Ok(uri)
    }

    /// `tls_ca_file`, where it names one.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.tls_ca_file.as_deref().filter(|file| !file.as_os_str().is_empty())
    }

    /// What `tls_ca_file` holds.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn authorities(&self) -> Result<Option<String>, String> {
        self.ca_file()
            .map(|path| std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display())))
            .transpose()
    }
}
