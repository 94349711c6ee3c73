//! Private PostgreSQL servers, of the programs in `VOLLEY_TEST_PG_BIN` and run by `VOLLEY_TEST_PG_USER` where these are
//! set. Tests cannot go on without what they ask for, so every failure is the test's.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use volley::verify::VerifyError;
use volley::verify::servers::postgres::Postgres;

use super::waiting::wait_until;

/// A server of one's own, for tests that stop it. Dropping it ends it and removes its folder.
pub(crate) struct PrivatePostgres(Postgres);

/// No server can be had; says why.
#[derive(Debug, Clone)]
pub(crate) struct Absent(pub(crate) String);

/// The server that the tests of this process share, each with a database of its own.
pub(crate) fn shared() -> Result<&'static PrivatePostgres, &'static Absent> {
    static SHARED: OnceLock<Result<PrivatePostgres, Absent>> = OnceLock::new();
    SHARED.get_or_init(PrivatePostgres::start).as_ref()
}

/// So many databases that no test needs any more are removed together: each removal makes the server write everything to the disk, and right
/// after another one there is little to write.
const REMOVED_TOGETHER: usize = 16;

/// So many may wait for their removal: all of them together would fill a small disk.
const MOST_LEFT: usize = 4 * REMOVED_TOGETHER;

/// Removes a database of the shared server soon, in a thread of its own: no test waits for the disk.
pub(crate) fn remove_from_shared(url: &str) {
    static LEFT: OnceLock<SyncSender<String>> = OnceLock::new();
    let (Ok(server), Some((_, name))) = (shared(), url.rsplit_once('/')) else { return };
    let left = LEFT.get_or_init(|| {
        let (left, names) = sync_channel(MOST_LEFT);
        std::thread::spawn(move || remove_together(server, &names));
        left
    });
    let _ends_only_with_the_process = left.send(name.to_owned());
}

fn remove_together(server: &PrivatePostgres, names: &Receiver<String>) {
    loop {
        let together: Vec<String> = names.iter().take(REMOVED_TOGETHER).collect();
        for name in together {
            // What a failed test left may be in use still.
            if let Err(error) = server.0.execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")) {
                eprintln!("the database {name} stays: {error}");
            }
        }
    }
}

impl PrivatePostgres {
    /// Makes and starts a server.
    ///
    /// # Errors
    /// [`Absent`] when the machine has no server programs.
    pub(crate) fn start() -> Result<Self, Absent> {
        let programs = std::env::var_os("VOLLEY_TEST_PG_BIN").map(PathBuf::from);
        let user = std::env::var_os("VOLLEY_TEST_PG_USER").and_then(|name| name.into_string().ok());
        match Postgres::start(programs, user.as_deref()) {
            Ok(server) => Ok(Self(server)),
            Err(VerifyError::Absent(why)) => Err(Absent(why)),
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts the server after a stop, and waits until it answers.
    pub(crate) fn start_again(&self) {
        self.0.start_again().unwrap();
    }

    /// Kills the server in mid-flight, as a crash would: no checkpoint, no goodbye.
    pub(crate) fn stop_immediately(&self) {
        self.0.stop_immediately().unwrap();
    }

    /// Stops every process of the server where it stands: connections stay, and nothing is answered.
    pub(crate) fn freeze(&self) {
        self.0.freeze().unwrap();
    }

    /// Lets a frozen server go on.
    pub(crate) fn thaw(&self) {
        self.0.thaw().unwrap();
    }

    /// Makes a standby of this server, which hears of its commits over `link`.
    pub(crate) fn standby(&self, link: SocketAddr) -> Self {
        Self(self.0.standby(link).unwrap())
    }

    /// Makes a standby take writes, in a history of its own.
    pub(crate) fn promote(&self) {
        self.0.promote().unwrap();
    }

    /// Where the server listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.addr()
    }

    /// Makes an empty database and answers its URL.
    pub(crate) fn create_database(&self) -> String {
        self.database_called(&next_name())
    }

    /// The same, under this name.
    pub(crate) fn database_called(&self, name: &str) -> String {
        self.0.create_database(name).unwrap()
    }

    /// Makes a copy of a database that nobody is connected to, and answers its URL.
    pub(crate) fn copy_database(&self, template: &str) -> String {
        let name = next_name();
        self.0.execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).unwrap();
        self.0.url(&name)
    }

    /// Cuts every connection that clients have to any database.
    pub(crate) fn cut_connections(&self) {
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test_%'";
        self.0.execute(cut).unwrap();
    }

    /// Changes a setting of the server, for connections that are made from now on.
    pub(crate) fn set(&self, setting: &str, value: &str) {
        self.0.execute(&format!("ALTER SYSTEM SET {setting} = '{value}'")).unwrap();
        self.0.execute("SELECT pg_reload_conf()").unwrap();
        wait_until("the server has read its settings", Duration::from_secs(30), || {
            self.0.execute(&format!("SELECT 1 / (current_setting('{setting}') = '{value}')::INT")).is_ok()
        });
    }

    /// What the server has complained about.
    pub(crate) fn log(&self) -> String {
        self.0.log()
    }
}

/// A name for a database that no other one has.
fn next_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
