//! What emails have beside their words, as columns keep it.

use super::stored_json::{StoredJson, as_json as json};
use crate::domain::content::email_fields::EmailFields;
use crate::store::StoreError;

/// The fields as a column has them.
pub type StoredEmailFields = StoredJson<EmailFields>;

/// The text of a column.
pub(in crate::store) fn as_json(fields: &EmailFields) -> Result<String, StoreError> {
    json(fields, "fields of an email")
}
