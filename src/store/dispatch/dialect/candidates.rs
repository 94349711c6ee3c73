//! Recipients who may be claimed.

use diesel::connection::DefaultLoadingMode;
use diesel::dsl::SqlTypeOf;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Untyped};

use super::audience::Number;
use super::{PG, SQLITE};
use crate::domain::campaigns::audience::Audience;
use crate::domain::dispatch::fingerprint::ProviderFingerprint;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::{BuiltIn, Fields};
use crate::domain::reports::Reported;
use crate::store::dispatch::eligibility::{Asked, Look, Spelling};
use crate::store::dispatch::pages::PageRow;
use crate::store::engine::contact_fields::FieldColumns;
use crate::store::engine::schema::{contacts, deliveries};
use crate::store::engine::sql::Pieces;
use crate::store::{Conn, StoreError};

/// A recipient who is due.
#[derive(Queryable)]
pub(in crate::store::dispatch) struct Candidate {
    pub(in crate::store::dispatch) contact_id: ContactId,
    pub(in crate::store::dispatch) claim_no: i32,
    pub(in crate::store::dispatch) attempts: i32,
    pub(in crate::store::dispatch) put_offs: i32,
    pub(in crate::store::dispatch) ambiguous: bool,
    pub(in crate::store::dispatch) key_until: Option<UtcInstant>,
    pub(in crate::store::dispatch) seen_version: Option<i64>,
    pub(in crate::store::dispatch) provider: Option<ProviderFingerprint>,
    pub(in crate::store::dispatch) reported: Reported,
    pub(in crate::store::dispatch) contact: Option<ContactColumns>,
    pub(in crate::store::dispatch) look: Look,
}

/// The contact of one, if it is still there.
#[derive(Queryable)]
pub(in crate::store::dispatch) struct ContactColumns {
    pub(in crate::store::dispatch) fields: Fields,
    pub(in crate::store::dispatch) attributes: String,
    pub(in crate::store::dispatch) version: i64,
    pub(in crate::store::dispatch) deleted_at: Option<UtcInstant>,
    pub(in crate::store::dispatch) untracked: bool,
}

type ContactType =
    SqlTypeOf<(FieldColumns, contacts::attributes, contacts::version, contacts::deleted_at, contacts::untracked)>;

/// The columns of a [`Look`].
type LookType = (
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
);

/// The columns of a [`Candidate`], in its order.
type CandidateType = (
    SqlTypeOf<deliveries::contact_id>,
    SqlTypeOf<deliveries::claim_no>,
    SqlTypeOf<deliveries::attempts>,
    SqlTypeOf<deliveries::put_offs>,
    SqlTypeOf<deliveries::ambiguous>,
    SqlTypeOf<deliveries::provider_key_until>,
    SqlTypeOf<deliveries::contact_version>,
    SqlTypeOf<deliveries::provider_fingerprint>,
    SqlTypeOf<deliveries::reported>,
    Nullable<ContactType>,
    LookType,
);

/// The first `limit` due recipients of a page, in contact order, with what they have agreed to and refused at this moment.
/// PostgreSQL finds them along indexes only where plans are pinned: on a connection of the hot lane.
pub(in crate::store::dispatch) fn due_recipients(
    conn: &mut Conn,
    page: &PageRow,
    asked: &Asked,
    after: ContactId,
    limit: i64,
    now: UtcInstant,
) -> Result<Vec<Candidate>, StoreError> {
    match conn {
        Conn::Pg(conn) => {
            let mut due = due(page, asked, after, now, PG);
            due.push(" LIMIT ").bind(limit);
            due.query::<BigInt, CandidateType>().load(conn)
        }
        // A bound `LIMIT` makes SQLite plan the statement anew at each run. It finds rows one by one anyway.
        Conn::Sqlite(conn) => {
            let limit = usize::try_from(limit).unwrap_or(0);
            let due = due(page, asked, after, now, SQLITE).query::<BigInt, CandidateType>();
            due.load_iter::<Candidate, DefaultLoadingMode>(conn).and_then(|rows| rows.take(limit).collect())
        }
    }
    .map_err(StoreError::query("find due recipients"))
}

fn due(page: &PageRow, asked: &Asked, after: ContactId, now: UtcInstant, spelling: Spelling) -> Pieces<i64> {
    let mut due = Pieces::default();
    due.push(
        "SELECT d.contact_id, d.claim_no, d.attempts, d.put_offs, d.ambiguous, d.provider_key_until, d.contact_version, \
         d.provider_fingerprint, d.reported, ",
    );
    for field in BuiltIn::ALL {
        due.push("c.").push(field.as_str()).push(", ");
    }
    due.push("c.attributes, c.version, c.deleted_at, c.untracked, ");
    asked.columns(&mut due, page.campaign_id, spelling);
    due.push(" FROM deliveries AS d LEFT JOIN contacts AS c ON c.id = d.contact_id")
        .push(&asked.joins(spelling))
        .push(" WHERE d.campaign_id = ")
        .bind(page.campaign_id.0)
        .push(" AND d.contact_id BETWEEN ")
        .bind(page.first_contact_id.0)
        .push(" AND ")
        .bind(page.last_contact_id.0)
        .push(" AND d.contact_id > ")
        .bind(after.0)
        .push(" AND d.state = 'pending' AND d.due_at <= ")
        .bind(now.0)
        .push(" ORDER BY d.contact_id");
    due
}

/// A contact, and what it has agreed to and refused.
#[derive(Queryable)]
pub(in crate::store::dispatch) struct Looked {
    pub(in crate::store::dispatch) contact_id: ContactId,
    pub(in crate::store::dispatch) contact: ContactColumns,
    pub(in crate::store::dispatch) look: Look,
}

/// Ids in a statement, as something that a column can be in.
fn in_these(is_postgres: bool, ids: impl Iterator<Item = i64>) -> String {
    let ids = ids.map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    if is_postgres {
        format!("= ANY('{{{ids}}}'::bigint[])")
    } else {
        format!("IN (SELECT value FROM json_each('[{ids}]'))")
    }
}

/// What these contacts have agreed to and refused, as a claim would ask it of an audience that no campaign has yet.
pub(in crate::store::dispatch) fn look_at_each(
    conn: &mut Conn,
    asked: &Asked,
    audience: &Audience,
    ids: &[ContactId],
) -> Result<Vec<Looked>, StoreError> {
    let look = |spelling: Spelling, is_postgres: bool| {
        let mut look = Pieces::default();
        look.push(&format!("WITH {} SELECT c.id, ", super::given::lists(audience)));
        for field in BuiltIn::ALL {
            look.push("c.").push(field.as_str()).push(", ");
        }
        look.push("c.attributes, c.version, c.deleted_at, c.untracked, ");
        asked.columns(&mut look, CampaignId(0), spelling);
        look.push(" FROM contacts AS c").push(&asked.joins(spelling));
        look.push(&format!(" WHERE c.id {}", in_these(is_postgres, ids.iter().map(|id| id.0)))).once();
        look.query::<BigInt, (BigInt, ContactType, LookType)>()
    };
    match conn {
        Conn::Pg(conn) => look(PG, true).load(conn),
        Conn::Sqlite(conn) => look(SQLITE, false).load(conn),
    }
    .map_err(StoreError::query("look at what contacts have refused"))
}

/// How many of these contacts any of these campaigns was sent to since.
pub(in crate::store::dispatch) fn recently_sent(
    conn: &mut Conn,
    campaigns: &[CampaignId],
    contacts: &[ContactId],
    since: UtcInstant,
) -> Result<i64, StoreError> {
    if campaigns.is_empty() || contacts.is_empty() {
        return Ok(0);
    }
    let is_postgres = matches!(conn, Conn::Pg(_));
    let mut count = Pieces::default();
    count
        .push("SELECT count(DISTINCT d.contact_id) AS n FROM deliveries AS d WHERE d.campaign_id ")
        .push(&in_these(is_postgres, campaigns.iter().map(|id| id.0)))
        .push(" AND d.contact_id ")
        .push(&in_these(is_postgres, contacts.iter().map(|id| id.0)))
        .push(" AND d.state = 'sent' AND d.settled_at >= ")
        .bind(since.0)
        .once();
    let count = count.query::<BigInt, Untyped>();
    let row: QueryResult<Number> = match conn {
        Conn::Pg(conn) => count.get_result(conn),
        Conn::Sqlite(conn) => count.get_result(conn),
    };
    row.map(|row| row.n).map_err(StoreError::query("count who was sent other campaigns"))
}

/// What one contact has agreed to and refused. `None`: there is no such contact.
pub(in crate::store) fn look_at(
    conn: &mut Conn,
    asked: &Asked,
    contact: ContactId,
) -> Result<Option<Look>, StoreError> {
    let look = |spelling: Spelling| {
        let mut look = Pieces::default();
        look.push("SELECT ");
        asked.columns(&mut look, CampaignId(0), spelling);
        look.push(" FROM contacts AS c").push(&asked.joins(spelling)).push(" WHERE c.id = ").bind(contact.0);
        look.query::<BigInt, LookType>()
    };
    match conn {
        Conn::Pg(conn) => look(PG).get_result(conn),
        Conn::Sqlite(conn) => look(SQLITE).get_result(conn),
    }
    .optional()
    .map_err(StoreError::query("look at what a contact has refused"))
}
