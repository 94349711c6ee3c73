//! Columns that keep JSON as text.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::sql_types::Text;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::StoreError;

/// What a column has as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, FromSqlRow)]
pub struct StoredJson<T: 'static>(pub T);

impl<T: DeserializeOwned, DB: Backend> FromSql<Text, DB> for StoredJson<T>
where
    String: FromSql<Text, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(serde_json::from_str(&String::from_sql(bytes)?)?))
    }
}

/// The text of a column. `what`: what it is of, for the error.
pub(in crate::store) fn as_json<T: Serialize + ?Sized>(value: &T, what: &'static str) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt { what, detail: error.to_string() })
}
