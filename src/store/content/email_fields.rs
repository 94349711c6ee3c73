//! What emails have beside their words, as columns keep it.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::sql_types::Text;

use crate::domain::content::email_fields::EmailFields;
use crate::store::StoreError;

/// The fields as a column has them: JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, FromSqlRow)]
pub struct StoredEmailFields(pub EmailFields);

impl<DB: Backend> FromSql<Text, DB> for StoredEmailFields
where
    String: FromSql<Text, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(serde_json::from_str(&String::from_sql(bytes)?)?))
    }
}

/// The text of a column.
pub(in crate::store) fn as_json(fields: &EmailFields) -> Result<String, StoreError> {
    serde_json::to_string(fields)
        .map_err(|error| StoreError::Corrupt { what: "fields of an email", detail: error.to_string() })
}
