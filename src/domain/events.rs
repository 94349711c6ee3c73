//! Events: what a contact did, and what happened to it, as programs tell of them.

use serde::Serialize;
use serde_json::{Map, Value};

use super::instant::UtcInstant;
use super::people::contact::{FieldError, has_control};

/// The longest name of an event, in characters.
pub const MAX_NAME: usize = 100;

/// The most bytes of an event's properties, as JSON.
pub const MAX_PROPERTIES: usize = 32 * 1024;

/// The deepest nesting of properties. The object itself is the first level.
pub const MAX_DEPTH: usize = 5;

/// How far ahead of the database's clock an event may say that it occurred, in milliseconds: clocks differ.
pub const MOST_AHEAD_MS: i64 = 5 * 60 * 1000;

/// The most events in one batch.
pub const MAX_BATCH: usize = 1000;

/// How long the keys of events are remembered, in milliseconds.
pub const KEYS_KEPT_MS: i64 = 30 * 86_400_000;

/// The longest key of an event, in bytes.
pub const MAX_KEY: usize = 255;

/// What names begin with that only Volley gives.
pub const RESERVED: [&str; 5] = ["segment.", "campaign.", "message.", "contact.", "volley."];

/// The name of an event, such as `order_placed`: 1 to 100 characters out of `a` to `z`, `0` to `9`, `_`, `.`, `:` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EventName(String);

impl EventName {
    /// Reads a name that a program gave.
    ///
    /// # Errors
    /// [`FieldError`] with the code `event_name_invalid`, or `event_name_reserved`: only Volley gives such names.
    pub fn parse(raw: &str) -> Result<Self, FieldError> {
        check_name(raw).map_err(|reason| FieldError::new("name", "event_name_invalid", reason))?;
        if RESERVED.iter().any(|prefix| raw.starts_with(prefix)) {
            let reason = format!("must not begin with {}: Volley itself gives such names", RESERVED.join(", "));
            return Err(FieldError::new("name", "event_name_reserved", reason));
        }
        Ok(Self(raw.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks the characters of a name, be it a program's or Volley's own.
///
/// # Errors
/// What is allowed.
pub fn check_name(raw: &str) -> Result<(), String> {
    if raw.is_empty() || raw.len() > MAX_NAME || !raw.chars().all(is_word) {
        return Err(format!("must be 1 to {MAX_NAME} characters out of {ALPHABET}"));
    }
    Ok(())
}

/// Who tells of an event. Of two sources, the same key means two events.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventSource(String);

impl EventSource {
    /// The longest source that an API key may be given, in characters.
    pub const MAX: usize = 100;

    /// The longest source there is: that of a key with a reserved name.
    pub const LONGEST: usize = Self::MAX + "key:".len();

    /// The root key of the settings.
    #[must_use]
    pub fn root() -> Self {
        Self("root".to_owned())
    }

    /// Volley itself.
    #[must_use]
    pub fn volley() -> Self {
        Self("volley".to_owned())
    }

    /// A sender pool: for what its provider reports.
    #[must_use]
    pub fn of_pool(name: &str) -> Self {
        Self(format!("pool:{name}"))
    }

    /// Reads what an API key is to call itself: 1 to 100 characters out of `a` to `z`, `0` to `9`, `_`, `.`, `:` and `-`.
    ///
    /// # Errors
    /// [`FieldError`] with the code `event_source_invalid`, or `event_source_reserved`: `volley`, `root`, and what begins with `pool:`
    /// or `key:`.
    pub fn check(raw: &str) -> Result<(), FieldError> {
        if raw.is_empty() || raw.len() > Self::MAX || !raw.chars().all(is_word) {
            let reason = format!("must be 1 to {} characters out of {ALPHABET}", Self::MAX);
            return Err(FieldError::new("source", "event_source_invalid", reason));
        }
        if Self::is_reserved(raw) {
            let reason = "must not be volley or root, and must not begin with pool: or key:";
            return Err(FieldError::new("source", "event_source_reserved", reason));
        }
        Ok(())
    }

    /// An API key: by the source that it was given, else by its name.
    #[must_use]
    pub fn of_key(name: &str, source: Option<&str>) -> Self {
        match source {
            Some(source) => Self(source.to_owned()),
            // Nobody may pass for Volley by the name of a key.
            None if Self::is_reserved(name) => Self(format!("key:{name}")),
            None => Self(name.to_owned()),
        }
    }

    fn is_reserved(text: &str) -> bool {
        matches!(text, "volley" | "root") || text.starts_with("pool:") || text.starts_with("key:")
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The characters of names and sources, for errors.
const ALPHABET: &str = "a-z, 0-9, underscore, dot, colon and hyphen";

fn is_word(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | ':' | '-')
}

/// Reads what else is known of an event: an object of at most 32 KiB and five levels, without control characters other than line
/// breaks and tabs. The answer is its JSON.
///
/// # Errors
/// [`FieldError`] with the code `properties_too_deep`, `properties_too_long` or `control_character`.
pub fn read_properties(properties: Map<String, Value>) -> Result<String, FieldError> {
    let refuse = |code, reason: String| Err(FieldError::new("properties", code, reason));
    let properties = Value::Object(properties);
    if !is_within(&properties, MAX_DEPTH) {
        return refuse("properties_too_deep", format!("has more than {MAX_DEPTH} levels"));
    }
    if has_control(&properties) {
        return refuse("control_character", "has a control character".to_owned());
    }
    let json = properties.to_string();
    if json.len() > MAX_PROPERTIES {
        return refuse("properties_too_long", format!("is longer than {MAX_PROPERTIES} bytes as JSON"));
    }
    Ok(json)
}

/// Whether a value has at most so many levels. A number or a text has none.
fn is_within(value: &Value, levels: usize) -> bool {
    let below = |mut inner: Box<dyn Iterator<Item = &Value> + '_>| {
        levels.checked_sub(1).is_some_and(|levels| inner.all(|value| is_within(value, levels)))
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Array(items) => below(Box::new(items.iter())),
        Value::Object(entries) => below(Box::new(entries.values())),
    }
}

/// Reads the key under which an event is stored once: 1 to 255 visible ASCII characters.
///
/// # Errors
/// [`FieldError`] with the code `event_key_invalid`.
pub fn read_key(raw: String) -> Result<String, FieldError> {
    if raw.is_empty() || raw.len() > MAX_KEY || !raw.bytes().all(|byte| byte.is_ascii_graphic()) {
        let reason = format!("must be 1 to {MAX_KEY} visible ASCII characters");
        return Err(FieldError::new("key", "event_key_invalid", reason));
    }
    Ok(raw)
}

/// When an event occurred that came at `received`. Without a time: then. One that is a little ahead counts as then, too, because
/// clocks differ. `None`: it is too far ahead.
#[must_use]
pub fn occurred(said: Option<UtcInstant>, received: UtcInstant) -> Option<UtcInstant> {
    let said = said.unwrap_or(received);
    (said <= received.plus_ms(MOST_AHEAD_MS)).then_some(said.min(received))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_name_has_one_alphabet_and_volleys_own_names_are_refused() {
        for name in ["order_placed", "cart.item:added", "a", &"x".repeat(100), "segments", "messages.read"] {
            assert_eq!(EventName::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "Order", "order placed", "größe", "a/b", &"x".repeat(101)] {
            assert_eq!(EventName::parse(name).unwrap_err().code, "event_name_invalid", "{name:?}");
        }
        for name in ["segment.entered", "campaign.sent", "message.opened", "contact.created", "volley.x"] {
            assert_eq!(EventName::parse(name).unwrap_err().code, "event_name_reserved", "{name}");
        }
    }

    #[test]
    fn no_key_passes_for_volley() {
        assert_eq!(EventSource::of_key("Web shop", None).as_str(), "Web shop");
        assert_eq!(EventSource::of_key("Web shop", Some("shop")).as_str(), "shop");
        assert_eq!(EventSource::of_key("volley", None).as_str(), "key:volley");
        for source in ["volley", "root", "pool:default", "key:shop"] {
            assert_eq!(EventSource::check(source).unwrap_err().code, "event_source_reserved", "{source}");
        }
        for source in ["", "Web shop", &"x".repeat(101)] {
            assert_eq!(EventSource::check(source).unwrap_err().code, "event_source_invalid", "{source:?}");
        }
        assert_eq!(EventSource::check("web-shop"), Ok(()));
    }

    #[test]
    fn properties_have_a_bounded_depth_and_length() {
        let five = json!({ "1": { "2": { "3": [{ "5": "text" }] } } });
        assert_eq!(read_properties(object(five.clone())).unwrap(), five.to_string());
        let six = json!({ "1": { "2": { "3": [{ "5": [] }] } } });
        assert_eq!(read_properties(object(six)).unwrap_err().code, "properties_too_deep");
        let fits = json!({ "a": "x".repeat(MAX_PROPERTIES - 8) });
        assert_eq!(read_properties(object(fits)).unwrap().len(), MAX_PROPERTIES);
        let long = json!({ "a": "x".repeat(MAX_PROPERTIES - 7) });
        assert_eq!(read_properties(object(long)).unwrap_err().code, "properties_too_long");
        assert_eq!(read_properties(object(json!({ "a": "\u{0}" }))).unwrap_err().code, "control_character");
    }

    #[test]
    fn a_key_is_visible_ascii() {
        assert_eq!(read_key("order-7:paid".to_owned()).unwrap(), "order-7:paid");
        for key in ["", "a b", "ü", &"x".repeat(256)] {
            assert_eq!(read_key(key.to_owned()).unwrap_err().code, "event_key_invalid", "{key:?}");
        }
    }

    #[test]
    fn an_event_of_the_future_counts_as_now_for_five_minutes_and_not_beyond() {
        let now = UtcInstant(1_000_000_000);
        assert_eq!(occurred(None, now), Some(now));
        assert_eq!(occurred(Some(UtcInstant(5)), now), Some(UtcInstant(5)));
        assert_eq!(occurred(Some(now.plus_ms(MOST_AHEAD_MS)), now), Some(now));
        assert_eq!(occurred(Some(now.plus_ms(MOST_AHEAD_MS + 1)), now), None);
    }
}
