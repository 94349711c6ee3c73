//! Audiences: who belongs to one, and their deliveries by `INSERT … SELECT`.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Untyped};

use super::skips::count_skips;
use crate::domain::campaigns::audience::{Audience, Became, CampaignPart};
use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::delivery::SkipReason;
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, ContactId, PageId, SegmentId};
use crate::store::dispatch::eligibility::skip_reason;
use crate::store::dispatch::packing::fresh_counts;
use crate::store::dispatch::plan::Span;
use crate::store::engine::sql::{Pieces, sql};
use crate::store::{Conn, StoreError};

#[derive(QueryableByName)]
pub(super) struct Number {
    #[diesel(sql_type = BigInt)]
    pub(super) n: i64,
}

/// The people of an audience, for statements that read a stretch of them.
#[derive(Clone, Copy)]
pub(in crate::store) struct People<'a> {
    pub(in crate::store) campaign: CampaignId,
    pub(in crate::store) audience: &'a Audience,
    /// Whether a list of the audience counts everybody who was introduced and has not refused.
    pub(in crate::store) has_default: bool,
    /// What the filters of the audience say of the contacts of a stretch. `None`: it has no filter.
    pub(in crate::store) filtered: Option<&'a Filtered>,
}

/// The contacts of a stretch for whom filters decide. Their ids become part of the text of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::store) struct Filtered {
    /// Those that the filter takes.
    pub(in crate::store) taken: Vec<ContactId>,
    /// Those that the filter of who is left out takes.
    pub(in crate::store) left_out: Vec<ContactId>,
    /// Those whom the filter of who is left out was asked about: nobody else is meant, also where somebody is named only since.
    /// `None`: all of the stretch.
    pub(in crate::store) asked: Option<Vec<ContactId>>,
}

/// Ids as a part of a statement.
pub(super) fn listed(ids: impl Iterator<Item = i64>, open: &str, close: &str) -> String {
    ids.map(|id| format!("{open}{id}{close}")).collect::<Vec<_>>().join(",")
}

/// The ids of segments as a part of a statement.
pub(super) fn segments_of(ids: &[SegmentId]) -> String {
    listed(ids.iter().map(|id| id.0), "", "")
}

pub(super) fn sent_of(parts: &[CampaignPart]) -> String {
    let sent = parts.iter().filter(|part| part.was == Became::Sent);
    listed(sent.map(|part| part.id.0), "", "")
}

/// Whether a statement needs the contacts themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Contacts {
    /// As `c`. People who were named one by one stay in the books when they are gone; all others do not.
    Joined,
    /// The same as PostgreSQL has to be told it: each is looked up by its id. It would rather walk through all contacts, to have
    /// them in order.
    LookedUp,
    /// Counting does without them: who is deleted leaves all lists and tags.
    Left,
}

impl People<'_> {
    /// Adds `FROM … WHERE …`, and returns the column of the contact's id. What has the fewest rows is walked: a small list
    /// among millions of contacts costs no more than it has members.
    pub(super) fn push(&self, to: &mut Pieces<i64>, span: Span, contacts: Contacts) -> &'static str {
        let include = &self.audience.include;
        let key = match (include.all, include.lists.as_slice()) {
            (true, _) => {
                to.push("FROM contacts AS c WHERE ");
                between(to, "c.id", span);
                to.push(" AND ");
                self.push_living(to);
                "c.id"
            }
            (false, [list]) if self.is_only_by_lists() && !self.has_default => {
                to.push("FROM list_members AS m");
                self.push_contacts(to, contacts);
                to.push("m.list_id = ").bind(list.0).push(" AND ");
                self.push_subscribed(to);
                between(to.push(" AND "), "m.contact_id", span);
                "m.contact_id"
            }
            (false, []) if !include.contact_ids.is_empty() && self.is_only_by_ids() => {
                to.push("FROM audience_contacts AS m");
                self.push_contacts(to, contacts);
                to.push("NOT m.excluded AND m.campaign_id = ").bind(self.campaign.0);
                between(to.push(" AND "), "m.contact_id", span);
                "m.contact_id"
            }
            (false, _) => {
                to.push("FROM (");
                self.push_union(to, span);
                to.push(") AS m");
                self.push_contacts(to, contacts);
                to.push("m.contact_id IS NOT NULL");
                "m.contact_id"
            }
        };
        self.push_exclusions(to, key);
        if self.is_of_its_own() {
            to.once();
        }
        key
    }

    /// The same where people are only counted.
    pub(super) fn push_counted(&self, to: &mut Pieces<i64>, span: Span) -> &'static str {
        // Recipients of an earlier campaign, and members of segments, may have been deleted since.
        let include = &self.audience.include;
        let all_live = include.campaigns.is_empty() && include.segments.is_empty();
        let contacts = if all_live { Contacts::Left } else { Contacts::Joined };
        self.push(to, span, contacts)
    }

    fn is_only_by_lists(&self) -> bool {
        self.audience.include.contact_ids.is_empty() && self.is_only_by_ids()
    }

    /// Whether nothing but lists and ids names people.
    fn is_only_by_ids(&self) -> bool {
        let include = &self.audience.include;
        let others = include.tags.is_empty() && include.segments.is_empty() && include.campaigns.is_empty();
        others && include.filter.is_none()
    }

    fn push_contacts(&self, to: &mut Pieces<i64>, contacts: Contacts) {
        let join = match contacts {
            Contacts::Joined => " CROSS JOIN contacts AS c WHERE c.id = m.contact_id AND ",
            Contacts::LookedUp => {
                " CROSS JOIN LATERAL (SELECT k.id, k.email, k.phone, k.external_id, k.deleted_at FROM contacts AS k WHERE \
                 k.id = m.contact_id OFFSET 0) AS c WHERE "
            }
            Contacts::Left => {
                to.push(" WHERE ");
                return;
            }
        };
        to.push(join);
        self.push_living(to);
        to.push(" AND ");
    }

    /// That a contact `c` lives, or was named by its id.
    pub(super) fn push_living(&self, to: &mut Pieces<i64>) {
        if self.audience.include.contact_ids.is_empty() {
            to.push("c.deleted_at IS NULL");
            return;
        }
        to.push(
            "(c.deleted_at IS NULL OR (SELECT n.contact_id FROM audience_contacts AS n WHERE NOT n.excluded AND \
             n.contact_id = c.id AND n.campaign_id = ",
        )
        .bind(self.campaign.0)
        .push(") = c.id)");
    }

    /// Everybody who is named, each once.
    fn push_union(&self, to: &mut Pieces<i64>, span: Span) {
        let include = &self.audience.include;
        // The first of them takes away doubles of its own.
        let next = |to: &mut Pieces<i64>, is_first: &mut bool| {
            to.push(if std::mem::take(is_first) { "SELECT DISTINCT " } else { " UNION SELECT " });
        };
        let mut is_first = true;
        if !include.lists.is_empty() {
            next(to, &mut is_first);
            to.push(
                "m.contact_id FROM audience_lists AS a CROSS JOIN list_members AS m WHERE NOT a.excluded AND \
                 m.list_id = a.list_id AND a.campaign_id = ",
            )
            .bind(self.campaign.0)
            .push(" AND ");
            self.push_subscribed(to);
            between(to.push(" AND "), "m.contact_id", span);
        }
        if self.has_default {
            next(to, &mut is_first);
            to.push("c.id AS contact_id FROM contacts AS c WHERE c.deleted_at IS NULL AND c.introduced_at <= ");
            self.push_launch(to);
            to.push(
                " AND (SELECT count(*) FROM audience_lists AS a JOIN lists AS l ON l.id = a.list_id WHERE l.default_opt_in \
                 AND NOT a.excluded AND coalesce((SELECT m.status FROM list_members AS m WHERE m.list_id = a.list_id AND \
                 m.contact_id = c.id), '') <> 'unsubscribed' AND a.campaign_id = ",
            )
            .bind(self.campaign.0);
            between(to.push(") > 0 AND "), "c.id", span);
        }
        if !include.tags.is_empty() {
            next(to, &mut is_first);
            to.push(
                "t.contact_id FROM audience_tags AS a CROSS JOIN contact_tags AS t WHERE NOT a.excluded AND \
                 t.tag_id = a.tag_id AND a.campaign_id = ",
            )
            .bind(self.campaign.0)
            .push(" AND t.created_at <= ");
            self.push_launch(to);
            between(to.push(" AND "), "t.contact_id", span);
        }
        if !include.contact_ids.is_empty() {
            next(to, &mut is_first);
            to.push("n.contact_id FROM audience_contacts AS n WHERE NOT n.excluded AND n.campaign_id = ")
                .bind(self.campaign.0);
            between(to.push(" AND "), "n.contact_id", span);
        }
        if !include.segments.is_empty() {
            next(to, &mut is_first);
            to.push(&format!(
                "s.contact_id FROM segment_members AS s WHERE s.left_at IS NULL AND s.segment_id IN ({}) AND s.entered_at <= ",
                segments_of(&include.segments)
            ));
            self.push_launch(to);
            between(to.push(" AND "), "s.contact_id", span);
        }
        if let Some(taken) = self.filtered.map(|filtered| &filtered.taken).filter(|taken| !taken.is_empty()) {
            next(to, &mut is_first);
            let rows = listed(taken.iter().map(|id| id.0), "(", ")");
            to.push(&format!("CAST(f.column1 AS BIGINT) AS contact_id FROM (VALUES {rows}) AS f"));
        }
        if !include.campaigns.is_empty() {
            next(to, &mut is_first);
            to.push(&format!(
                "d.contact_id FROM deliveries AS d WHERE d.state = 'sent' AND d.campaign_id IN ({}) AND ",
                sent_of(&include.campaigns)
            ));
            between(to, "d.contact_id", span);
        }
        if is_first {
            // A filter that takes nobody of this stretch.
            to.push("SELECT c.id AS contact_id FROM contacts AS c WHERE c.id < 0");
        }
    }

    /// That a member `m` is subscribed, and was at the launch. A launch lets no one join its lists before it has committed, and
    /// then only at a later millisecond. Whose standing moved to another contact of the same person since stays meant.
    pub(super) fn push_subscribed(&self, to: &mut Pieces<i64>) {
        to.push("(m.status = 'subscribed' AND coalesce(m.status_at, m.created_at) <= ");
        self.push_launch(to);
        to.push(" OR m.status = 'moved' AND m.status_at > ");
        self.push_launch(to);
        to.push(" AND m.created_at <= ");
        self.push_launch(to);
        to.push(")");
    }

    pub(super) fn push_launch(&self, to: &mut Pieces<i64>) {
        to.push("(SELECT launched_at FROM campaigns WHERE id = ").bind(self.campaign.0).push(")");
    }

    /// Who is left out, as things are when a page is packed: a late exclusion still keeps a message back. Who left an excluded list
    /// stays left out.
    fn push_exclusions(&self, to: &mut Pieces<i64>, key: &str) {
        let exclude = &self.audience.exclude;
        for (is_used, from, on) in [
            (!exclude.contact_ids.is_empty(), "audience_contacts AS x", "x.contact_id"),
            (
                !exclude.lists.is_empty(),
                "audience_lists AS x JOIN list_members AS e ON e.list_id = x.list_id",
                "e.contact_id",
            ),
            (
                !exclude.tags.is_empty(),
                "audience_tags AS x JOIN contact_tags AS e ON e.tag_id = x.tag_id",
                "e.contact_id",
            ),
        ] {
            if is_used {
                to.push(&format!(
                    " AND NOT EXISTS (SELECT 1 FROM {from} WHERE x.excluded AND {on} = {key} AND x.campaign_id = "
                ))
                .bind(self.campaign.0)
                .push(")");
            }
        }
        match self.filtered.and_then(|filtered| filtered.asked.as_deref()) {
            None => {}
            Some([]) => {
                to.push(" AND 0 = 1");
            }
            Some(asked) => {
                to.push(&format!(" AND {key} IN ({})", listed(asked.iter().map(|id| id.0), "", "")));
            }
        }
        if let Some(left_out) = self.filtered.map(|filtered| &filtered.left_out).filter(|ids| !ids.is_empty()) {
            to.push(&format!(" AND {key} NOT IN ({})", listed(left_out.iter().map(|id| id.0), "", "")));
        }
        if !exclude.segments.is_empty() {
            to.push(&format!(
                " AND NOT EXISTS (SELECT 1 FROM segment_members AS e WHERE e.left_at IS NULL AND e.contact_id = {key} AND \
                 e.segment_id IN ({}))",
                segments_of(&exclude.segments)
            ));
        }
        if !exclude.campaigns.is_empty() {
            // Who may have the message, or is about to get it, is left out, too: else it would depend on the moment.
            to.push(&format!(
                " AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.state IN ('pending', 'sending', 'sent', 'uncertain') \
                 AND d.contact_id = {key} AND d.campaign_id IN ({}))",
                sent_of(&exclude.campaigns)
            ));
        }
    }

    /// Whether the text of a statement is that of this audience alone: it is not to stay prepared.
    fn is_of_its_own(&self) -> bool {
        let Audience { include, exclude } = self.audience;
        let names_ids =
            |segments: &[SegmentId], campaigns: &[CampaignPart]| !(segments.is_empty() && campaigns.is_empty());
        self.filtered.is_some()
            || names_ids(&include.segments, &include.campaigns)
            || names_ids(&exclude.segments, &exclude.campaigns)
    }
}

pub(super) fn between(to: &mut Pieces<i64>, key: &str, span: Span) {
    to.push(key).push(" > ").bind(span.after.0).push(" AND ").push(key).push(" <= ").bind(span.up_to.0);
}

/// How many an audience names. The campaign's `launched_at` is set already.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn count_audience(conn: &mut Conn, people: People<'_>, span: Span) -> Result<i64, StoreError> {
    // Contacts that are named in another way live, too.
    if people.audience.include.all && people.audience.exclude.is_empty() && span.after == ContactId(0) {
        return count_live_contacts(conn, span.up_to);
    }
    let mut count = Pieces::default();
    count.push("SELECT count(*) AS n ");
    people.push_counted(&mut count, span);
    let count = count.query::<BigInt, Untyped>();
    let row: QueryResult<Number> = match conn {
        Conn::Pg(conn) => count.get_result(conn),
        Conn::Sqlite(conn) => count.get_result(conn),
    };
    row.map(|row| row.n).map_err(StoreError::query("count an audience"))
}

/// Whom an audience names in a stretch, in the order of their ids.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn people_of(
    conn: &mut Conn,
    people: People<'_>,
    span: Span,
) -> Result<Vec<ContactId>, StoreError> {
    // The column is known only when the rest is written.
    let mut rest = Pieces::default();
    let key = people.push(&mut rest, span, Contacts::Joined);
    rest.push(" ORDER BY ").push(key);
    let ids = rest.before(&format!("SELECT {key} AS id ")).query::<BigInt, BigInt>();
    match conn {
        Conn::Pg(conn) => ids.load(conn),
        Conn::Sqlite(conn) => ids.load(conn),
    }
    .map_err(StoreError::query("read an audience"))
}

/// How many contacts live, of those up to an id: all less the deleted ones, and neither takes a look at each row on SQLite.
///
/// # Errors
/// The query failed.
pub(in crate::store) fn count_live_contacts(conn: &mut Conn, up_to: ContactId) -> Result<i64, StoreError> {
    let query = || {
        sql("SELECT (SELECT count(*) FROM contacts) - (SELECT count(*) FROM contacts WHERE deleted_at IS NOT NULL) - \
             (SELECT count(*) FROM contacts WHERE deleted_at IS NULL AND id > ")
        .bind::<BigInt, _>(up_to, ") AS n")
    };
    let row: QueryResult<Number> = match conn {
        Conn::Pg(conn) => query().get_result(conn),
        Conn::Sqlite(conn) => query().get_result(conn),
    };
    row.map(|row| row.n).map_err(StoreError::query("count an audience"))
}

#[derive(QueryableByName)]
struct Inserted {
    #[diesel(sql_type = BigInt)]
    size: i64,
    #[diesel(sql_type = BigInt)]
    pending: i64,
    #[diesel(sql_type = BigInt)]
    deleted: i64,
}

/// Inserts the deliveries of a stretch: `pending`, or `skipped` for those that the channel cannot reach, so that the
/// books cover everyone the audience named.
pub(in crate::store) fn insert_deliveries(
    conn: &mut Conn,
    people: People<'_>,
    page: PageId,
    channel: ChannelKind,
    span: Span,
) -> Result<Counts, StoreError> {
    let campaign = people.campaign;
    let insert = |before: &str, contacts: Contacts, after: &str| {
        let reason = skip_reason(channel);
        let mut insert = Pieces::default();
        insert
            .push(before)
            .push("INSERT INTO deliveries (campaign_id, contact_id, page_id, state, reason) SELECT ")
            .bind(campaign.0)
            .push(", c.id, ")
            .bind(page.0)
            .push(&format!(", CASE WHEN {reason} IS NULL THEN 'pending' ELSE 'skipped' END, {reason} "));
        let key = people.push(&mut insert, span, contacts);
        insert.push(" ORDER BY ").push(key).push(after);
        insert.query::<BigInt, Untyped>()
    };
    let inserted = match conn {
        Conn::Pg(conn) => insert(
            "WITH packed AS (",
            Contacts::LookedUp,
            " RETURNING reason) SELECT count(*) AS size, count(*) FILTER (WHERE reason IS NULL) AS pending, \
             count(*) FILTER (WHERE reason = 'contact_deleted') AS deleted FROM packed",
        )
        .get_result(conn)
        .map_err(StoreError::query("insert deliveries"))?,
        Conn::Sqlite(sqlite) => {
            let size =
                insert("", Contacts::Joined, "").execute(sqlite).map_err(StoreError::query("insert deliveries"))?;
            let size = crate::store::dispatch::pages::count(size)?;
            let (skipped, deleted) = count_skipped(sqlite, campaign, span)?;
            Inserted { size, pending: size - skipped, deleted }
        }
    };
    let Inserted { size, pending, deleted } = inserted;
    for (reason, n) in [(SkipReason::ContactDeleted, deleted), (SkipReason::NoAddress, size - pending - deleted)] {
        if n > 0 {
            count_skips(conn, campaign, page, reason.as_str(), n)?;
        }
    }
    Ok(fresh_counts(size, pending))
}

#[derive(QueryableByName)]
struct Unreachable {
    #[diesel(sql_type = BigInt)]
    skipped: i64,
    #[diesel(sql_type = BigInt)]
    deleted: i64,
}

/// How many of a stretch that was just packed cannot be reached, and how many of those are deleted.
fn count_skipped(conn: &mut SqliteConnection, campaign: CampaignId, span: Span) -> Result<(i64, i64), StoreError> {
    let row: Unreachable =
        sql("SELECT count(*) AS skipped, count(*) FILTER (WHERE reason = 'contact_deleted') AS deleted \
             FROM deliveries WHERE campaign_id = ")
        .bind::<BigInt, _>(campaign, " AND contact_id > ")
        .bind::<BigInt, _>(span.after, " AND contact_id <= ")
        .bind::<BigInt, _>(span.up_to, " AND state = 'skipped'")
        .get_result(conn)
        .map_err(StoreError::query("count who cannot be reached"))?;
    Ok((row.skipped, row.deleted))
}
