//! What the migrations make of an empty database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::QueryableByName;
use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use volley::store::{Conn, Lane, Store};

use crate::support::migrated::POSTGRES;
use crate::support::server::settings;
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

const LONG: Duration = Duration::from_secs(60);

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

async fn migrated(db: &Database) -> Store {
    db.clear();
    let store = Store::open(&settings(db).database).unwrap();
    store.migrate().await.unwrap();
    store
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Tables, columns, keys, checks and indexes, a line each.
fn schema(conn: &mut Conn) -> Vec<String> {
    const IN_POSTGRES: &str = "\
        SELECT concat_ws(' ', 'column', table_name, column_name, data_type, is_nullable, column_default) AS line \
        FROM information_schema.columns WHERE table_schema = 'public' \
        UNION ALL SELECT concat_ws(' ', 'index', indexdef) FROM pg_indexes WHERE schemaname = 'public' \
        UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)) \
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY line";
    const IN_SQLITE: &str = "SELECT type || ' ' || name || ' ' || sql AS line FROM sqlite_master \
        WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY line";
    let lines: Vec<Line> = match conn {
        Conn::Pg(conn) => diesel::sql_query(IN_POSTGRES).load(conn).unwrap(),
        Conn::Sqlite(conn) => diesel::sql_query(IN_SQLITE).load(conn).unwrap(),
    };
    lines.into_iter().map(|line| line.line).collect()
}

fn down_and_up<DB: diesel::backend::Backend>(
    conn: &mut impl MigrationHarness<DB>,
    migrations: fn() -> EmbeddedMigrations,
) where
    EmbeddedMigrations: MigrationSource<DB>,
{
    conn.revert_all_migrations(migrations()).unwrap();
    conn.run_pending_migrations(migrations()).unwrap();
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
}

impl Column {
    fn line(&self) -> String {
        let kind = match self.kind.to_lowercase().as_str() {
            "bigint" => "BigInt",
            "integer" => "Integer",
            "text" => "Text",
            "boolean" => "Bool",
            "double" | "double precision" => "Double",
            "bytea" | "blob" => "Binary",
            other => panic!("{other} is no type of both databases"),
        };
        let kind = if self.nullable { format!("Nullable<{kind}>") } else { kind.to_owned() };
        format!("{}.{} -> {kind}", self.table_name, self.column_name)
    }
}

fn columns(conn: &mut Conn) -> Vec<String> {
    const IN_POSTGRES: &str = "\
        SELECT table_name::text, column_name::text, data_type::text AS kind, is_nullable = 'YES' AS nullable \
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '__diesel_schema_migrations' \
        ORDER BY table_name, ordinal_position";
    // A row id is an INTEGER that holds 64 bits.
    const IN_SQLITE: &str = "\
        SELECT m.name AS table_name, p.name AS column_name, p.\"notnull\" = 0 AND p.pk = 0 AS nullable, \
        CASE WHEN p.pk = 1 AND p.type = 'INTEGER' THEN 'BIGINT' ELSE p.type END AS kind \
        FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS p \
        WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> '__diesel_schema_migrations' \
        ORDER BY m.name, p.cid";
    let columns: Vec<Column> = match conn {
        Conn::Pg(conn) => diesel::sql_query(IN_POSTGRES).load(conn).unwrap(),
        Conn::Sqlite(conn) => diesel::sql_query(IN_SQLITE).load(conn).unwrap(),
    };
    columns.iter().map(Column::line).collect()
}

/// The columns that the code believes in, in its order, tables by name.
fn believed() -> Vec<String> {
    let mut tables: Vec<Vec<String>> = include_str!("../../../../src/store/engine/schema.rs")
        .split("diesel::table! {")
        .skip(1)
        .map(|table| {
            let table = table.split('}').next().unwrap();
            let (head, columns) = table.split_once('{').unwrap();
            let name = head.split('(').next().unwrap().trim();
            let columns = columns.split(',').map(str::trim).filter(|column| !column.is_empty());
            columns.map(|column| format!("{name}.{column}")).collect()
        })
        .collect();
    tables.sort_by(|a, b| a[0].split('.').next().cmp(&b[0].split('.').next()));
    tables.concat()
}

both_backends! {
    async fn migrating_down_and_up_again_leaves_the_same_schema(db: &Database) {
        let store = migrated(db).await;
        let (before, after) = store
            .run(Lane::Control, "test", |conn| {
                let before = schema(conn);
                match conn {
                    Conn::Pg(conn) => down_and_up(conn, || POSTGRES),
                    Conn::Sqlite(conn) => down_and_up(conn, || SQLITE),
                }
                Ok((before, schema(conn)))
            })
            .await
            .unwrap();
        assert!(before.len() > 20, "{before:?}");
        assert_eq!(before, after);
    }

    async fn migrating_down_leaves_nothing_behind(db: &Database) {
        let store = migrated(db).await;
        let left = store
            .run(Lane::Control, "test", |conn| {
                match conn {
                    Conn::Pg(conn) => conn.revert_all_migrations(POSTGRES).map(drop).unwrap(),
                    Conn::Sqlite(conn) => conn.revert_all_migrations(SQLITE).map(drop).unwrap(),
                }
                Ok(columns(conn))
            })
            .await
            .unwrap();
        assert_eq!(left, Vec::<String>::new());
    }

    async fn the_code_believes_in_the_columns_that_are_there(db: &Database) {
        let store = migrated(db).await;
        let there = store.run(Lane::Read, "test", |conn| Ok(columns(conn))).await.unwrap();
        assert_eq!(believed(), there);
    }
}

/// The migrations that the first release had: later ones find a database that has long been at work.
const FIRST_RELEASE: usize = 2;

#[test]
fn a_migration_of_a_million_deliveries_waits_for_readers_and_holds_up_nobody_for_long() {
    let Some(db) = Database::postgres(module_path!()) else { return };
    db.clear();
    let mut conn = db.connect();
    let Conn::Pg(pg) = &mut conn else { unreachable!("asked for PostgreSQL") };
    let mut all = MigrationSource::<diesel::pg::Pg>::migrations(&POSTGRES).unwrap();
    all.sort_by_key(|migration| migration.name().to_string());
    assert!(all.len() > FIRST_RELEASE, "there is something to migrate");
    assert!(pg.applied_migrations().unwrap().is_empty());
    for migration in all.iter().take(FIRST_RELEASE) {
        pg.run_migration(migration).unwrap();
    }
    db.execute(
        "INSERT INTO deliveries (campaign_id, contact_id, page_id, state) \
         SELECT 1, n, 1 + n / 1000, 'sent' FROM generate_series(1, 1000000) AS n",
    );
    // Somebody reads the table for a while, as an audit does.
    let mut reader = db.connect();
    begin_to_read(&mut reader);
    let ended = Arc::new(AtomicBool::new(false));
    let longest = std::thread::spawn({
        let (mut writer, ended) = (db.connect(), Arc::clone(&ended));
        move || {
            let mut longest = Duration::ZERO;
            while !ended.load(Ordering::Acquire) {
                let began = Instant::now();
                run(
                    &mut writer,
                    "UPDATE deliveries SET attempts = attempts + 1 WHERE campaign_id = 1 AND contact_id = 7",
                );
                longest = longest.max(began.elapsed());
            }
            longest
        }
    });
    let began = Instant::now();
    let migrating = std::thread::spawn({
        let settings = settings(&db);
        move || actix_rt::System::new().block_on(async { Store::open(&settings.database).unwrap().migrate().await })
    });
    wait_until("the migration has met the reader and given up once", LONG, || began.elapsed() > Duration::from_secs(4));
    run(&mut reader, "ROLLBACK");
    let applied = migrating.join().unwrap().unwrap();
    ended.store(true, Ordering::Release);
    assert_eq!(applied.len(), all.len() - FIRST_RELEASE, "{applied:?}");
    let longest = longest.join().unwrap();
    assert!(longest < Duration::from_secs(4), "somebody waited {longest:?} for the migration");
    assert_eq!(db.number("SELECT count(*) AS n FROM deliveries"), 1_000_000);
}

fn begin_to_read(conn: &mut Conn) {
    run(conn, "BEGIN");
    run(conn, "SELECT count(*) FROM deliveries");
}

fn run(conn: &mut Conn, statements: &str) {
    use diesel::connection::SimpleConnection;
    match conn {
        Conn::Pg(conn) => conn.batch_execute(statements).unwrap(),
        Conn::Sqlite(conn) => conn.batch_execute(statements).unwrap(),
    }
}
