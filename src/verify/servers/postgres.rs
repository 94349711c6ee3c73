//! A private PostgreSQL. The programs are those of a given folder, else of the `PATH`, else the newest below
//! `/usr/lib/postgresql`.

use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use diesel::{Connection, PgConnection, RunQueryDsl};
use rustix::process::{Pid, Signal, kill_process};

use super::{Home, User, Watchdog, folder_with, wait};
use crate::verify::VerifyError;
use crate::verify::ports::free_port;

/// Settings of the server. Commits are as durable as in production: the engine refuses less, and relies on it.
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

/// What ends a server whose owner is gone.
const STOP: &str = "\"$1/pg_ctl\" -D \"$0/data\" stop -m immediate";

/// A server of one's own. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    port: u16,
    // Before the folder's description, which it needs no more.
    _watchdog: Watchdog,
    home: Home,
}

impl Postgres {
    /// Makes and starts a server; `programs` and `user` replace what would be found. Blocks for a second or two.
    ///
    /// # Errors
    /// [`VerifyError::Absent`] when the machine has no server programs; the words of a program that failed.
    pub fn start(programs: Option<PathBuf>, user: Option<&str>) -> Result<Self, VerifyError> {
        let absent = || VerifyError::Absent("no PostgreSQL server programs found (package `postgresql`)".to_owned());
        let programs = programs.or_else(find).ok_or_else(absent)?;
        let user = match user {
            Some(name) => User::unprivileged(&[name])?,
            None => User::unprivileged(&["postgres", "nobody"])?,
        };
        let home = Home::make("volley-pg-", user)?;
        let watchdog = home.watchdog(STOP, &[programs.as_os_str()])?;
        let server = Self { programs, port: free_port(), _watchdog: watchdog, home };
        let initdb = ["--username=volley", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
        server.run("initdb", &initdb)?;
        server.set_up("")?;
        server.start_again()?;
        Ok(server)
    }

    /// Makes and starts a standby of this server, which hears of its commits over `link` (`host:port`) and does not make it
    /// wait for them.
    ///
    /// # Errors
    /// A program failed.
    pub fn standby(&self, link: SocketAddr) -> Result<Self, VerifyError> {
        let home = Home::make("volley-pg-", self.home.user)?;
        let watchdog = home.watchdog(STOP, &[self.programs.as_os_str()])?;
        let standby = Self { programs: self.programs.clone(), port: free_port(), _watchdog: watchdog, home };
        let source = format!("host=127.0.0.1 port={} user=volley", self.port);
        standby.run("pg_basebackup", &["-d", &source, "-X", "stream", "-c", "fast", "-R", "--no-sync"])?;
        standby.set_up(&format!("primary_conninfo = 'host={} port={} user=volley'\n", link.ip(), link.port()))?;
        standby.start_again()?;
        Ok(standby)
    }

    fn set_up(&self, more: &str) -> Result<(), VerifyError> {
        let folder = self.home.folder.display();
        let settings = format!("{SETTINGS}{more}port = {}\nunix_socket_directories = '{folder}'\n", self.port);
        std::fs::write(self.home.path("data").join("postgresql.auto.conf"), settings)
            .map_err(VerifyError::io("write PostgreSQL's settings"))
    }

    /// Makes a standby take writes, in a history of its own.
    ///
    /// # Errors
    /// It is no standby, or does not answer.
    pub fn promote(&self) -> Result<(), VerifyError> {
        self.run("pg_ctl", &["promote", "-w"])
    }

    /// Where the server listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Starts the server after a stop, and waits until it answers.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&self) -> Result<(), VerifyError> {
        let log = self.home.path("log").into_os_string();
        self.run("pg_ctl", &[OsStr::new("start"), OsStr::new("-w"), OsStr::new("-l"), &log])?;
        wait("PostgreSQL", || PgConnection::establish(&self.url("postgres")).is_ok())
    }

    /// Kills the server in mid-flight, as a crash would: no checkpoint, no goodbye.
    ///
    /// # Errors
    /// It does not run.
    pub fn stop_immediately(&self) -> Result<(), VerifyError> {
        self.run("pg_ctl", &["stop", "-m", "immediate"])
    }

    /// Stops every process of the server where it stands, as a hung disk or hypervisor would: connections stay, their kernel
    /// acknowledges what comes, and nothing is answered.
    ///
    /// # Errors
    /// It does not run.
    pub fn freeze(&self) -> Result<(), VerifyError> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// It does not run.
    pub fn thaw(&self) -> Result<(), VerifyError> {
        self.signal(Signal::CONT)
    }

    /// Sends a signal to the server's first process, which starts all others, and then to those.
    fn signal(&self, signal: Signal) -> Result<(), VerifyError> {
        let failed = |detail: String| VerifyError::Failed { doing: "signal PostgreSQL".to_owned(), detail };
        let first = std::fs::read_to_string(self.home.path("data").join("postmaster.pid"));
        let first = first.map_err(|error| failed(error.to_string()))?;
        let first: i32 = first.lines().next().and_then(|line| line.parse().ok()).unwrap_or_default();
        let send = |pid: i32| Pid::from_raw(pid).map(|pid| kill_process(pid, signal)).transpose();
        send(first).map_err(|error| failed(error.to_string()))?;
        let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children"));
        let children = children.map_err(|error| failed(error.to_string()))?;
        // One that has ended meanwhile needs no signal.
        for child in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            let _already_gone = send(child);
        }
        Ok(())
    }

    /// The URL of a database of this server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://volley@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and answers its URL. Its name must need no quotes.
    ///
    /// # Errors
    /// The server does not answer, or has one of that name.
    pub fn create_database(&self, name: &str) -> Result<String, VerifyError> {
        self.execute(&format!("CREATE DATABASE {name}"))?;
        Ok(self.url(name))
    }

    /// Runs a statement as the server's owner.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub fn execute(&self, sql: &str) -> Result<(), VerifyError> {
        let failed = |detail: String| VerifyError::Failed { doing: "ask PostgreSQL".to_owned(), detail };
        let mut connection =
            PgConnection::establish(&self.url("postgres")).map_err(|error| failed(error.to_string()))?;
        let done = diesel::sql_query(sql).execute(&mut connection);
        done.map(drop).map_err(|error| failed(error.to_string()))
    }

    /// What the server has complained about.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path("log")).unwrap_or_default()
    }

    fn run(&self, program: &str, order: &[impl AsRef<OsStr>]) -> Result<(), VerifyError> {
        let data = [OsString::from("-D"), self.home.path("data").into_os_string()];
        let order: Vec<OsString> = order.iter().map(|word| word.as_ref().to_owned()).chain(data).collect();
        self.home.run(&self.programs.join(program), &order)
    }
}

fn find() -> Option<PathBuf> {
    let entries = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut debian: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    debian.sort_by_key(|folder| {
        let version = folder.parent().and_then(Path::file_name).and_then(OsStr::to_str);
        std::cmp::Reverse(version.and_then(|text| text.parse::<u32>().ok()))
    });
    folder_with(&["initdb", "pg_ctl", "postgres"], debian)
}
