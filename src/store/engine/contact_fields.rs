//! The columns of a contact's built-in fields, for statements of all subjects.

use diesel::Selectable;
use diesel::backend::Backend;

use crate::domain::people::fields::{Fields, built_in_fields};
use crate::store::engine::schema::contacts;

macro_rules! select_fields {
    ($($(#[$doc:meta])* $variant:ident = $name:ident,)+) => {
        /// The columns of [`Fields`].
        pub(in crate::store) type FieldColumns = ($(contacts::$name,)+);

        /// The columns of [`Fields`], to be selected.
        pub(in crate::store) fn field_columns() -> FieldColumns {
            ($(contacts::$name,)+)
        }
    };
}
built_in_fields!(select_fields);

impl<DB: Backend> Selectable<DB> for Fields {
    type SelectExpression = FieldColumns;

    fn construct_selection() -> FieldColumns {
        field_columns()
    }
}
