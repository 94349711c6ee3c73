//! Where settings come from. Five layers, the later ones win, and every value remembers which layer set it, so that a
//! refusal can say where to look.
//!
//! - the defaults in the code,
//! - `config/default.toml`, compiled in,
//! - the file named by `--config`, else by `VOLLEY_CONFIG`,
//! - variables `VOLLEY_SECTION__KEY`,
//! - flags.
//!
//! Variables for targets: `VOLLEY_TARGETS` holds all of them as a JSON array; `VOLLEY_TARGETS__NAME__KEY` sets `url`, `secret` or `proxy` of
//! one.
//!
//! Variables for pools: `VOLLEY_POOLS` holds all of them as a JSON array; `VOLLEY_POOLS__NAME__KEY` sets `url`,
//! `username`, `password`, `from`, `proxy`, `CALLBACKS__SECRET` or `HEADERS__NAME` of one, so that secrets need not stand in a file. `NAME` is the
//! pool's name in any case, with `_` for `-`. An empty variable counts as unset.
//!
//! Each variable that sets a secret has a sister with `_FILE` at its end, which names a file with the secret.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Settings;
use super::origins::Origins;
use super::pools::{PoolConfig, PoolError};
use super::redact::{is_secret, redact_path, redact_url};
use super::secret_files;

/// The documented defaults, as the repository ships them.
pub const DEFAULT_FILE: &str = include_str!("../../config/default.toml");
const DEFAULT_ORIGIN: &str = "config/default.toml, compiled in";

/// The settings of one pool that a variable of its own may set.
const POOL_VARIABLES: &[&str] = &["url", "username", "password", "from", "proxy"];

/// The settings of one target that a variable of its own may set.
const TARGET_VARIABLES: &[&str] = &["url", "secret", "proxy"];

/// A setting given on the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// As it is typed: `--server`.
    pub name: &'static str,
    /// What it sets: `cli.server`.
    pub key: &'static str,
    /// Its value.
    pub value: String,
}

/// Settings that cannot be used. Each message is one line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The settings file cannot be read.
    #[error("cannot read the settings file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Whether `--config` names it.
        by_flag: bool,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The text is not TOML (or, for `VOLLEY_POOLS`, not JSON).
    #[error("{origin}, line {line}: {reason}")]
    Syntax {
        /// The file or variable.
        origin: String,
        /// Counted from 1.
        line: usize,
        /// What the parser found.
        reason: String,
    },
    /// A setting that does not exist or a value that is not allowed.
    #[error("{key}: {reason} (set by {origin})")]
    Invalid {
        /// The setting: `http.addr`, `pools[0].url`.
        key: String,
        /// What is wrong and what is allowed. Never the text of a secret.
        reason: String,
        /// The file, variable or flag it came from.
        origin: String,
    },
    /// A secret stands in a file that every user of the machine can read.
    #[error("{key}: a secret in a file that every user can read (set by {path}); run: chmod o-r {path}", path = path.display())]
    Exposed {
        /// The setting.
        key: String,
        /// The file.
        path: PathBuf,
    },
}

impl ConfigError {
    /// Whether what was typed is wrong, rather than the installation: a flag, a file that `--config` names, or a role that there is not.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Invalid { key, origin, .. } => origin.starts_with("--") || key == "instance.role",
            Self::Unreadable { by_flag, .. } => *by_flag,
            Self::Syntax { .. } | Self::Exposed { .. } => false,
        }
    }
}

impl Settings {
    /// Reads the settings of this process: `file` (else the one `VOLLEY_CONFIG` names), the environment, `flags`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key and where it was set, for the first thing that is wrong.
    pub fn load(file: Option<&Path>, flags: &[Flag]) -> Result<Self, ConfigError> {
        Self::from_layers(file, std::env::vars_os(), flags)
    }

    /// As [`Settings::load`], with the environment given.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn from_layers(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &[Flag],
    ) -> Result<Self, ConfigError> {
        let variables = volley_variables(environment)?;
        let mut layers = Layers::default();
        layers.add_text(DEFAULT_FILE, DEFAULT_ORIGIN)?;
        if let Some(path) = file.or_else(|| variables.get("VOLLEY_CONFIG").map(Path::new)) {
            layers.add_file(path, file.is_some())?;
        }
        layers.add_variables(&variables)?;
        for flag in flags {
            layers.set_typed(flag.key, &flag.value, flag.name)?;
        }
        let settings = Settings { origins: layers.origins(), ..layers.parse()? };
        settings.check().map_err(|bad| layers.invalid(bad.key, bad.reason))?;
        Ok(settings)
    }
}

/// The variables that concern Volley and are not empty.
fn volley_variables(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut variables = BTreeMap::new();
    for (name, value) in environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with("VOLLEY_")) else { continue };
        let Some(value) = value.to_str() else {
            return Err(ConfigError::Syntax { origin: name.to_owned(), line: 1, reason: "not UTF-8".to_owned() });
        };
        if !value.is_empty() {
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(variables)
}

/// The merged values, and what set each of them.
#[derive(Default)]
struct Layers {
    values: Table,
    origins: BTreeMap<String, String>,
}

impl Layers {
    fn add_file(&mut self, path: &Path, by_flag: bool) -> Result<(), ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), by_flag, source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
        let table = self.add_text(&text, &path.display().to_string())?;
        if mode & 0o004 != 0
            && let Some(key) = first_secret("", &Value::Table(table))
        {
            return Err(ConfigError::Exposed { key, path: path.to_owned() });
        }
        Ok(())
    }

    fn add_text(&mut self, text: &str, origin: &str) -> Result<Table, ConfigError> {
        let table: Table = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            ConfigError::Syntax {
                origin: origin.to_owned(),
                line: before.matches('\n').count() + 1,
                reason: one_line(error.message()),
            }
        })?;
        merge(&mut self.values, table.clone(), "", origin, &mut self.origins);
        Ok(table)
    }

    fn add_variables(&mut self, variables: &BTreeMap<String, String>) -> Result<(), ConfigError> {
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix("VOLLEY_") else { continue };
            if rest == "CONFIG" || rest.starts_with("TEST_") {
                continue;
            }
            let secret = secret_files::read(name, text, variables)
                .map_err(|unusable| self.unknown(&unusable.key, &unusable.reason, name))?;
            let (rest, text) = match &secret {
                Some((stands_for, text)) => (stands_for.strip_prefix("VOLLEY_").unwrap_or_default(), text),
                None => (rest, text),
            };
            let path = rest.to_ascii_lowercase();
            if path == "pools" || path == "targets" {
                let all: Value = serde_json::from_str(text).map_err(|error| ConfigError::Syntax {
                    origin: name.clone(),
                    line: error.line(),
                    // serde_json's message may quote the value, which may be a secret.
                    reason: format!("not a JSON array of {path}"),
                })?;
                self.values.insert(path.clone(), all);
                self.origins.insert(path, name.clone());
            } else if let Some(setting) = path.strip_prefix("targets__") {
                self.set_in_target(setting, text, name)?;
            } else if let Some(setting) = path.strip_prefix("pools__") {
                self.set_in_pool(setting, text, name)?;
            } else if path.contains("__") {
                self.set_typed(&path.replace("__", "."), text, name)?;
            } else if let Some(right) = near_miss(&path) {
                return Err(self.unknown(name, &format!("did you mean {right}, with two underscores?"), name));
            }
            // Anything else is not ours: a service named "volley" makes Kubernetes set VOLLEY_PORT and its like.
        }
        Ok(())
    }

    /// Sets `key` from text, reading it as the type that the default has.
    fn set_typed(&mut self, key: &str, text: &str, origin: &str) -> Result<(), ConfigError> {
        let defaults = default_table();
        let (section, name) = key.split_once('.').unwrap_or(("", key));
        let example = defaults.get(section).and_then(|section| section.get(name));
        let mistyped = |what: &str| ConfigError::Invalid {
            key: key.to_owned(),
            reason: format!("{text:?} is not {what}"),
            origin: origin.to_owned(),
        };
        let value = match example {
            Some(Value::Integer(_)) => Value::Integer(text.parse().ok().ok_or_else(|| mistyped("a whole number"))?),
            Some(Value::Float(_)) => Value::Float(text.parse().ok().ok_or_else(|| mistyped("a number"))?),
            Some(Value::Boolean(_)) => Value::Boolean(text.parse().ok().ok_or_else(|| mistyped("true or false"))?),
            _ => Value::String(text.to_owned()),
        };
        let slot = self.values.entry(section).or_insert_with(|| Value::Table(Table::new()));
        match slot.as_table_mut() {
            Some(table) => table.insert(name.to_owned(), value),
            None => return Err(self.unknown(key, "is not a section", origin)),
        };
        self.origins.insert(key.to_owned(), origin.to_owned());
        Ok(())
    }

    /// Sets one setting of one target: `crm__secret`.
    fn set_in_target(&mut self, setting: &str, text: &str, origin: &str) -> Result<(), ConfigError> {
        let (wanted, setting) = setting.split_once("__").unwrap_or((setting, ""));
        let (index, target) = self.named("targets", wanted, origin)?;
        let key = format!("targets[{index}].{setting}");
        if !TARGET_VARIABLES.contains(&setting) {
            let reason = format!("not settable by a variable; {} are", TARGET_VARIABLES.join(", "));
            return Err(ConfigError::Invalid { key, reason, origin: origin.to_owned() });
        }
        target.insert(setting.to_owned(), Value::String(text.to_owned()));
        self.origins.insert(key, origin.to_owned());
        Ok(())
    }

    /// The block of an array whose name a variable spells so, and its place.
    fn named(&mut self, array: &str, wanted: &str, origin: &str) -> Result<(usize, &mut Table), ConfigError> {
        let blocks = self.values.get_mut(array).and_then(Value::as_array_mut);
        let block = blocks.and_then(|blocks| {
            blocks.iter_mut().enumerate().find_map(|(index, block)| {
                let block = block.as_table_mut()?;
                (super::check::folded(block.get("name")?.as_str()?) == wanted).then_some((index, block))
            })
        });
        block.ok_or_else(|| {
            let reason = format!("no {} is named {wanted}", array.trim_end_matches('s'));
            ConfigError::Invalid { key: array.to_owned(), reason, origin: origin.to_owned() }
        })
    }

    /// Sets one setting of one pool: `marketing__password`, `marketing__headers__x_service_token`.
    fn set_in_pool(&mut self, setting: &str, text: &str, origin: &str) -> Result<(), ConfigError> {
        let (wanted, setting) = setting.split_once("__").unwrap_or((setting, ""));
        let (index, pool) = self.named("pools", wanted, origin)?;
        let value = Value::String(text.to_owned());
        let key = if let Some(header) = setting.strip_prefix("headers__") {
            let header = header.replace('_', "-");
            let headers = pool.entry("headers").or_insert_with(|| Value::Table(Table::new()));
            if let Some(headers) = headers.as_table_mut() {
                headers.retain(|name, _| !name.eq_ignore_ascii_case(&header));
                headers.insert(header.clone(), value);
            }
            format!("pools[{index}].headers.{header}")
        } else if setting == "callbacks__secret" {
            let callbacks = pool.entry("callbacks").or_insert_with(|| Value::Table(Table::new()));
            if let Some(callbacks) = callbacks.as_table_mut() {
                callbacks.insert("secret".to_owned(), value);
            }
            format!("pools[{index}].callbacks.secret")
        } else if POOL_VARIABLES.contains(&setting) {
            pool.insert(setting.to_owned(), value);
            format!("pools[{index}].{setting}")
        } else {
            let reason = format!(
                "not settable by a variable; {}, callbacks__secret and headers__NAME are",
                POOL_VARIABLES.join(", ")
            );
            let key = format!("pools[{index}].{setting}");
            return Err(ConfigError::Invalid { key, reason, origin: origin.to_owned() });
        };
        self.origins.insert(key, origin.to_owned());
        Ok(())
    }

    fn parse(&self) -> Result<Settings, ConfigError> {
        let mut values = self.values.clone();
        // One by one, because what a pool may say depends on its provider. Anything but an array is for serde to refuse.
        let pools = match values.remove("pools") {
            Some(Value::Array(pools)) => pools,
            Some(other) => {
                values.insert("pools".to_owned(), other);
                Vec::new()
            }
            None => Vec::new(),
        };
        let mut settings: Settings = serde_path_to_error::deserialize(Value::Table(values))
            .map_err(|error| self.refused("", &error.path().to_string(), error.inner().message()))?;
        for (index, block) in pools.iter().enumerate() {
            let section = format!("pools[{index}]");
            settings.pools.push(PoolConfig::read(block).map_err(|error| match error {
                PoolError::Value { path, message } => self.refused(&section, &path, &message),
                PoolError::Foreign { setting, reason } => self.invalid(format!("{section}.{setting}"), reason),
            })?);
        }
        Ok(settings)
    }

    /// What serde says about the value at `path` in `section`.
    fn refused(&self, section: &str, path: &str, message: &str) -> ConfigError {
        // serde names an unknown field in its message only.
        let field = ["unknown field `", "missing field `"]
            .iter()
            .find_map(|prefix| message.strip_prefix(prefix)?.split_once('`'))
            .map(|(field, _)| field);
        let field = field.filter(|field| !path.ends_with(field));
        let parts = [Some(section), Some(path).filter(|path| *path != "."), field];
        let parts: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        let key = parts.join(".");
        let is_value = !message.starts_with("unknown field `") && !message.starts_with("missing field `");
        let may_hold_secrets = key.starts_with("pools") || key.starts_with("targets");
        let reason = if is_value && is_secret(&key) {
            "must be text".to_owned()
        } else if is_value && may_hold_secrets {
            // What stands in place of a block may be anything, a password too.
            plain(&without_text(message))
        } else {
            plain(message)
        };
        self.invalid(key, reason)
    }

    fn invalid(&self, key: String, reason: String) -> ConfigError {
        let origin = self.origin(&key);
        ConfigError::Invalid { key, reason, origin }
    }

    fn unknown(&self, key: &str, reason: &str, origin: &str) -> ConfigError {
        ConfigError::Invalid { key: key.to_owned(), reason: reason.to_owned(), origin: origin.to_owned() }
    }

    /// What set `key`.
    fn origin(&self, key: &str) -> String {
        self.origins().of(key).to_owned()
    }

    fn origins(&self) -> Origins {
        Origins::new(self.origins.clone())
    }
}

fn merge(into: &mut Table, from: Table, prefix: &str, origin: &str, origins: &mut BTreeMap<String, String>) {
    for (key, value) in from {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        if let (Some(Value::Table(old)), Value::Table(new)) = (into.get_mut(&key), &value) {
            merge(old, new.clone(), &path, origin, origins);
        } else {
            into.insert(key, value);
            origins.insert(path, origin.to_owned());
        }
    }
}

fn default_table() -> Table {
    Table::try_from(Settings::default()).unwrap_or_default()
}

/// `database_url` is meant to be `VOLLEY_DATABASE__URL`.
fn near_miss(path: &str) -> Option<String> {
    if let Some(right) = path.strip_suffix("_file").and_then(near_miss) {
        return Some(format!("{right}_FILE"));
    }
    let (section, key) = path.split_once('_')?;
    let optional = [
        ("auth", "root_key"),
        ("cli", "key"),
        ("http", "public_addr"),
        ("links", "public_url"),
        ("links", "texts_dir"),
        ("email", "postal_address"),
    ];
    let known = default_table().get(section).is_some_and(|section| section.get(key).is_some());
    (known || optional.contains(&(section, key)))
        .then(|| format!("VOLLEY_{}__{}", section.to_ascii_uppercase(), key.to_ascii_uppercase()))
}

/// The first secret in `value`, depth first.
fn first_secret(path: &str, value: &Value) -> Option<String> {
    if let Some(table) = value.as_table() {
        let inner = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        table.iter().find_map(|(key, value)| first_secret(&inner(key), value))
    } else if let Some(array) = value.as_array() {
        array.iter().enumerate().find_map(|(index, value)| first_secret(&format!("{path}[{index}]"), value))
    } else {
        let text = value.as_str().filter(|text| !text.is_empty())?;
        // An address is a secret only by what it carries.
        let secret = if path.ends_with(".url") || path.ends_with(".proxy") {
            redact_url(text) != text
        } else if path.ends_with(".probe.path") {
            redact_path(text) != text
        } else {
            is_secret(path)
        };
        secret.then(|| path.to_owned())
    }
}

/// serde's words for types, in words for people.
fn plain(message: &str) -> String {
    let mut text = one_line(message);
    for (rust, words) in [
        ("expected u32", "expected a whole number, 0 or more"),
        ("expected u64", "expected a whole number, 0 or more"),
        ("expected usize", "expected a whole number, 0 or more"),
        ("expected i64", "expected a whole number"),
        ("expected f64", "expected a number"),
        ("expected a string", "expected text"),
        ("expected struct", "expected a section, not a value:"),
    ] {
        text = text.replace(rust, words);
    }
    text
}

/// serde's message without the text that it found in place of what it expected.
fn without_text(message: &str) -> String {
    let parts = message.split_once(": string \"").zip(message.rsplit_once("\", expected "));
    match parts {
        Some(((what, _), (_, expected))) => format!("{what}: text, expected {expected}"),
        None => message.to_owned(),
    }
}

fn one_line(message: &str) -> String {
    message.split('\n').map(str::trim).collect::<Vec<_>>().join("; ")
}
