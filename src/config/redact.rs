//! Settings as they may be shown: by `volley config`, in logs, in a ticket.

use toml::{Table, Value};
use url::Url;

use super::Settings;
use super::secret::Secret;

/// What stands in place of a secret.
const HIDDEN: &str = "***";

/// Query parameters of addresses that say how to connect and hold no secret.
const HARMLESS_PARAMETERS: &[&str] = &[
    "tls",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "ssl_min_protocol_version",
    "connect_timeout",
    "target_session_attrs",
    "application_name",
    "host",
    "hostaddr",
    "port",
];

impl Settings {
    /// The effective settings with every secret hidden. Of addresses the scheme, host and path are shown, of targets no path. The table
    /// prints itself as TOML.
    ///
    /// # Errors
    /// A number does not fit TOML's 64 signed bits, which [`Settings::check`] refuses.
    pub fn redacted(&self) -> Result<Table, toml::ser::Error> {
        // `Secret` serialises as `***`; addresses get back what is safe to show.
        let mut table = Table::try_from(self)?;
        put_url(table.get_mut("database").and_then(Value::as_table_mut), Some(&self.database.url));
        put_url(table.get_mut("broker").and_then(Value::as_table_mut), self.broker.url.as_ref());
        let tables = table.get_mut("pools").and_then(Value::as_array_mut).into_iter().flatten();
        for (table, pool) in tables.zip(&self.pools) {
            let mut table = table.as_table_mut();
            put_url(table.as_deref_mut(), pool.provider.server().and_then(|server| server.url.as_ref()));
            let Some(webhook) = pool.provider.webhook() else { continue };
            put_address(table.as_deref_mut(), "proxy", webhook.proxy.as_ref());
            let probe = table.and_then(|table| table.get_mut("probe")).and_then(Value::as_table_mut);
            if let (Some(table), Some(probe)) = (probe, &webhook.probe) {
                table.insert("path".to_owned(), Value::String(redact_path(probe.path.expose())));
            }
        }
        let tables = table.get_mut("targets").and_then(Value::as_array_mut).into_iter().flatten();
        for (table, target) in tables.zip(&self.targets) {
            let mut table = table.as_table_mut();
            if let (Some(table), Some(url)) = (table.as_deref_mut(), &target.url) {
                table.insert("url".to_owned(), Value::String(redact_hook(url.expose())));
            }
            put_address(table, "proxy", target.proxy.as_ref());
        }
        Ok(table)
    }
}

fn put_url(table: Option<&mut Table>, url: Option<&Secret>) {
    put_address(table, "url", url);
}

fn put_address(table: Option<&mut Table>, name: &str, address: Option<&Secret>) {
    if let (Some(table), Some(address)) = (table, address) {
        table.insert(name.to_owned(), Value::String(redact_url(address.expose())));
    }
}

/// `text` without user, password and what its query may hide; `***` when it is no address.
#[must_use]
pub fn redact_url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return if text.starts_with("sqlite://") { text.to_owned() } else { HIDDEN.to_owned() };
    };
    let bare = url.username().is_empty() && url.password().is_none();
    let is_harmless = |name: &str| HARMLESS_PARAMETERS.contains(&name);
    if bare && url.query_pairs().all(|(name, _)| is_harmless(&name)) {
        return text.to_owned();
    }
    // Fails for addresses that cannot have a user, which then have none.
    if url.set_password(None).and_then(|()| url.set_username(if bare { "" } else { HIDDEN })).is_err() {
        return HIDDEN.to_owned();
    }
    let query: Vec<String> = url
        .query_pairs()
        .map(|(name, value)| format!("{name}={}", if is_harmless(&name) { value.as_ref() } else { HIDDEN }))
        .collect();
    url.set_query(if query.is_empty() { None } else { Some(query.join("&")) }.as_deref());
    url.to_string()
}

/// `text`, a path, without what its query may hide.
#[must_use]
pub fn redact_path(text: &str) -> String {
    text.split_once('?').map_or_else(|| text.to_owned(), |(path, _)| format!("{path}?{HIDDEN}"))
}

/// `text`, the address of a target, without its path: many receivers have their secret in it.
fn redact_hook(text: &str) -> String {
    Url::parse(text)
        .map_or_else(|_| HIDDEN.to_owned(), |url| format!("{}/{HIDDEN}", url.origin().ascii_serialization()))
}

/// Whether the setting at `key` holds something that must not be shown. Of headers only those whose name says so.
#[must_use]
pub fn is_secret(key: &str) -> bool {
    let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
    if table.ends_with("headers") {
        let name = name.to_ascii_lowercase();
        return ["auth", "cookie", "key", "secret", "token"].iter().any(|word| name.contains(word));
    }
    matches!(name, "root_key" | "key" | "callback_secret" | "password" | "secret" | "url" | "proxy")
}
