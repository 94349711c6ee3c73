//! How the columns of a file are to be read, where a client says so.

use super::presets::Preset;
use crate::domain::export::Format;
use crate::domain::people::contact::{BuiltIn, attribute_name};
use crate::domain::people::spelling::trim;

/// How the columns of a file are to be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// How the file is written.
    pub format: Format,
    /// Whether the contacts are to be on a list, so that columns may say how they stand on it.
    pub on_list: bool,
    /// How exports of Volley name that list: its slug, or its id where it has none. `None`: no list, or one that is yet to be made.
    pub list: Option<String>,
    /// Which tool has written the file.
    pub preset: PresetChoice,
    /// Columns by their headers; the others are read by their names.
    pub mapping: Vec<Mapped>,
}

/// Which tool has written a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PresetChoice {
    /// What its header shows clearly.
    #[default]
    Recognised,
    /// None: columns are read by their names alone.
    Off,
    /// This one.
    Named(Preset),
}

impl PresetChoice {
    /// What turns presets off.
    pub const OFF: &'static str = "none";

    /// A preset by its name, or `none`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == Self::OFF { Some(Self::Off) } else { Preset::from_text(text).map(Self::Named) }
    }

    /// What may be written.
    #[must_use]
    pub fn allowed() -> String {
        let names = Preset::ALL.iter().map(|preset| preset.as_str()).chain([Self::OFF]);
        names.collect::<Vec<_>>().join(", ")
    }
}

/// A column and the field that it fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// The header, as the file has it.
    pub header: String,
    /// The field.
    pub field: Field,
}

/// What a column fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// A field of the contact.
    BuiltIn(BuiltIn),
    /// First and last name in one.
    Name,
    /// Whether the person agrees, in words of a state.
    Status,
    /// Whether the person agrees: yes or no.
    OptIn,
    /// Whether the person has refused: anything but no is a refusal.
    OptOut,
    /// Since when.
    StatusAt,
    /// Where the consent comes from.
    Source,
    /// Tags.
    Tags,
    /// A JSON object of attributes.
    Attributes,
    /// This attribute.
    Attribute(String),
    /// Nothing: the column is passed over.
    Ignored,
}

impl Field {
    /// What may be written.
    pub const ALLOWED: &'static str = "email, phone, external_id, first_name, last_name, timezone, locale, name (first and last name in one), \
                                       status, opt_in (yes or no), opt_out (yes or no), status_at, source, tags, attributes.NAME, attributes (a JSON object), or - \
                                       (the column is passed over)";

    /// A field by its name. `None`: there is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match trim(text) {
            "name" => Self::Name,
            "status" => Self::Status,
            "opt_in" => Self::OptIn,
            "opt_out" => Self::OptOut,
            "status_at" => Self::StatusAt,
            "source" => Self::Source,
            "tags" => Self::Tags,
            "attributes" => Self::Attributes,
            "-" | "ignore" => Self::Ignored,
            other => match other.strip_prefix("attributes.") {
                Some(name) => Self::Attribute(attribute_name(name).ok()?),
                None => Self::BuiltIn(BuiltIn::from_name(other)?),
            },
        })
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BuiltIn(field) => f.write_str(field.as_str()),
            Self::Name => f.write_str("name"),
            Self::Status => f.write_str("status"),
            Self::OptIn => f.write_str("opt_in"),
            Self::OptOut => f.write_str("opt_out"),
            Self::StatusAt => f.write_str("status_at"),
            Self::Source => f.write_str("source"),
            Self::Tags => f.write_str("tags"),
            Self::Attributes => f.write_str("attributes"),
            Self::Attribute(name) => write!(f, "attributes.{name}"),
            Self::Ignored => f.write_str("-"),
        }
    }
}

/// Why a mapping cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// It does not say what the column is.
    #[error("\"{0}\" is no mapping: write HEADER:FIELD or HEADER=FIELD, such as E-Mail:email")]
    Malformed(String),
    /// There is no such field.
    #[error("column \"{header}\" cannot be \"{field}\": allowed are {}", Field::ALLOWED)]
    NoField {
        /// The column.
        header: String,
        /// What it was to be.
        field: String,
    },
    /// A column is mapped twice.
    #[error("column \"{0}\" is mapped twice")]
    Twice(String),
}

impl Mapped {
    /// Reads mappings such as `E-Mail:email`; a `=` does, too. The last one of either parts the header from the field, so that a header
    /// may have some.
    ///
    /// # Errors
    /// [`MappingError`].
    pub fn parse_all<'t>(texts: impl Iterator<Item = &'t str>) -> Result<Vec<Self>, MappingError> {
        let mut all: Vec<Self> = Vec::new();
        for text in texts {
            let shown = |text: &str| crate::domain::shown::shown(text);
            let (header, field) = text.rsplit_once([':', '=']).ok_or_else(|| MappingError::Malformed(shown(text)))?;
            let header = trim(header);
            if header.is_empty() {
                return Err(MappingError::Malformed(shown(text)));
            }
            let no_field = || MappingError::NoField { header: shown(header), field: shown(field) };
            let field = Field::parse(field).ok_or_else(no_field)?;
            if all.iter().any(|one| one.header == header) {
                return Err(MappingError::Twice(shown(header)));
            }
            all.push(Self { header: header.to_owned(), field });
        }
        Ok(all)
    }

    /// Mappings as they are stored: a JSON array of pairs.
    #[must_use]
    pub fn stored(all: &[Self]) -> String {
        let pairs = all.iter().map(|one| serde_json::json!([one.header, one.field.to_string()]));
        serde_json::Value::Array(pairs.collect()).to_string()
    }

    /// Mappings as they were stored. `None`: they cannot be read.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Vec<Self>> {
        let pairs: Vec<(String, String)> = serde_json::from_str(text).ok()?;
        pairs.into_iter().map(|(header, field)| Some(Self { header, field: Field::parse(&field)? })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read_stored_and_read_again() {
        let texts =
            ["E-Mail:email", "a:b=c:name", " Stadt = attributes.City ", "x:attributes", "y:-", "z:ignore", "s:status"];
        let all = Mapped::parse_all(texts.into_iter()).unwrap();
        let named: Vec<String> = all.iter().map(|one| format!("{}|{}", one.header, one.field)).collect();
        assert_eq!(
            named,
            ["E-Mail|email", "a:b=c|name", "Stadt|attributes.city", "x|attributes", "y|-", "z|-", "s|status"]
        );
        assert_eq!(Mapped::from_stored(&Mapped::stored(&all)), Some(all));
        assert_eq!(Mapped::from_stored("[[\"a\",\"nothing\"]]"), None);
    }

    #[test]
    fn what_cannot_be_mapped_is_said_with_what_can() {
        let error = |texts: &[&str]| Mapped::parse_all(texts.iter().copied()).unwrap_err();
        assert_eq!(error(&["email"]), MappingError::Malformed("email".into()));
        assert_eq!(error(&[":email"]), MappingError::Malformed(":email".into()));
        assert_eq!(error(&["a:email", "a:phone"]), MappingError::Twice("a".into()));
        for field in ["mail", "", "attributes.", "attributes.email", "attributes.***", "id"] {
            let error = error(&[&format!("Kunde:{field}")]).to_string();
            assert!(error.contains("\"Kunde\"") && error.contains("attributes.NAME"), "{error}");
        }
    }
}
