//! Databases with the present schema, made once: hundreds of tests begin with a copy instead of running every migration.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::OnceLock;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use volley::config::secret::Secret;
use volley::store::Store;

use super::postgres::PrivatePostgres;

/// The migrations, as the program has them.
pub(crate) const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The database of the shared server that others are copies of.
const TEMPLATE: &str = "migrated";

/// Makes a database of the shared server with the schema; answers its URL.
pub(crate) fn on_postgres(server: &PrivatePostgres) -> String {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut conn = PgConnection::establish(&server.database_called(TEMPLATE)).unwrap();
        conn.run_pending_migrations(POSTGRES).unwrap();
    });
    server.copy_database(TEMPLATE)
}

/// Writes a SQLite file with the schema.
pub(crate) fn on_sqlite(file: &Path) {
    static MADE: OnceLock<Vec<u8>> = OnceLock::new();
    std::fs::write(file, MADE.get_or_init(sqlite)).unwrap();
    std::fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
}

/// Such a file, as the program makes it: with its size of pages and all else that a file keeps.
fn sqlite() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("volley.db");
    let mut settings = volley::config::Settings::default();
    settings.database.url = Secret::new(format!("sqlite://{}", file.display()));
    // A test may stand in a runtime of its own.
    let made = std::thread::spawn(move || {
        let migrate = async { Store::open(&settings.database).unwrap().migrate().await };
        actix_rt::System::new().block_on(migrate).unwrap();
    });
    made.join().unwrap();
    let mut conn = SqliteConnection::establish(&file.display().to_string()).unwrap();
    conn.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    std::fs::read(&file).unwrap()
}
