//! Names by their beginning: no table is read from end to end.

use volley::store::naming::{Named, fitting};
use volley::store::{Conn, Lane, Store};

use crate::support::Database;
use crate::support::both_backends;
use crate::support::server::settings;

const MANY: i64 = 20_000;

both_backends! {
    async fn the_beginning_of_a_name_is_found_by_an_index(db: &Database) {
        let store = Store::open(&settings(db).database).unwrap();
        store.migrate().await.unwrap();
        let found = store.run(Lane::Write, "fill", |conn| {
            use diesel::connection::SimpleConnection;
            let fill = format!("INSERT INTO lists (name, description, created_at, updated_at) \
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
                 SELECT 'Letter ' || i, '', 0, 0 FROM n");
            let count = match conn {
                Conn::Pg(conn) => {
                    conn.batch_execute(&format!("{fill}; ANALYZE lists")).unwrap();
                    conn.batch_execute("BEGIN").unwrap();
                    0
                }
                Conn::Sqlite(conn) => {
                    conn.batch_execute(&format!("{fill}; ANALYZE")).unwrap();
                    0
                }
            };
            assert_eq!(count, 0);
            let found = fitting(conn, Named::Lists, "LETTER 1999", 7)?;
            if let Conn::Pg(conn) = conn {
                let scans = scans(conn);
                conn.batch_execute("COMMIT").unwrap();
                assert_eq!(scans, 0, "the table was read from end to end");
            }
            Ok(found)
        }).await.unwrap();
        let names: Vec<&str> = found.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names[0], "Letter 1999", "the exact name comes first: {names:?}");
        assert_eq!(names[1], "Letter 19999", "then the newest: {names:?}");
        assert_eq!(names.len(), 7);
    }
}

/// How often the table was read from end to end in this transaction.
fn scans(conn: &mut diesel::PgConnection) -> i64 {
    use diesel::RunQueryDsl;

    #[derive(diesel::QueryableByName)]
    struct Scans {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        scans: i64,
    }
    let query = "SELECT coalesce(seq_scan, 0) AS scans FROM pg_stat_xact_user_tables WHERE relname = 'lists'";
    let row: Scans = diesel::sql_query(query).get_result(conn).unwrap();
    row.scans
}

#[test]
fn on_sqlite_the_plan_is_a_search() {
    use diesel::prelude::*;

    #[derive(diesel::QueryableByName)]
    struct Step {
        #[diesel(sql_type = diesel::sql_types::Text)]
        detail: String,
    }
    let db = Database::sqlite();
    let server = crate::support::server::Server::on(&db);
    drop(server);
    let Conn::Sqlite(mut conn) = db.connect() else { panic!("another database") };
    for (table, living) in [
        ("campaigns", "deleted_at IS NULL AND "),
        ("lists", ""),
        ("segments", "deleted_at IS NULL AND "),
        ("templates", "deleted_at IS NULL AND "),
        ("api_keys", ""),
    ] {
        let statement = format!(
            "EXPLAIN QUERY PLAN SELECT id FROM {table} WHERE {living}lower(name) >= lower('a') AND lower(name) < lower('b') \
             ORDER BY lower(name) LIMIT 200"
        );
        let steps: Vec<Step> = diesel::sql_query(statement).load(&mut conn).unwrap();
        let plan: Vec<String> = steps.into_iter().map(|step| step.detail).collect();
        assert!(plan.len() == 1 && plan[0].contains(&format!("{table}_lower_name")), "{plan:?}");
    }
}
