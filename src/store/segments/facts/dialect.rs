//! Facts of contacts as the two databases give them. All values are bound as texts, whatever they are compared with: how many
//! there are, and of which kinds, depends on the criteria.

mod conditions;

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use conditions::{most_binds, push_event};

use crate::domain::ids::{ContactId, ListId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::{BuiltIn, Fields};
use crate::domain::segments::question::{EventFact, Question};
use crate::store::engine::sql::Pieces;
use crate::store::segments::dialect::neighbours::stretch;
use crate::store::{Conn, StoreError};

/// Whose spelling a statement has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Pg,
    Sqlite,
}

impl Spelling {
    const fn of(conn: &Conn) -> Self {
        match conn {
            Conn::Pg(_) => Self::Pg,
            Conn::Sqlite(_) => Self::Sqlite,
        }
    }

    /// Adds that something is one of these ids.
    fn push_among(self, to: &mut Pieces<String>, ids: impl Iterator<Item = i64>) {
        let ids = ids.map(|id| id.to_string()).collect::<Vec<_>>().join(",");
        match self {
            Self::Pg => to.push(" = ANY(").bind(format!("{{{ids}}}")).push("::bigint[])"),
            Self::Sqlite => to.push(" IN (SELECT value FROM json_each(").bind(format!("[{ids}]")).push("))"),
        };
    }

    /// Adds that this column is one of these contacts; or one between them, where they lie close together: who gets more passes
    /// over it.
    fn push_contacts(self, to: &mut Pieces<String>, column: &str, ids: &[ContactId]) {
        to.push(column);
        let Some((first, last)) = stretch(ids) else { return self.push_among(to, ids.iter().map(|id| id.0)) };
        let cast = match self {
            Self::Pg => "::bigint",
            Self::Sqlite => " + 0",
        };
        to.push(" BETWEEN ").bind(first.to_string()).push(&format!("{cast} AND ")).bind(last.to_string()).push(cast);
    }

    /// Adds the times of events, as a list in JSON.
    fn push_times(self, to: &mut Pieces<String>, events: &[EventFact]) {
        if events.is_empty() {
            to.push("'[]'");
            return;
        }
        let (open, close) = match self {
            Self::Pg => ("array_to_json(ARRAY[", "])::text"),
            Self::Sqlite => ("json_array(", ")"),
        };
        to.push(open);
        for (n, event) in events.iter().enumerate() {
            push_event(self, to.push(if n == 0 { "" } else { ", " }), event);
        }
        to.push(close);
    }

    /// Adds how the contact `c` stands on these lists: pairs of list and standing, as a list in JSON.
    fn push_standings(self, to: &mut Pieces<String>, lists: &BTreeSet<ListId>) {
        if lists.is_empty() {
            to.push("'[]'");
            return;
        }
        to.push(match self {
            Self::Pg => "(SELECT coalesce(json_agg(json_build_array(m.list_id, m.status)), '[]'::json)::text",
            Self::Sqlite => "(SELECT json_group_array(json_array(m.list_id, m.status))",
        });
        to.push(" FROM list_members AS m WHERE m.contact_id = c.id AND m.list_id");
        self.push_among(to, lists.iter().map(|list| list.0));
        to.push(")");
    }

    /// Adds which of these tags the contact `c` has, as a list in JSON.
    fn push_tags(self, to: &mut Pieces<String>, tags: &BTreeSet<String>) {
        if tags.is_empty() {
            to.push("'[]'");
            return;
        }
        to.push(match self {
            Self::Pg => "(SELECT coalesce(json_agg(n.name), '[]'::json)::text",
            Self::Sqlite => "(SELECT json_group_array(n.name)",
        });
        to.push(
            " FROM tags AS n CROSS JOIN contact_tags AS t WHERE t.tag_id = n.id AND t.contact_id = c.id AND n.name",
        );
        let names = serde_json::json!(tags).to_string();
        match self {
            Self::Pg => to.push(" IN (SELECT jsonb_array_elements_text(").bind(names).push("::jsonb)))"),
            Self::Sqlite => to.push(" IN (SELECT value FROM json_each(").bind(names).push(")))"),
        };
    }

    /// Adds the contacts of a batch, as `c`. They are found before anything is asked of them: else PostgreSQL may begin with the
    /// events.
    fn push_batch(self, to: &mut Pieces<String>, columns: &str, ids: &[ContactId]) {
        to.push(&format!(" FROM (SELECT {columns} FROM contacts WHERE "));
        self.push_contacts(to, "id", ids);
        to.push(match self {
            Self::Pg => " ORDER BY id OFFSET 0) AS c",
            Self::Sqlite => " ORDER BY id LIMIT -1) AS c",
        });
    }
}

/// The most facts about events in one statement: SQLite takes no more in one row of JSON.
const MOST_EVENTS: usize = 100;

/// The most values that the facts of one statement bind: SQLite takes 32,766 in all, and PostgreSQL 65,535.
const MOST_BINDS: usize = 30_000;

/// Facts about events, in parts that one statement takes each; in their order.
pub(super) fn parts(events: &[EventFact]) -> Vec<&[EventFact]> {
    let (mut parts, mut rest) = (Vec::new(), events);
    while !rest.is_empty() {
        let mut binds = 0;
        let fits = rest.iter().take(MOST_EVENTS).take_while(|fact| {
            binds += most_binds(fact);
            binds <= MOST_BINDS
        });
        let (part, others) = rest.split_at(fits.count().max(1));
        parts.push(part);
        rest = others;
    }
    parts
}

/// A contact's own row, its standings and tags, and the times of its events: as they were at one moment.
#[derive(Queryable)]
pub(super) struct Known {
    pub(super) id: ContactId,
    pub(super) living: bool,
    pub(super) created_at: UtcInstant,
    pub(super) fields: Fields,
    pub(super) attributes: String,
    /// In JSON.
    pub(super) standings: String,
    /// In JSON.
    pub(super) tags: String,
    /// In JSON.
    pub(super) times: String,
}

type Field = Nullable<Text>;

/// The columns of [`Known`].
type KnownRow = (BigInt, Bool, BigInt, (Field, Field, Field, Field, Field, Field, Field), Text, Text, Text, Text);

/// The contacts of a batch; where they lie close together, with others between them. By one statement: from several ones, a contact
/// could be seen half before and half after a change, and enter a segment that it was never to be in.
pub(super) fn contacts(
    conn: &mut Conn,
    ids: &[ContactId],
    question: &Question,
    events: &[EventFact],
) -> Result<Vec<Known>, StoreError> {
    let spelling = Spelling::of(conn);
    let fields = BuiltIn::ALL.iter().map(|field| field.as_str()).collect::<Vec<_>>().join(", ");
    let attributes = if question.attributes.is_empty() { "'' AS attributes" } else { "attributes" };
    let mut query = Pieces::default();
    query.once().push(&format!("SELECT c.id, c.living, c.created_at, {fields}, c.attributes, "));
    spelling.push_standings(&mut query, &question.lists);
    spelling.push_tags(query.push(" AS standings, "), &question.tags);
    spelling.push_times(query.push(" AS tags, "), events);
    query.push(" AS times");
    let columns = format!("id, deleted_at IS NULL AS living, created_at, {fields}, {attributes}");
    spelling.push_batch(&mut query, &columns, ids);
    let query = query.query::<Text, KnownRow>();
    match conn {
        Conn::Pg(conn) => query.load(conn),
        Conn::Sqlite(conn) => query.load(conn),
    }
    .map_err(StoreError::query("read facts of contacts"))
}

/// The times of events of a batch, in JSON; with others as of [`contacts`].
pub(super) fn events(
    conn: &mut Conn,
    ids: &[ContactId],
    events: &[EventFact],
) -> Result<Vec<(ContactId, String)>, StoreError> {
    let spelling = Spelling::of(conn);
    let mut query = Pieces::default();
    query.once().push("SELECT c.id, ");
    spelling.push_times(&mut query, events);
    spelling.push_batch(&mut query, "id", ids);
    let query = query.query::<Text, (BigInt, Text)>();
    match conn {
        Conn::Pg(conn) => query.load(conn),
        Conn::Sqlite(conn) => query.load(conn),
    }
    .map_err(StoreError::query("read events of contacts"))
}

/// Which segments contacts are members of; with others as of [`contacts`].
pub(super) fn memberships(
    conn: &mut Conn,
    ids: &[ContactId],
    segments: &BTreeSet<SegmentId>,
) -> Result<Vec<(ContactId, SegmentId)>, StoreError> {
    let spelling = Spelling::of(conn);
    let mut query = Pieces::default();
    query.push("SELECT m.contact_id, m.segment_id FROM segment_members AS m WHERE m.left_at IS NULL AND m.segment_id");
    spelling.push_among(&mut query, segments.iter().map(|segment| segment.0));
    spelling.push_contacts(&mut query, " AND m.contact_id", ids);
    let query = query.query::<Text, (BigInt, BigInt)>();
    match conn {
        Conn::Pg(conn) => query.load(conn),
        Conn::Sqlite(conn) => query.load(conn),
    }
    .map_err(StoreError::query("read memberships of contacts"))
}
