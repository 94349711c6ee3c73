//! What set each setting, and the settings in force as a list.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Settings;

/// What has set which setting: a file, a variable, a flag.
#[derive(Debug, Clone, Default)]
pub struct Origins(BTreeMap<String, String>);

impl Origins {
    /// By key, such as `http.addr` or `pools[0].url`, or by the table that a setting came in.
    pub(super) fn new(by_key: BTreeMap<String, String>) -> Self {
        Self(by_key)
    }

    /// What set `key`: itself, else the table it came in, else something inside it.
    #[must_use]
    pub fn of(&self, key: &str) -> &str {
        let mut path = key;
        loop {
            if let Some(origin) = self.0.get(path) {
                return origin;
            }
            match path.rsplit_once(['.', '[']) {
                Some((parent, _)) => path = parent,
                None => break,
            }
        }
        let inside = format!("{key}.");
        let inner = self.0.range(inside.clone()..).next().filter(|(path, _)| path.starts_with(&inside));
        inner.map_or("the defaults", |(_, origin)| origin)
    }
}

/// A setting in force.
#[derive(Debug, Clone, PartialEq)]
pub struct InForce {
    /// `http.addr`, `pools[0].url`.
    pub key: String,
    /// Its value; secrets are `***`.
    pub value: Value,
    /// The file, variable or flag that set it.
    pub set_by: String,
}

impl Settings {
    /// Every setting that has a value, in the order of the sections, with secrets hidden as [`Settings::redacted`] hides them.
    ///
    /// # Errors
    /// As [`Settings::redacted`].
    pub fn in_force(&self) -> Result<Vec<InForce>, toml::ser::Error> {
        let mut all = Vec::new();
        self.list("", self.redacted()?, &mut all);
        Ok(all)
    }

    fn list(&self, prefix: &str, table: Table, all: &mut Vec<InForce>) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match value {
                Value::Table(inner) => self.list(&key, inner, all),
                Value::Array(blocks) if blocks.iter().any(Value::is_table) => {
                    for (index, block) in blocks.into_iter().enumerate() {
                        if let Value::Table(inner) = block {
                            self.list(&format!("{key}[{index}]"), inner, all);
                        }
                    }
                }
                value @ (Value::String(_)
                | Value::Integer(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::Datetime(_)
                | Value::Array(_)) => {
                    let set_by = self.origins.of(&key).to_owned();
                    all.push(InForce { key, value, set_by });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(all: &[(&str, &str)]) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
        all.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn each_setting_is_listed_with_what_set_it_and_without_secrets() {
        let environment = variables(&[
            ("VOLLEY_HTTP__ADDR", "127.0.0.1:9"),
            ("VOLLEY_AUTH__ROOT_KEY", "vk_0123456789abcdef0123456789abcdef"),
            (
                "VOLLEY_POOLS",
                r#"[{"name": "main", "channel": "email", "provider": "smtp", "url": "smtp://relay.example:25", "from": "a@example.com"}]"#,
            ),
            ("VOLLEY_POOLS__MAIN__PASSWORD", "hidden-word"),
            ("VOLLEY_POOLS__MAIN__USERNAME", "user"),
        ]);
        let settings = Settings::from_layers(None, environment, &[]).unwrap();
        let all = settings.in_force().unwrap();
        let one = |key: &str| {
            let found = all.iter().find(|one| one.key == key).unwrap_or_else(|| panic!("{key}: {all:?}"));
            (found.value.to_string(), found.set_by.as_str())
        };
        assert_eq!(one("http.addr"), ("\"127.0.0.1:9\"".to_owned(), "VOLLEY_HTTP__ADDR"));
        assert_eq!(one("audit.keep_days").1, "config/default.toml, compiled in");
        assert_eq!(one("pools[0].name"), ("\"main\"".to_owned(), "VOLLEY_POOLS"));
        assert_eq!(one("pools[0].password"), ("\"***\"".to_owned(), "VOLLEY_POOLS__MAIN__PASSWORD"));
        assert_eq!(one("auth.root_key"), ("\"***\"".to_owned(), "VOLLEY_AUTH__ROOT_KEY"));
        let text = format!("{all:?}");
        assert!(!text.contains("hidden-word") && !text.contains("0123456789abcdef"), "{text}");
    }
}
