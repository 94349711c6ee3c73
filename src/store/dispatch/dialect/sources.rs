//! How many people an audience names more than once.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Untyped};

use super::audience::{Number, People, between, listed, segments_of, sent_of};
use super::given::{Given, tables};
use crate::domain::campaigns::audience::Inclusion;
use crate::store::dispatch::plan::Span;
use crate::store::engine::sql::Pieces;
use crate::store::{Conn, StoreError};

/// How many sources an audience has: each list, tag, segment and earlier campaign, the ids, the filter, and everybody.
fn sources(include: &Inclusion) -> usize {
    let many = include.lists.len() + include.tags.len() + include.segments.len() + include.campaigns.len();
    let single = [include.all, !include.contact_ids.is_empty(), include.asked_filter().is_some()];
    many + single.into_iter().filter(|is_used| *is_used).count()
}

/// How many people of a stretch more than one source of an audience names. Its campaign is 0.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn in_several_sources(
    conn: &mut Conn,
    people: People<'_>,
    given: &Given,
    span: Span,
) -> Result<i64, StoreError> {
    if sources(&people.audience.include) < 2 {
        return Ok(0);
    }
    let mut count = Pieces::default();
    count.push(&tables(matches!(conn, Conn::Pg(_)), people.audience, given, span));
    count.push("SELECT count(*) AS n FROM (SELECT u.contact_id FROM (");
    push_sources(people, &mut count, span);
    count.push(") AS u CROSS JOIN contacts AS c WHERE c.id = u.contact_id AND ");
    people.push_living(&mut count);
    count.push(" GROUP BY u.contact_id HAVING count(*) > 1) AS several").once();
    let count = count.query::<BigInt, Untyped>();
    let row: QueryResult<Number> = match conn {
        Conn::Pg(conn) => count.get_result(conn),
        Conn::Sqlite(conn) => count.get_result(conn),
    };
    row.map(|row| row.n).map_err(StoreError::query("count who is named more than once"))
}

/// Everybody who is named, once for each source: its kind and its id.
fn push_sources(people: People<'_>, to: &mut Pieces<i64>, span: Span) {
    let include = &people.audience.include;
    let mut is_first = true;
    let mut next = |to: &mut Pieces<i64>, select: &str| {
        // A list of which everybody is a member who has not refused names its subscribers once more: `UNION` takes that away.
        to.push(if std::mem::take(&mut is_first) { "SELECT " } else { " UNION SELECT " }).push(select);
    };
    if include.all {
        next(to, "c.id AS contact_id, 0 AS kind, 0 AS source FROM contacts AS c WHERE ");
        between(to, "c.id", span);
    }
    if !include.lists.is_empty() {
        next(
            to,
            "m.contact_id AS contact_id, 1 AS kind, m.list_id AS source FROM audience_lists AS a CROSS JOIN list_members AS m \
             WHERE NOT a.excluded AND m.list_id = a.list_id AND ",
        );
        people.push_subscribed(to);
        between(to.push(" AND "), "m.contact_id", span);
    }
    if people.has_default {
        next(
            to,
            "c.id AS contact_id, 1 AS kind, l.id AS source FROM contacts AS c CROSS JOIN audience_lists AS a CROSS JOIN lists AS l \
             WHERE l.id = a.list_id AND l.default_opt_in AND NOT a.excluded AND coalesce((SELECT m.status FROM list_members AS m \
             WHERE m.list_id = a.list_id AND m.contact_id = c.id), '') <> 'unsubscribed' AND c.introduced_at <= ",
        );
        people.push_launch(to);
        between(to.push(" AND "), "c.id", span);
    }
    if !include.tags.is_empty() {
        next(
            to,
            "t.contact_id AS contact_id, 2 AS kind, t.tag_id AS source FROM audience_tags AS a CROSS JOIN contact_tags AS t WHERE \
             NOT a.excluded AND t.tag_id = a.tag_id AND t.created_at <= ",
        );
        people.push_launch(to);
        between(to.push(" AND "), "t.contact_id", span);
    }
    if !include.contact_ids.is_empty() {
        next(
            to,
            "n.contact_id AS contact_id, 3 AS kind, 0 AS source FROM audience_contacts AS n WHERE NOT n.excluded AND ",
        );
        between(to, "n.contact_id", span);
    }
    if !include.segments.is_empty() {
        let of = segments_of(&include.segments);
        next(
            to,
            "s.contact_id AS contact_id, 4 AS kind, s.segment_id AS source FROM segment_members AS s WHERE s.left_at IS NULL ",
        );
        to.push(&format!("AND s.segment_id IN ({of}) AND s.entered_at <= "));
        people.push_launch(to);
        between(to.push(" AND "), "s.contact_id", span);
    }
    if let Some(taken) = people.filtered.map(|filtered| &filtered.taken).filter(|taken| !taken.is_empty()) {
        let rows = listed(taken.iter().map(|id| id.0), "(", ")");
        next(to, "CAST(f.column1 AS BIGINT) AS contact_id, 5 AS kind, 0 AS source FROM ");
        to.push(&format!("(VALUES {rows}) AS f"));
    }
    if !include.campaigns.is_empty() {
        let of = sent_of(&include.campaigns);
        next(
            to,
            "d.contact_id AS contact_id, 6 AS kind, d.campaign_id AS source FROM deliveries AS d WHERE d.state = 'sent' AND ",
        );
        between(to.push(&format!("d.campaign_id IN ({of}) AND ")), "d.contact_id", span);
    }
    if is_first {
        to.push("SELECT c.id AS contact_id, 0 AS kind, 0 AS source FROM contacts AS c WHERE c.id < 0");
    }
}
