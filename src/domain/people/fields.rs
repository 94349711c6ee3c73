//! The built-in fields of a contact. Each is declared here and nowhere else; beside it, a new one needs a migration, its column
//! in the schema, and its line in the documentation.

use diesel::sql_types::{Nullable, Text};

/// Hands the list of built-in fields to a macro: documentation, name in code, name in templates, imports, the API and the table.
macro_rules! built_in_fields {
    ($with:ident) => {
        $with! {
            /// The client's own id; unique among live contacts. At most 255 characters.
            ExternalId = external_id,
            /// Email address, trimmed and in lower case; unique among live contacts.
            Email = email,
            /// Phone number in international form, kept as E.164: `+442079460123`; unique among live contacts.
            Phone = phone,
            /// Given name.
            FirstName = first_name,
            /// Family name.
            LastName = last_name,
            /// IANA name of the time zone.
            Timezone = timezone,
            /// BCP 47 language tag.
            Locale = locale,
        }
    };
}
pub(crate) use built_in_fields;

macro_rules! declare {
    ($($(#[$doc:meta])* $variant:ident = $name:ident,)+) => {
        /// The built-in fields of one contact, each with a value or without.
        #[derive(
            Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, diesel::Queryable,
            diesel::QueryableByName,
        )]
        pub struct Fields {
            $($(#[$doc])* #[diesel(sql_type = Nullable<Text>)] pub $name: Option<String>,)+
        }

        /// A built-in field.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum BuiltIn {
            $($(#[$doc])* $variant,)+
        }

        impl BuiltIn {
            /// Every built-in field.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name that templates, imports, the API and the table use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($name),)+ }
            }
        }

        impl Fields {
            /// The value of a field.
            #[must_use]
            pub fn get(&self, field: BuiltIn) -> Option<&str> {
                match field { $(BuiltIn::$variant => self.$name.as_deref(),)+ }
            }

            /// The place of a field.
            pub fn get_mut(&mut self, field: BuiltIn) -> &mut Option<String> {
                match field { $(BuiltIn::$variant => &mut self.$name,)+ }
            }
        }
    };
}
built_in_fields!(declare);

impl BuiltIn {
    /// The field of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.as_str() == name)
    }
}

impl Fields {
    /// What a contact is known by, the strongest first.
    #[must_use]
    pub fn keys(&self) -> [Option<&str>; 3] {
        [self.external_id.as_deref(), self.email.as_deref(), self.phone.as_deref()]
    }

    /// Takes over the values that `given` has; whether anything changed.
    pub fn take(&mut self, given: &Self) -> bool {
        let mut changed = false;
        for field in BuiltIn::ALL {
            let value = given.get(*field);
            if value.is_some() && self.get(*field) != value {
                *self.get_mut(*field) = value.map(str::to_owned);
                changed = true;
            }
        }
        changed
    }
}
