//! Events: what a list of them reads of a large table, and how old ones go.

use std::sync::{Arc, Mutex};

use diesel::connection::InstrumentationEvent;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use volley::domain::ids::{ContactId, EventId};
use volley::services::events::prune_events::prune_events;
use volley::store::events::listing::{self, Filter, LOOKED_AT};
use volley::store::{Conn, Lane, Store, StoreError};

use super::dispatch::packed::{execute, number};
use crate::support::server::settings;
use crate::support::{Database, both_backends};

/// 60,000 events of 600 contacts; one of them has a name that no other one has.
const EVENTS: &str = "
    INSERT INTO events (id, contact_id, name, properties, occurred_at, received_at, source)
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60000)
        SELECT n, n % 600, CASE WHEN n = 100 THEN 'rare' ELSE 'frequent' END, '{}', n, n, 'root' FROM n;
    ANALYZE;";

/// How often each list is read: PostgreSQL settles for a plan without looking at the values by then.
const RUNS: i64 = 8;

async fn filled(db: &Database) -> Store {
    let store = Store::open(&settings(db).database).unwrap();
    store.migrate().await.unwrap();
    let fill = |conn: &mut Conn| {
        execute(conn, EVENTS);
        Ok(())
    };
    store.run(Lane::Write, "fill", fill).await.unwrap();
    store
}

#[derive(QueryableByName)]
struct Read {
    #[diesel(sql_type = BigInt)]
    scans: i64,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// PostgreSQL: how often the table was read from end to end in this transaction, and how many rows were read by index.
fn read(conn: &mut PgConnection) -> Read {
    let query = "SELECT coalesce(seq_scan, 0) AS scans, coalesce(idx_tup_fetch, 0) AS rows FROM pg_stat_xact_user_tables \
                 WHERE relname = 'events'";
    diesel::sql_query(query).get_result(conn).unwrap()
}

/// Lists several times, and fails where more rows are read than are to be looked at.
fn list_reads_no_more(conn: &mut Conn, filter: &Filter, most: i64) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let statements = Arc::clone(&heard);
    let listen = move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            statements.lock().unwrap().push(text.split(" -- binds").next().unwrap_or_default().to_owned());
        }
    };
    let list = |conn: &mut Conn| (0..RUNS).try_for_each(|_| listing::list(conn, filter, 20).map(drop));
    match conn {
        Conn::Pg(pg) => {
            let before = read(pg);
            list(conn).unwrap();
            let Conn::Pg(pg) = conn else { return };
            let after = read(pg);
            assert_eq!(after.scans, before.scans, "{filter:?}: read from end to end");
            let rows = after.rows - before.rows;
            assert!(rows <= RUNS * most, "{filter:?}: {rows} rows were read");
        }
        Conn::Sqlite(sqlite) => {
            sqlite.set_instrumentation(listen);
            list(conn).unwrap();
            let Conn::Sqlite(sqlite) = conn else { return };
            let selects: Vec<String> =
                heard.lock().unwrap().iter().filter(|text| text.starts_with("SELECT")).cloned().collect();
            assert!(!selects.is_empty());
            for statement in selects {
                let lines: Vec<Line> =
                    diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(sqlite).unwrap();
                for Line { detail } in lines {
                    assert!(!detail.starts_with("SCAN"), "{filter:?}: {detail}: {statement}");
                    let is_long_way = filter.contact.is_none() && detail.contains("events_name");
                    assert!(!is_long_way, "a frequent name has many events: {statement}");
                }
            }
        }
    }
}

both_backends! {
    async fn a_list_of_events_reads_a_stretch_of_a_large_table_and_no_more(db: &Database) {
        let store = filled(db).await;
        let look = |conn: &mut Conn| {
            conn.snapshot(|conn| {
                let named = |name: &str| Filter { name: Some(name.to_owned()), ..Filter::default() };
                // One stretch is found and one is read.
                for filter in [Filter::default(), named("frequent"), named("rare"), named("none")] {
                    list_reads_no_more(conn, &filter, 2 * LOOKED_AT);
                }
                let of_one = Filter { contact: Some(ContactId(7)), ..named("frequent") };
                list_reads_no_more(conn, &of_one, 200);
                list_reads_no_more(conn, &Filter { contact: Some(ContactId(7)), ..Filter::default() }, 200);
                Ok(())
            })
        };
        store.run(Lane::Read, "look", look).await.unwrap();
        let walk = |conn: &mut Conn| {
            let (mut filter, mut requests) = (Filter { name: Some("rare".to_owned()), ..Filter::default() }, 0);
            loop {
                requests += 1;
                let part = listing::list(conn, &filter, 20)?;
                if let Some(found) = part.rows.first() {
                    return Ok((requests, found.id));
                }
                filter.before = Some(part.next.ok_or(StoreError::Stale { what: "the walk" })?);
            }
        };
        assert_eq!(store.run(Lane::Read, "walk", walk).await.unwrap(), (6, EventId(100)), "who goes on finds it");
    }

    async fn old_events_and_old_keys_go_and_the_others_stay(db: &Database) {
        let store = filled(db).await;
        let age = |conn: &mut Conn| {
            let now = number(conn, match conn {
                Conn::Pg(_) => "SELECT CAST(extract(epoch FROM now()) * 1000 AS BIGINT) AS n",
                Conn::Sqlite(_) => "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS n",
            });
            let ago = |days: i64| now - days * 86_400_000;
            let (old, new, old_key, new_key) = (ago(10) - 60_000, ago(9), ago(31), ago(29));
            execute(conn, &format!("UPDATE events SET received_at = {old} WHERE id <= 2500;
                UPDATE events SET received_at = {new} WHERE id > 2500;
                INSERT INTO event_keys (source, key, body_hash, event_id, at)
                    SELECT source, CAST(id AS TEXT), '', id, CASE WHEN id <= 3000 THEN {old_key} ELSE {new_key} END
                    FROM events WHERE id <= 3005"));
            Ok(())
        };
        store.run(Lane::Write, "age", age).await.unwrap();
        let left = |conn: &mut Conn| {
            Ok((number(conn, "SELECT min(id) AS n FROM events"), number(conn, "SELECT count(*) AS n FROM events"),
                number(conn, "SELECT count(*) AS n FROM event_keys")))
        };
        prune_events(&store, 0).await.unwrap();
        assert_eq!(store.run(Lane::Read, "look", left).await.unwrap(), (1, 60_000, 5), "without a limit all are kept");
        prune_events(&store, 10).await.unwrap();
        assert_eq!(store.run(Lane::Read, "look", left).await.unwrap(), (2_501, 57_500, 5));
    }
}
