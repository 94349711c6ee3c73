//! Secrets in files of their own: `VOLLEY_SECTION__KEY_FILE` names the file that has the text of `VOLLEY_SECTION__KEY`. That is how
//! containers and systemd hand secrets over.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use super::redact::is_secret;

/// What a secret may be long, in bytes: all pools together are one, too.
const LONGEST_BYTES: u64 = 1 << 20;

/// A variable that names no secret.
pub(super) struct Unusable {
    /// The setting that it means: `auth.root_key`, `pools.main.password`.
    pub(super) key: String,
    /// Why. Neither the file's text nor its name, which may be the secret itself, put into the wrong variable.
    pub(super) reason: String,
}

/// Which variable `name` stands for, and its text, if `name` is such a variable. `None`: it is of another kind.
///
/// # Errors
/// Both variables are set, or the file cannot be read, is empty, is too long or no text.
pub(super) fn read<'n>(
    name: &'n str,
    value: &str,
    variables: &BTreeMap<String, String>,
) -> Result<Option<(&'n str, String)>, Unusable> {
    let Some(stands_for) = name.strip_suffix("_FILE").filter(|name| holds_secret(name)) else { return Ok(None) };
    let refused = |reason: String| Unusable { key: key(stands_for), reason };
    if variables.contains_key(stands_for) {
        return Err(refused(format!("{stands_for} is set, too; set one of the two")));
    }
    let text = text_of(value).map_err(|reason| refused(format!("the file that the variable names {reason}")))?;
    Ok(Some((stands_for, text)))
}

/// The text of a file without the line break at its end. An error completes "the file …".
fn text_of(path: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LONGEST_BYTES) {
        return Err(format!("has more than {LONGEST_BYTES} bytes"));
    }
    let mut text = String::from_utf8(bytes).map_err(|_not_text| "is not UTF-8".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text) }
}

/// Whether the variable `name` sets something that may be secret. Not every variable that ends in `_FILE` names a secret:
/// `VOLLEY_BROKER__TLS_CA_FILE` is a setting of its own.
fn holds_secret(name: &str) -> bool {
    let key = key(name);
    matches!(key.as_str(), "pools" | "targets") || (key.contains('.') && is_secret(&key))
}

/// The setting that a variable sets: `auth.root_key`.
fn key(name: &str) -> String {
    name.strip_prefix("VOLLEY_").unwrap_or(name).to_ascii_lowercase().replace("__", ".")
}
