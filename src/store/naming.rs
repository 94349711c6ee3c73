//! Campaigns, lists, segments, templates and API keys by what people know of them: an id, a slug, the beginning of a name.

mod dialect;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};

use crate::store::{Conn, StoreError};

/// How many names are looked at of those that begin as asked: the newest of these are shown.
const LOOKED_AT: i64 = 200;

/// What has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// Campaigns. Their note is the status.
    Campaigns,
    /// Lists. Their note is the slug; empty where there is none.
    Lists,
    /// Segments. Their note is the slug.
    Segments,
    /// Templates. Their note is the channel.
    Templates,
    /// API keys. Their note is the scope, or `revoked`.
    ApiKeys,
}

impl Named {
    /// Their table, their note, and which rows of it are there.
    const fn source(self) -> (&'static str, &'static str, &'static str) {
        const LIVING: &str = "deleted_at IS NULL AND ";
        match self {
            Self::Campaigns => ("campaigns", "status", LIVING),
            Self::Lists => ("lists", "coalesce(slug, '')", ""),
            Self::Segments => ("segments", "slug", LIVING),
            Self::Templates => ("templates", "channel", LIVING),
            Self::ApiKeys => ("api_keys", "CASE WHEN revoked_at IS NULL THEN scope ELSE 'revoked' END", ""),
        }
    }

    const fn has_slug(self) -> bool {
        matches!(self, Self::Lists | Self::Segments)
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct Line {
    /// Its id.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    /// Its name.
    #[diesel(sql_type = Text)]
    pub name: String,
    /// What tells it from others of this name: see [`Named`].
    #[diesel(sql_type = Text)]
    pub note: String,
}

/// What of one kind fits a text: what has it for an id, then what has it for a slug, then names that are the text, then those that begin with
/// it, without regard to case (of ASCII letters on SQLite). The newest come first, of the first 200 in the order of the alphabet. At most
/// `most` of them.
///
/// # Errors
/// A query failed.
pub fn fitting(conn: &mut Conn, what: Named, text: &str, most: usize) -> Result<Vec<Line>, StoreError> {
    let mut found: Vec<Line> = Vec::new();
    let id = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten();
    if let Some(id) = id {
        found.extend(dialect::with_id(conn, what, id)?);
    }
    if what.has_slug() {
        found.extend(dialect::with_slug(conn, what, text)?);
    }
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    for line in dialect::beginning(conn, what, text, (LOOKED_AT, limit))? {
        if !found.iter().any(|known| known.id == line.id) {
            found.push(line);
        }
    }
    found.truncate(most);
    Ok(found)
}
