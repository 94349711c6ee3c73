//! From a `[[pools]]` block to a pool. A setting that Volley does not know and a setting of another provider are refused by name.
//!
//! serde refuses unknown fields (`deny_unknown_fields`) only where no struct takes in the fields of another (`flatten`). So a
//! block is read in two steps: first its names are compared with those that its provider has, then each struct reads the
//! values of its own fields and passes over the others.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};
use toml::{Table, Value};

use super::{PoolConfig, Provider, ProviderConfig, ServerConfig, SmtpConfig, WebhookConfig};

/// A `[[pools]]` block that is no pool.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// A setting that does not exist or is missing, or a value that it cannot have. In serde's words, which may repeat the value.
    #[error("{path}: {message}")]
    Value {
        /// Where in the block: `retry_delays[0]`, `headers.X-Shop`; `.` is the block itself.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// A setting of another provider. It would be ignored, and somebody counts on it.
    #[error("{setting}: {reason}")]
    Foreign {
        /// Its name.
        setting: String,
        /// Whose it is.
        reason: String,
    },
}

/// The settings that a pool of this kind has, the shared ones first.
#[must_use]
pub fn settings(kind: Provider) -> Vec<String> {
    // JSON shows unset ones too, as null.
    let bare = serde_json::to_value(PoolConfig::bare(kind)).unwrap_or_default();
    let names = |bare: &serde_json::Value| Some(bare.as_object()?.keys().cloned().collect());
    names(&bare).unwrap_or_default()
}

/// The kinds of provider that have this setting; none if it does not exist.
#[must_use]
pub fn owners(setting: &str) -> Vec<Provider> {
    let has = |kind: &Provider| settings(*kind).iter().any(|name| name == setting);
    Provider::ALL.iter().copied().filter(has).collect()
}

impl PoolConfig {
    /// Reads one `[[pools]]` block. [`crate::config::Settings::check`] says whether the values can work together.
    ///
    /// # Errors
    /// [`PoolError`] for the first setting that is wrong.
    pub fn read(block: &Value) -> Result<Self, PoolError> {
        let Value::Table(table) = block else {
            let message = format!("invalid type: {}, expected struct PoolConfig", block.type_str());
            return Err(PoolError::Value { path: ".".to_owned(), message });
        };
        if let Some(name) = table.keys().find(|name| owners(name).is_empty()) {
            return Err(unknown(name));
        }
        let Shared(mut pool) = typed(table)?;
        let Kind { provider: kind } = typed(table)?;
        pool.provider = ProviderConfig::read(kind, table)?;
        refuse_foreign(kind, table)?;
        Ok(pool)
    }
}

impl ProviderConfig {
    fn read(kind: Provider, table: &Table) -> Result<Self, PoolError> {
        Ok(match kind {
            Provider::Smtp => Self::Smtp(SmtpConfig { server: server(table)?, ..typed(table)? }),
            Provider::Webhook => Self::Webhook(WebhookConfig { server: server(table)?, ..typed(table)? }),
            Provider::Sandbox => Self::Sandbox(typed(table)?),
        })
    }
}

fn server(table: &Table) -> Result<ServerConfig, PoolError> {
    typed(table)
}

/// The first setting that only other providers have. One that says what is the default anyway changes nothing and is accepted.
fn refuse_foreign(kind: Provider, table: &Table) -> Result<(), PoolError> {
    for setting in table.keys() {
        let owners = owners(setting);
        let Some(owner) = owners.first().filter(|_| !owners.contains(&kind)) else { continue };
        let written = values(&ProviderConfig::read(*owner, table)?)?;
        let default = values(&ProviderConfig::from(*owner))?;
        if written.get(setting) != default.get(setting) {
            let owners = owners.iter().map(|owner| owner.as_str()).collect::<Vec<_>>().join(" and ");
            let reason = format!("belongs to {owners}, and this pool's provider is {kind}");
            return Err(PoolError::Foreign { setting: setting.clone(), reason });
        }
    }
    Ok(())
}

fn values(provider: &ProviderConfig) -> Result<Table, PoolError> {
    Table::try_from(provider).map_err(|error| PoolError::Value { path: ".".to_owned(), message: error.to_string() })
}

/// As serde says it.
fn unknown(name: &str) -> PoolError {
    let mut known: Vec<String> = Vec::new();
    for setting in Provider::ALL.iter().flat_map(|kind| settings(*kind)) {
        if !known.contains(&setting) {
            known.push(setting);
        }
    }
    let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    PoolError::Value { path: ".".to_owned(), message: format!("unknown field `{name}`, expected one of {known}") }
}

/// The settings that all pools have, read by what serde derives for [`PoolConfig`].
struct Shared(PoolConfig);

impl<'de> Deserialize<'de> for Shared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PoolConfig::deserialize(deserializer).map(Self)
    }
}

#[derive(Deserialize)]
struct Kind {
    provider: Provider,
}

/// A struct from the fields of `table` that are its own.
fn typed<T: DeserializeOwned>(table: &Table) -> Result<T, PoolError> {
    serde_path_to_error::deserialize(Value::Table(table.clone())).map_err(|error| PoolError::Value {
        path: error.path().to_string(),
        message: error.inner().message().to_owned(),
    })
}

/// For whole documents; the message begins with the setting.
impl<'de> Deserialize<'de> for PoolConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PoolConfig, PoolError> {
        let shared = "name = \"a\"\nchannel = \"email\"\n";
        PoolConfig::read(&Value::Table(toml::from_str(&format!("{shared}{text}")).unwrap()))
    }

    /// A value of its own kind for each setting, and not its default.
    fn strange(setting: &str) -> &'static str {
        match setting {
            "tls_ca_file"
            | "tls_fingerprint"
            | "url"
            | "answers_of"
            | "username"
            | "password"
            | "oauth_token_file"
            | "ehlo_name"
            | "return_path"
            | "reply_to"
            | "method"
            | "body"
            | "provider_id_pointer"
            | "proxy"
            | "crash_on" => "\"x\"",
            "oauth_token_command" => "[\"x\"]",
            "pipelining" | "keep_alive" => "false",
            "idempotent" => "true",
            "final_reply_timeout_seconds" | "idempotent_for_seconds" => "7",
            "headers" | "form" => "{ x = \"y\" }",
            "failures" => "[{ pointer = \"/x\" }]",
            "answers" => "[{ code = 450, class = \"policy\" }]",
            "http_version" => "2",
            "probe" => "{ path = \"/\" }",
            "latency_ms" => "[1, 2]",
            "failure_rate" => "0.5",
            other => panic!("{other} has no value here"),
        }
    }

    #[test]
    fn every_setting_is_refused_by_the_providers_that_do_not_have_it() {
        let mut refused = 0;
        for kind in Provider::ALL {
            let others = Provider::ALL.iter().flat_map(|other| settings(*other));
            for setting in others.filter(|setting| !owners(setting).contains(kind)) {
                let error = read(&format!("provider = \"{kind}\"\n{setting} = {}\n", strange(&setting))).unwrap_err();
                let text = error.to_string();
                assert!(matches!(error, PoolError::Foreign { .. }), "{text}");
                assert!(text.starts_with(&format!("{setting}: belongs to ")), "{text}");
                assert!(text.ends_with(&format!(", and this pool's provider is {kind}")), "{text}");
                refused += 1;
            }
        }
        assert!(refused > 30, "only {refused} were tried");
    }

    #[test]
    fn a_setting_of_another_provider_that_says_its_default_is_accepted() {
        let harmless = "pipelining = true\nfinal_reply_timeout_seconds = 300\noauth_token_command = []\n";
        read(&format!("provider = \"webhook\"\n{harmless}")).unwrap();
        let harmless = "idempotent = false\nidempotent_for_seconds = 86400\nhttp_version = 1.1\nkeep_alive = true\n\
                        headers = {}\nfailures = []\n";
        read(&format!("provider = \"smtp\"\n{harmless}")).unwrap();
        read(&format!("provider = \"sandbox\"\n{harmless}answers = []\n")).unwrap();
    }

    #[test]
    fn a_bad_value_is_named_by_its_place_in_the_block() {
        let path = |text: &str| match read(text).unwrap_err() {
            PoolError::Value { path, .. } => path,
            PoolError::Foreign { setting, .. } => panic!("{setting} is of another provider"),
        };
        assert_eq!(path("provider = \"smtp\"\nretry_delays = [1, \"x\"]\n"), "retry_delays[1]");
        assert_eq!(path("provider = \"smtp\"\nanswers = [{ code = 450, class = \"x\" }]\n"), "answers[0].class");
        assert_eq!(path("provider = \"webhook\"\nheaders = { X-Shop = 1 }\n"), "headers.X-Shop");
        assert_eq!(path("provider = \"webhook\"\npipelining = 1\n"), "pipelining");
    }

    #[test]
    fn a_pool_that_is_written_is_read_back() {
        for kind in Provider::ALL {
            let bare = PoolConfig { name: "a".to_owned(), ..PoolConfig::bare(*kind) };
            let table = Table::try_from(&bare).unwrap();
            let again = PoolConfig::read(&Value::Table(table.clone())).unwrap();
            assert_eq!(again.provider.kind(), *kind);
            assert_eq!(Table::try_from(&again).unwrap(), table);
        }
    }
}
