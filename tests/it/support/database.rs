//! A database of its own for each test, on either backend.

use std::io::Write;
use std::path::PathBuf;

use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, RunQueryDsl};
use tempfile::TempDir;
use volley::store::Conn;

use super::migrated;
use super::postgres::{self, PrivatePostgres};

/// A database without rows. Dropping it removes what is private to the test.
pub(crate) struct Database {
    kind: Kind,
    /// For what the program under test writes beside the database, and for the SQLite file.
    folder: TempDir,
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Kind::Postgres { url, server: None } = &self.kind {
            postgres::remove_from_shared(url);
        }
    }
}

enum Kind {
    Sqlite(PathBuf),
    Postgres { url: String, server: Option<PrivatePostgres> },
}

impl Database {
    /// A SQLite file with the present schema.
    pub(crate) fn sqlite() -> Self {
        let folder = folder();
        let file = folder.path().join("volley.db");
        migrated::on_sqlite(&file);
        Self { kind: Kind::Sqlite(file), folder }
    }

    /// A SQLite file that does not exist yet, in `place`, which outlives this value.
    pub(crate) fn sqlite_in(place: &std::path::Path) -> Self {
        Self { kind: Kind::Sqlite(place.join("volley.db")), folder: folder() }
    }

    /// A database with the present schema on the shared private server. Without server binaries: none, and the test is left out aloud; a
    /// failure when `VOLLEY_TEST_REQUIRE_POSTGRES` is `1`.
    pub(crate) fn postgres(test: &str) -> Option<Self> {
        match postgres::shared() {
            Ok(server) => Some(Self::on(migrated::on_postgres(server), None)),
            Err(absent) => leave_out(test, &absent.0, "VOLLEY_TEST_REQUIRE_POSTGRES"),
        }
    }

    /// A database without a schema, on a private server that no other test uses.
    pub(crate) fn own_postgres(test: &str) -> Option<Self> {
        match PrivatePostgres::start() {
            Ok(server) => Some(Self::on(server.create_database(), Some(server))),
            Err(absent) => leave_out(test, &absent.0, "VOLLEY_TEST_REQUIRE_POSTGRES"),
        }
    }

    fn on(url: String, server: Option<PrivatePostgres>) -> Self {
        Self { kind: Kind::Postgres { url, server }, folder: folder() }
    }

    /// Takes the schema away: what a program finds that is started for the first time.
    pub(crate) fn clear(&self) {
        match &self.kind {
            Kind::Sqlite(file) => std::fs::remove_file(file).expect("remove the file"),
            Kind::Postgres { .. } => {
                self.execute("DROP SCHEMA public CASCADE");
                self.execute("CREATE SCHEMA public");
            }
        }
    }

    /// The URL, as the setting `database.url` takes it.
    pub(crate) fn url(&self) -> String {
        match &self.kind {
            Kind::Sqlite(file) => format!("sqlite://{}", file.display()),
            Kind::Postgres { url, .. } => url.clone(),
        }
    }

    /// A connection of the test's own, beside those of the program.
    pub(crate) fn connect(&self) -> Conn {
        use diesel::Connection;
        match &self.kind {
            Kind::Sqlite(file) => {
                let mut conn = diesel::SqliteConnection::establish(&file.display().to_string()).expect("open the file");
                diesel::sql_query("PRAGMA busy_timeout = 120000").execute(&mut conn).expect("wait for other writers");
                Conn::Sqlite(conn)
            }
            Kind::Postgres { url, .. } => Conn::Pg(diesel::PgConnection::establish(url).expect("reach PostgreSQL")),
        }
    }

    /// Changes the database behind the program's back; answers how many rows changed.
    pub(crate) fn execute(&self, statement: &str) -> usize {
        diesel::sql_query(statement).execute(&mut self.connect()).expect("run the statement")
    }

    /// Asks for one number, which the query calls `n`.
    pub(crate) fn number(&self, query: &str) -> i64 {
        number(&mut self.connect(), query)
    }

    /// Asks for one text, which the query calls `t`.
    pub(crate) fn text(&self, query: &str) -> String {
        text(&mut self.connect(), query)
    }

    /// The test's private folder.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The server, when it is this test's own.
    pub(crate) fn server(&self) -> &PrivatePostgres {
        match &self.kind {
            Kind::Postgres { server: Some(server), .. } => server,
            Kind::Postgres { server: None, .. } | Kind::Sqlite(_) => panic!("this test has no server of its own"),
        }
    }
}

/// Asks a connection for one text, which the query calls `t`.
fn text(conn: &mut Conn, query: &str) -> String {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Text)]
        t: String,
    }
    let query = diesel::sql_query(query);
    let found: diesel::QueryResult<Found> = match conn {
        Conn::Pg(conn) => query.get_result(conn),
        Conn::Sqlite(conn) => query.get_result(conn),
    };
    found.expect("ask the database").t
}

/// Asks a connection for one number, which the query calls `n`.
pub(crate) fn number(conn: &mut Conn, query: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Number {
        #[diesel(sql_type = BigInt)]
        n: i64,
    }
    let query = diesel::sql_query(query);
    let found: diesel::QueryResult<Number> = match conn {
        Conn::Pg(conn) => query.get_result(conn),
        Conn::Sqlite(conn) => query.get_result(conn),
    };
    found.expect("ask the database").n
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("volley-test-").tempdir().expect("a temporary folder")
}

/// Says, past the test harness's capture of output, that `test` was not run. A failure when the variable `required_by` is
/// `1`.
pub(crate) fn leave_out<T>(test: &str, why: &str, required_by: &str) -> Option<T> {
    let required = std::env::var_os(required_by).is_some_and(|value| value == "1");
    assert!(!required, "{test} must not be left out: {why}");
    say(&format!("left out: {test} ({why})"));
    None
}

/// Whether tests may take long: `scripts/test --long`.
pub(crate) fn is_long() -> bool {
    std::env::var_os("VOLLEY_TEST_LONG").is_some_and(|value| value == "1")
}

/// Prints past the test harness's capture of output.
pub(crate) fn say(line: &str) {
    let _best_effort = writeln!(std::io::stderr(), "{line}");
}

/// Runs one test body on SQLite and on PostgreSQL.
///
/// ```ignore
/// both_backends! {
///     fn a_claimed_page_is_not_claimed_again(db: &Database) { … }
///     async fn runs_in_an_actix_system(db: &Database) { … }
/// }
/// ```
macro_rules! both_backends {
    () => {};
    ($(#[$meta:meta])* fn $name:ident($db:ident: &Database) $body:block $($rest:tt)*) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports, reason = "a body may need nothing of its module")]
            use super::*;

            fn body($db: &$crate::support::Database) $body

            #[test]
            fn sqlite() {
                body(&$crate::support::Database::sqlite());
            }

            #[test]
            fn postgres() {
                if let Some(db) = $crate::support::Database::postgres(module_path!()) {
                    body(&db);
                }
            }
        }
        $crate::support::both_backends! { $($rest)* }
    };
    ($(#[$meta:meta])* async fn $name:ident($db:ident: &Database) $body:block $($rest:tt)*) => {
        $crate::support::both_backends! {
            $(#[$meta])*
            fn $name($db: &Database) { actix_rt::System::new().block_on(async move $body) }
            $($rest)*
        }
    };
}
pub(crate) use both_backends;
