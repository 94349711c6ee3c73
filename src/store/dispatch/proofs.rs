//! What reports prove of deliveries, as conditions of statements.

use diesel::expression::SqlLiteral;
use diesel::sql_types::Bool;

use crate::domain::reports::Reported;

/// Whether it was reported of a delivery that the provider accepted it.
pub(super) fn is_proven() -> SqlLiteral<Bool> {
    diesel::dsl::sql(&format!("(deliveries.reported & {}) <> 0", Reported::accepting().bits()))
}
