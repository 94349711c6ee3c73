//! Fields of a contact that criteria ask for.

use crate::domain::people::contact::BuiltIn;
use crate::domain::text_enum::text_enum;

text_enum! {
    /// A kind of address.
    AddressKind {
        /// An email address.
        Email = "email",
        /// A phone number.
        Phone = "phone",
    }
}

impl AddressKind {
    /// The field that holds such an address.
    #[must_use]
    pub const fn field(self) -> BuiltIn {
        match self {
            Self::Email => BuiltIn::Email,
            Self::Phone => BuiltIn::Phone,
        }
    }
}

/// A field that criteria can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContactField {
    /// A field of the contact.
    BuiltIn(BuiltIn),
    /// When Volley first had the contact.
    CreatedAt,
}

impl ContactField {
    const CREATED_AT: &str = "created_at";

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn(field) => field.as_str(),
            Self::CreatedAt => Self::CREATED_AT,
        }
    }

    /// The field of this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name == Self::CREATED_AT { Some(Self::CreatedAt) } else { BuiltIn::from_name(name).map(Self::BuiltIn) }
    }
}
