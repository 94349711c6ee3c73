//! What the database does without Volley: the same rows, by the plainest statements, over one connection.

use std::time::Instant;

use diesel::RunQueryDsl;
use volley::store::{Conn, StoreError};

use crate::PEOPLE;
use crate::figures::number;
use crate::support::Database;

const EVENT: &str = "INSERT INTO events (id, contact_id, name, properties, occurred_at, received_at, source) VALUES ";

const KEY: &str = "INSERT INTO event_keys (source, key, body_hash, event_id, at) VALUES ";

const PROPERTIES: &str = r#"{"currency":"EUR","items":["a","b"],"total":7}"#;

/// Rows a second, each an event and its key: one statement for each row, so many in a transaction.
pub(crate) fn rate(db: &Database, events: usize, in_transaction: usize) -> f64 {
    let mut conn = db.connect();
    // One row in a transaction is slow: fewer tell as much.
    let events = if in_transaction == 1 { events / 25 } else { events };
    let began = Instant::now();
    for first in (0..events).step_by(in_transaction) {
        conn.write(|conn| (first..first + in_transaction).try_for_each(|n| store(conn, n))).expect("store");
    }
    number(events) / began.elapsed().as_secs_f64()
}

fn store(conn: &mut Conn, n: usize) -> Result<(), StoreError> {
    let (contact, id) = (1 + n % PEOPLE, 1_000_000_000 + n);
    let event = format!("{EVENT} ({id}, {contact}, 'order_placed', '{PROPERTIES}', {n}, {n}, 'root')");
    let key = format!("{KEY} ('bare', 'order-{n}', '0123456789abcdef0123456789abcdef', {id}, 0)");
    for statement in [event, key] {
        diesel::sql_query(statement).execute(conn).map_err(StoreError::query("store an event by hand"))?;
    }
    Ok(())
}
