//! A person, as clients and imports describe one.

use serde::{Deserialize, Serialize};

/// A contact's own data, parsed and normalised: what a POST or an import row comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContactDraft {
    /// The client's own id. At most [`MAX_FIELD`] characters.
    pub external_id: Option<String>,
    /// Trimmed and lower-cased; see [`super::email::parse`].
    pub email: Option<String>,
    /// E.164; see [`super::phone::parse`].
    pub phone: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// IANA time zone name.
    pub timezone: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// Everything else: attribute name → JSON value.
    pub attributes: Attributes,
}

/// Attribute name → JSON value, in name order.
pub type Attributes = std::collections::BTreeMap<String, serde_json::Value>;

/// The longest text of a built-in field, in characters.
pub const MAX_FIELD: usize = 255;

/// The contact's data as a template sees it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Profile {
    /// The client's own id.
    pub external_id: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// E.164 number.
    pub phone: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// IANA time zone name.
    pub timezone: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// Everything else.
    pub attributes: Attributes,
}

/// The built-in fields, by the names that templates, imports and the API use.
pub const BUILT_IN_FIELDS: &[&str] =
    &["external_id", "email", "phone", "first_name", "last_name", "timezone", "locale"];

/// Attribute names that every template may use, whether or not a contact has brought them yet.
pub const STANDING_ATTRIBUTES: &[&str] = &["location", "preferred_product"];
