//! Private PostgreSQL servers: on a free port, in a temporary folder, gone with the test process however that ends.
//!
//! The binaries are those of `VOLLEY_TEST_PG_BIN`, else of the `PATH`, else the newest below `/usr/lib/postgresql`. The
//! server refuses to run as root, so a root test process runs it as `VOLLEY_TEST_PG_USER` (default `postgres`, else
//! `nobody`).

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::{Connection, PgConnection, RunQueryDsl};

use super::ports::free_port;
use super::waiting::wait_until;

/// Settings of the servers. Commits are as durable as in production: the engine refuses less, and relies on it.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
max_connections = 200
shared_buffers = 64MB
fsync = on
synchronous_commit = on
max_wal_size = 512MB
log_min_messages = warning
log_checkpoints = off
";

/// A server of one's own, for tests that stop it. Dropping it ends it and removes its folder.
pub(crate) struct PrivatePostgres {
    programs: Programs,
    home: PathBuf,
    port: u16,
    /// Stops the server and removes its folder as soon as its standard input closes, which the kernel does when this
    /// process ends, even by SIGKILL.
    watchdog: Child,
}

/// No server can be had; says why.
#[derive(Debug, Clone)]
pub(crate) struct Absent(pub(crate) String);

/// The server that the tests of this process share, each with a database of its own.
pub(crate) fn shared() -> Result<&'static PrivatePostgres, &'static Absent> {
    static SHARED: OnceLock<Result<PrivatePostgres, Absent>> = OnceLock::new();
    SHARED.get_or_init(PrivatePostgres::start).as_ref()
}

impl PrivatePostgres {
    /// Makes and starts a server.
    ///
    /// # Errors
    /// [`Absent`] when the machine has no server binaries.
    pub(crate) fn start() -> Result<Self, Absent> {
        let programs = Programs::find()?;
        let home = tempfile::Builder::new().prefix("volley-pg-").tempdir().expect("a temporary folder").keep();
        if let Some(user) = &programs.user {
            std::os::unix::fs::chown(&home, Some(user.uid), Some(user.gid)).expect("give the folder away");
        }
        let port = free_port();
        let initdb = ["--username=volley", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
        programs.run("initdb", &home, initdb.iter().map(OsStr::new).chain([OsStr::new("-D"), data(&home).as_ref()]));
        let settings = format!("{SETTINGS}port = {port}\nunix_socket_directories = '{}'\n", home.display());
        std::fs::write(data(&home).join("postgresql.auto.conf"), settings).expect("write the server's settings");
        let watchdog = programs
            .command("sh", &home)
            .args(["-c", "cat >/dev/null; \"$1/pg_ctl\" -D \"$2/data\" stop -m immediate; rm -rf \"$2\"", "sh"])
            .args([programs.bin.as_os_str(), home.as_os_str()])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start the watchdog");
        let server = Self { programs, home, port, watchdog };
        server.start_again();
        Ok(server)
    }

    /// Starts the server after a stop, and waits until it answers.
    pub(crate) fn start_again(&self) {
        self.pg_ctl(&["start", "-w", "-l"], Some(&self.home.join("log")));
        wait_until("PostgreSQL answers", Duration::from_secs(30), || {
            PgConnection::establish(&self.url("postgres")).is_ok()
        });
    }

    /// Kills the server in mid-flight, as a crash would: no checkpoint, no goodbye.
    pub(crate) fn stop_immediately(&self) {
        self.pg_ctl(&["stop", "-m", "immediate"], None);
    }

    /// The URL of a database of this server.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://volley@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and answers its URL.
    pub(crate) fn create_database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// Cuts every connection that clients have to any database.
    pub(crate) fn cut_connections(&self) {
        self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test_%'");
    }

    /// Changes a setting of the server, for connections that are made from now on.
    pub(crate) fn set(&self, setting: &str, value: &str) {
        self.execute(&format!("ALTER SYSTEM SET {setting} = '{value}'"));
        self.execute("SELECT pg_reload_conf()");
        wait_until("the server has read its settings", Duration::from_secs(30), || {
            let mut connection = PgConnection::establish(&self.url("postgres")).expect("reach PostgreSQL");
            let holds = format!("SELECT 1 / (current_setting('{setting}') = '{value}')::INT");
            diesel::sql_query(holds).execute(&mut connection).is_ok()
        });
    }

    /// What the server has complained about.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.home.join("log")).unwrap_or_default()
    }

    fn execute(&self, sql: &str) {
        let mut connection = PgConnection::establish(&self.url("postgres")).expect("reach PostgreSQL");
        diesel::sql_query(sql).execute(&mut connection).expect("run the statement");
    }

    fn pg_ctl(&self, order: &[&str], file: Option<&Path>) {
        let order = order.iter().map(OsStr::new).chain(file.map(Path::as_os_str));
        let data = data(&self.home);
        self.programs.run("pg_ctl", &self.home, order.chain([OsStr::new("-D"), data.as_os_str()]));
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ended = self.watchdog.wait();
    }
}

fn data(home: &Path) -> PathBuf {
    home.join("data")
}

struct User {
    uid: u32,
    gid: u32,
}

struct Programs {
    bin: PathBuf,
    user: Option<User>,
}

impl Programs {
    fn find() -> Result<Self, Absent> {
        let bin = bin_folder().ok_or_else(|| Absent("no PostgreSQL server binaries found".to_owned()))?;
        let user = rustix::process::geteuid().is_root().then(unprivileged_user).transpose()?;
        Ok(Self { bin, user })
    }

    /// A command in the folder `home`, as the unprivileged user where there is need of one.
    fn command(&self, program: impl AsRef<OsStr>, home: &Path) -> Command {
        let mut command = match &self.user {
            None => Command::new(program),
            Some(User { uid, gid }) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={uid}"), format!("--regid={gid}")]).arg("--clear-groups");
                command.arg("--").arg(program);
                command
            }
        };
        // The server would keep pipes open for as long as it lives, so nothing is read from it through one.
        command.current_dir(home).env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    fn run<'a>(&self, program: &str, home: &Path, arguments: impl Iterator<Item = &'a OsStr>) {
        let log = home.join("commands");
        let out = std::fs::File::create(&log).expect("a file for the command's words");
        let err = out.try_clone().expect("the same file");
        let Output { status, .. } = self
            .command(self.bin.join(program), home)
            .args(arguments)
            .stdout(out)
            .stderr(err)
            .output()
            .expect("start a PostgreSQL program");
        let words = std::fs::read_to_string(&log).unwrap_or_default();
        assert!(status.success(), "{program} failed: {words}");
    }
}

fn bin_folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("VOLLEY_TEST_PG_BIN") {
        return Some(PathBuf::from(folder));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    debian.sort_by_key(|folder| {
        let version = folder.parent().and_then(Path::file_name).and_then(OsStr::to_str);
        std::cmp::Reverse(version.and_then(|text| text.parse::<u32>().ok()))
    });
    std::env::split_paths(&path)
        .chain(debian)
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

fn unprivileged_user() -> Result<User, Absent> {
    let named = std::env::var_os("VOLLEY_TEST_PG_USER").and_then(|name| name.into_string().ok());
    let names = named.map_or_else(|| vec!["postgres".to_owned(), "nobody".to_owned()], |name| vec![name]);
    let number = |flag: &str, name: &str| -> Option<u32> {
        let output = Command::new("id").args([flag, name]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    names
        .iter()
        .find_map(|name| Some(User { uid: number("-u", name)?, gid: number("-g", name)? }))
        .ok_or_else(|| Absent(format!("none of these users exists to run PostgreSQL as: {}", names.join(", "))))
}
