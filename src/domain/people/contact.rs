//! A person, as clients and imports describe one, and the rules that both must keep.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::fields::{BuiltIn, Fields};
use super::spelling::trim;
use super::{email, locale, phone, spelling, timezone};

/// A contact's own data, parsed and normalised: what a POST or an import row comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContactDraft {
    /// The built-in fields.
    pub fields: Fields,
    /// Everything else: attribute name → JSON value.
    pub attributes: Attributes,
}

/// Attribute name → JSON value, in name order.
pub type Attributes = std::collections::BTreeMap<String, Value>;

/// The longest text of a built-in field, in characters.
pub const MAX_FIELD: usize = 255;

/// The contact's data as a template sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Profile {
    /// The built-in fields.
    #[serde(flatten)]
    pub fields: Fields,
    /// Everything else.
    pub attributes: Attributes,
    /// Whether the person has said that they are not to be tracked. No template sees it.
    #[serde(skip)]
    pub untracked: bool,
}

impl Profile {
    /// First and last name, as far as they are known.
    #[must_use]
    pub fn full_name(&self) -> Option<String> {
        match (self.fields.first_name.as_deref(), self.fields.last_name.as_deref()) {
            (None, None) => None,
            (Some(only), None) | (None, Some(only)) => Some(only.to_owned()),
            (Some(first), Some(last)) => Some(format!("{first} {last}")),
        }
    }
}

/// Attribute names that every template may use, whether or not a contact has brought them yet.
pub const STANDING_ATTRIBUTES: &[&str] = &["location", "preferred_product"];

/// The longest attribute name, in characters.
pub const MAX_ATTRIBUTE_NAME: usize = 64;

/// The longest attribute value, serialised as JSON, in bytes.
pub const MAX_ATTRIBUTE_BYTES: usize = 4 * 1024;

/// How many attributes a contact may have.
pub const MAX_ATTRIBUTES: usize = 1000;

/// What is wrong with one field of a contact: the same shape in a problem document and in an import's report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldError {
    /// The field's name in a request, the column's header in an import.
    pub field: String,
    /// Stable, for programs: `email_invalid`, `field_too_long`, …
    #[schema(value_type = String)]
    pub code: Cow<'static, str>,
    /// For people: lower case, without full stop. Never repeats the value.
    pub reason: String,
}

impl FieldError {
    /// An error of `field`.
    #[must_use]
    pub fn new(field: impl Into<String>, code: &'static str, reason: impl Into<String>) -> Self {
        Self { field: field.into(), code: Cow::Borrowed(code), reason: reason.into() }
    }

    /// A contact has nothing that it is known by.
    #[must_use]
    pub fn no_key() -> Self {
        Self::new("contact", "no_key", "needs an email, a phone or an external_id")
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

impl std::error::Error for FieldError {}

impl BuiltIn {
    /// Reads a value of this field as a client wrote it. Blank text is no value.
    ///
    /// # Errors
    /// [`FieldError`] with the code of the parser concerned, `control_character` or `field_too_long`.
    pub fn parse(self, raw: &str) -> Result<Option<String>, FieldError> {
        let raw = trim(raw);
        if raw.is_empty() {
            return Ok(None);
        }
        let refuse = |code, reason: String| FieldError::new(self.as_str(), code, reason);
        let value = match self {
            Self::Email => email::parse(raw).map_err(|e| refuse(e.code(), e.to_string()))?,
            Self::Phone => phone::parse(raw).map_err(|e| refuse(e.code(), e.to_string()))?,
            Self::Timezone => timezone::parse(raw).map_err(|e| refuse(e.code(), e.to_string()))?,
            Self::Locale => locale::parse(raw).map_err(|e| refuse(e.code(), e.to_string()))?,
            Self::ExternalId | Self::FirstName | Self::LastName => self.parse_line(raw)?,
        };
        Ok(Some(value).filter(|value| !value.is_empty()))
    }

    /// One line of text in its composed spelling: no control characters; marks that only change how other text looks are
    /// dropped.
    fn parse_line(self, raw: &str) -> Result<String, FieldError> {
        if raw.chars().any(char::is_control) {
            return Err(FieldError::new(self.as_str(), "control_character", "has a control character or a line break"));
        }
        let value: Cow<'_, str> = if raw.is_ascii() { raw.into() } else { visible(raw).into() };
        if value.chars().count() > MAX_FIELD {
            return Err(FieldError::new(
                self.as_str(),
                "field_too_long",
                format!("is longer than {MAX_FIELD} characters"),
            ));
        }
        Ok(trim(&value).to_owned())
    }
}

impl ContactDraft {
    /// Reads and keeps a built-in field. Blank text leaves it unset.
    ///
    /// # Errors
    /// As [`BuiltIn::parse`].
    pub fn set(&mut self, field: BuiltIn, raw: &str) -> Result<(), FieldError> {
        *self.fields.get_mut(field) = field.parse(raw)?;
        Ok(())
    }

    /// The fields that have a value, by their names in templates: for what tells of a change without its values.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let fields = BuiltIn::ALL.iter().filter(|field| self.fields.get(**field).is_some());
        let fields = fields.map(|field| field.as_str().to_owned());
        fields.chain(self.attributes.keys().map(|name| format!("attributes.{name}"))).collect()
    }

    /// Keeps an attribute, its name brought into the one spelling (see [`attribute_name`]).
    ///
    /// # Errors
    /// [`FieldError`] with the code `attribute_name`, `attribute_reserved` (the name of a built-in field),
    /// `attribute_duplicate` (two spellings of one name), `too_many_attributes`, or as [`check_attribute`].
    pub fn set_attribute(&mut self, name: &str, value: Value) -> Result<(), FieldError> {
        let key = attribute_name(name)?;
        check_attribute(name, &value)?;
        if self.attributes.contains_key(&key) {
            return Err(FieldError::new(name, "attribute_duplicate", format!("{key} is given twice")));
        }
        if self.attributes.len() >= MAX_ATTRIBUTES {
            return Err(FieldError::new(
                name,
                "too_many_attributes",
                format!("a contact has at most {MAX_ATTRIBUTES} attributes"),
            ));
        }
        self.attributes.insert(key, value);
        Ok(())
    }

    /// Checks that there is something to know the person by.
    ///
    /// # Errors
    /// [`FieldError`] with the code `no_key` when `email`, `phone` and `external_id` are all unset.
    pub fn check_key(&self) -> Result<(), FieldError> {
        if self.fields.keys() == [None; 3] {
            return Err(FieldError::no_key());
        }
        Ok(())
    }
}

/// Checks an attribute's value: any JSON of at most [`MAX_ATTRIBUTE_BYTES`], its text without control characters other
/// than line breaks and tabs.
///
/// # Errors
/// [`FieldError`] of `name` with the code `control_character` or `attribute_too_long`.
pub fn check_attribute(name: &str, value: &Value) -> Result<(), FieldError> {
    if has_control(value) {
        return Err(FieldError::new(name, "control_character", "has a control character"));
    }
    let too_long = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        // Escaping makes a byte at most six, so most texts need not be serialised to know that they are short enough.
        Value::String(text) if text.len() <= (MAX_ATTRIBUTE_BYTES - 2) / 6 => false,
        Value::String(_) | Value::Array(_) | Value::Object(_) => value.to_string().len() > MAX_ATTRIBUTE_BYTES,
    };
    if too_long {
        return Err(FieldError::new(
            name,
            "attribute_too_long",
            format!("is longer than {MAX_ATTRIBUTE_BYTES} bytes as JSON"),
        ));
    }
    Ok(())
}

/// Whether a text of the value, or a name in it, has a control character other than line breaks and tabs.
pub(in crate::domain) fn has_control(value: &Value) -> bool {
    let bad = |text: &str| text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => bad(text),
        Value::Array(items) => items.iter().any(has_control),
        Value::Object(entries) => entries.iter().any(|(key, value)| bad(key) || has_control(value)),
    }
}

/// Brings a name into the one spelling that attributes have, `[a-z][a-z0-9_]{0,63}`: `Loyalty Tier`, `loyaltyTier` and
/// `loyalty-tier` are all `loyalty_tier`. Accents are dropped; a name that begins with a digit gets `column_` before it.
///
/// # Errors
/// [`FieldError`] with the code `attribute_name` when no letter or digit is left or the name is too long, or
/// `attribute_reserved` when a built-in field has that name.
pub fn attribute_name(raw: &str) -> Result<String, FieldError> {
    let name = normalised_name(raw);
    if name.is_empty() {
        return Err(FieldError::new(raw, "attribute_name", "a name needs a Latin letter or a digit"));
    }
    if name.len() > MAX_ATTRIBUTE_NAME {
        return Err(FieldError::new(
            raw,
            "attribute_name",
            format!("a name has at most {MAX_ATTRIBUTE_NAME} characters"),
        ));
    }
    if BuiltIn::from_name(&name).is_some() {
        return Err(FieldError::new(raw, "attribute_reserved", format!("{name} is a field of its own")));
    }
    Ok(name)
}

/// `raw` as lower-case words joined by underscores; empty when it has no Latin letter and no digit.
#[must_use]
pub fn normalised_name(raw: &str) -> String {
    let mut name = String::with_capacity(raw.len());
    let mut after_lower = false;
    for c in visible(raw).chars() {
        if c.is_uppercase() && after_lower && !name.ends_with('_') {
            name.push('_');
        }
        after_lower = c.is_lowercase();
        match c.to_lowercase().next().unwrap_or(c) {
            c if c.is_ascii_alphanumeric() => name.push(c),
            'à' | 'á' | 'â' | 'ã' | 'å' => name.push('a'),
            'ä' | 'æ' => name.push_str("ae"),
            'ç' | 'č' => name.push('c'),
            'è' | 'é' | 'ê' | 'ë' => name.push('e'),
            'ì' | 'í' | 'î' | 'ï' => name.push('i'),
            'ñ' => name.push('n'),
            'ò' | 'ó' | 'ô' | 'õ' | 'ø' => name.push('o'),
            'ö' | 'œ' => name.push_str("oe"),
            'ß' => name.push_str("ss"),
            'š' => name.push('s'),
            'ù' | 'ú' | 'û' => name.push('u'),
            'ü' => name.push_str("ue"),
            'ž' => name.push('z'),
            _ if name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    let name = name.trim_matches('_');
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("column_{name}") } else { name.to_owned() }
}

/// The text without invisible marks, in its composed spelling.
fn visible(raw: &str) -> String {
    let text: String = raw.chars().filter(|c| !is_invisible(*c)).collect();
    spelling::composed(&text).into_owned()
}

/// Marks without a glyph that only turn or hide other text: zero-width space, byte order mark, direction overrides.
/// (The zero-width joiners stay: Persian and emoji need them.)
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{feff}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn code_of<T: std::fmt::Debug>(result: Result<T, FieldError>) -> String {
        result.unwrap_err().code.into_owned()
    }

    #[test]
    fn attribute_names_have_one_spelling() {
        for (raw, expected) in [
            ("Loyalty Tier", "loyalty_tier"),
            ("loyaltyTier", "loyalty_tier"),
            (" loyalty-tier ", "loyalty_tier"),
            ("LOYALTY__TIER", "loyalty_tier"),
            ("\u{feff}city", "city"),
            ("Größe (cm)", "groesse_cm"),
            ("Prénom d'usage", "prenom_d_usage"),
            ("2024 spend", "column_2024_spend"),
            ("address2Line", "address2line"),
        ] {
            assert_eq!(attribute_name(raw).unwrap(), expected, "{raw}");
        }
        for raw in ["", "***", "Имя"] {
            assert_eq!(code_of(attribute_name(raw)), "attribute_name", "{raw}");
        }
        assert_eq!(code_of(attribute_name(&"a".repeat(65))), "attribute_name");
        assert_eq!(code_of(attribute_name("First Name")), "attribute_reserved");
    }

    #[test]
    fn a_blank_field_is_no_value() {
        for field in BuiltIn::ALL {
            assert_eq!(field.parse(" \u{feff}\u{a0} ").unwrap(), None);
        }
        assert_eq!(BuiltIn::FirstName.parse("\u{2066}\u{2069}").unwrap(), None);
    }

    #[test]
    fn names_keep_their_accents_and_lose_direction_overrides() {
        assert_eq!(BuiltIn::FirstName.parse("  Zoë ").unwrap().unwrap(), "Zoë");
        assert_eq!(BuiltIn::LastName.parse("\u{202e}Ann\u{200b}a").unwrap().unwrap(), "Anna");
    }

    #[test]
    fn control_characters_and_long_text_are_refused_with_the_fields_name() {
        let error = BuiltIn::FirstName.parse("a\nb").unwrap_err();
        assert_eq!((error.field.as_str(), &*error.code), ("first_name", "control_character"));
        assert_eq!(code_of(BuiltIn::ExternalId.parse(&"é".repeat(256))), "field_too_long");
        assert!(BuiltIn::ExternalId.parse(&"é".repeat(255)).is_ok());
    }

    #[test]
    fn an_attribute_is_any_json_within_its_size() {
        let mut draft = ContactDraft::default();
        draft.set_attribute("Tags", json!(["a", {"b": null}])).unwrap();
        draft.set_attribute("note", json!("two\nlines")).unwrap();
        assert_eq!(code_of(draft.set_attribute("tags", json!(1))), "attribute_duplicate");
        assert_eq!(code_of(draft.set_attribute("x", json!({"a": ["\u{0}"]}))), "control_character");
        assert_eq!(code_of(draft.set_attribute("x", json!("x".repeat(4095)))), "attribute_too_long");
        draft.set_attribute("x", json!("x".repeat(4094))).unwrap();
        assert_eq!(code_of(draft.set_attribute("email", json!("a@example.com"))), "attribute_reserved");
    }

    #[test]
    fn a_contact_needs_a_key() {
        let mut draft = ContactDraft::default();
        draft.set(BuiltIn::FirstName, "Ann").unwrap();
        assert_eq!(code_of(draft.check_key()), "no_key");
        draft.set(BuiltIn::ExternalId, "c-1").unwrap();
        draft.check_key().unwrap();
    }

    proptest! {
        #[test]
        fn an_attribute_name_once_accepted_stays_as_it_is(raw in "\\PC{0,40}") {
            if let Ok(name) = attribute_name(&raw) {
                prop_assert!(name.starts_with(|c: char| c.is_ascii_lowercase()));
                prop_assert_eq!(attribute_name(&name).unwrap(), name);
            }
        }

        #[test]
        fn a_parsed_field_parses_to_itself(raw in "\\PC{0,300}") {
            for field in BuiltIn::ALL {
                if let Ok(Some(value)) = field.parse(&raw) {
                    prop_assert_eq!(field.parse(&value).unwrap(), Some(value));
                }
            }
        }
    }
}
