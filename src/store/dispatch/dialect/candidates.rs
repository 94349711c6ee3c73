//! Recipients who may be claimed.

use diesel::connection::DefaultLoadingMode;
use diesel::prelude::*;

use crate::domain::dispatch::delivery::DeliveryState;
use crate::domain::dispatch::fingerprint::ProviderFingerprint;
use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::Fields;
use crate::store::dispatch::pages::{PageRow, on_page};
use crate::store::engine::contact_fields::field_columns;
use crate::store::engine::schema::{contacts, deliveries};
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
    pub(in crate::store::dispatch) contact: Option<ContactColumns>,
}

/// The contact of one, if it is still there.
#[derive(Queryable)]
pub(in crate::store::dispatch) struct ContactColumns {
    pub(in crate::store::dispatch) fields: Fields,
    pub(in crate::store::dispatch) attributes: String,
    pub(in crate::store::dispatch) version: i64,
    pub(in crate::store::dispatch) deleted_at: Option<UtcInstant>,
}

/// The first `limit` due recipients of a page, in contact order.
pub(in crate::store::dispatch) fn due_recipients(
    conn: &mut Conn,
    page: &PageRow,
    after: ContactId,
    limit: i64,
    now: UtcInstant,
) -> Result<Vec<Candidate>, StoreError> {
    let due = deliveries::table
        .left_join(contacts::table.on(contacts::id.eq(deliveries::contact_id)))
        .filter(on_page(page))
        .filter(deliveries::contact_id.gt(after))
        .filter(deliveries::state.eq(DeliveryState::Pending).and(deliveries::due_at.le(now)))
        .order(deliveries::contact_id)
        .select((
            deliveries::contact_id,
            deliveries::claim_no,
            deliveries::attempts,
            deliveries::put_offs,
            deliveries::ambiguous,
            deliveries::provider_key_until,
            deliveries::contact_version,
            deliveries::provider_fingerprint,
            (field_columns(), contacts::attributes, contacts::version, contacts::deleted_at).nullable(),
        ));
    match conn {
        Conn::Pg(conn) => due.limit(limit).load(conn),
        // A bound `LIMIT` makes SQLite plan the statement anew at each run. It finds rows one by one anyway.
        Conn::Sqlite(conn) => {
            let limit = usize::try_from(limit).unwrap_or(0);
            due.load_iter::<Candidate, DefaultLoadingMode>(conn).and_then(|rows| rows.take(limit).collect())
        }
    }
    .map_err(StoreError::query("find due recipients"))
}
