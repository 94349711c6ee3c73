//! Lists as the topics that people agree to and refuse.

use diesel::prelude::*;

use crate::domain::ids::ListId;
use crate::store::engine::schema::lists;
use crate::store::{Conn, StoreError};

/// A list's slug. `None`: there is no such list, or it was created by an older version and has none.
///
/// # Errors
/// The query failed.
pub fn slug(conn: &mut Conn, id: ListId) -> Result<Option<String>, StoreError> {
    lists::table
        .find(id)
        .select(lists::slug)
        .first::<Option<String>>(conn)
        .optional()
        .map(Option::flatten)
        .map_err(StoreError::query("read a list's slug"))
}
