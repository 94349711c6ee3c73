//! The states of pages as literals: an index over the pages of one state serves no statement that binds the state, neither on
//! SQLite nor in PostgreSQL's generic plans.

use diesel::expression::SqlLiteral;
use diesel::sql_types::Bool;

/// Pages that wait to be leased.
pub(in crate::store) fn is_ready() -> SqlLiteral<Bool> {
    diesel::dsl::sql("pages.state = 'ready'")
}

/// Pages under a lease.
pub(in crate::store) fn is_leased() -> SqlLiteral<Bool> {
    diesel::dsl::sql("pages.state = 'leased'")
}
