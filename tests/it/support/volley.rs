//! The program itself, as a process: started, killed, drained and started again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use volley::verify::ports::free_port;

use super::api::Api;
use super::database::Database;
use super::scripted_http::ScriptedHttp;
use super::scripted_smtp::ScriptedSmtp;
use super::waiting::{wait_for, wait_until};

/// The limits of requests.
const UNLIMITED: [&str; 5] = [
    "VOLLEY_LIMITS__INGEST_ITEMS_PER_MINUTE",
    "VOLLEY_LIMITS__MESSAGES_PER_MINUTE",
    "VOLLEY_LIMITS__LAUNCHES_PER_MINUTE",
    "VOLLEY_LIMITS__REQUESTS_PER_MINUTE",
    "VOLLEY_LIMITS__WITHOUT_KEY_PER_MINUTE",
];

/// The API key with full rights that every started process knows.
pub(crate) const ROOT_KEY: &str = "vk_harness_0123456789abcdef0123456789abcdef0123456789abcdef";

const START: Duration = Duration::from_secs(30);

/// A process that serves. Dropping it kills it; when the test is failing, its last log lines are printed first.
///
/// The kernel kills the process when the thread that started it ends, so start it on the test's own thread.
pub(crate) struct Volley {
    child: Option<Child>,
    port: u16,
    config: PathBuf,
    log: PathBuf,
    environment: Vec<(&'static str, String)>,
}

/// What a process is started with.
pub(crate) struct Builder {
    folder: PathBuf,
    url: String,
    data_dir: PathBuf,
    broker: Option<String>,
    toml: String,
}

impl Volley {
    /// A process on this database, with its data beside it.
    pub(crate) fn on(db: &Database) -> Builder {
        Builder {
            folder: db.folder().to_owned(),
            url: db.url(),
            data_dir: db.folder().join("data"),
            broker: None,
            toml: String::new(),
        }
    }

    /// A client of this process.
    pub(crate) fn api(&self) -> Api {
        self.api_with(ROOT_KEY)
    }

    /// A client that shows this key.
    pub(crate) fn api_with(&self, key: &str) -> Api {
        Api::new(&format!("http://127.0.0.1:{}", self.port), key)
    }

    /// Where it listens on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("the process was started").id()
    }

    /// Starts the process without waiting until it serves.
    pub(crate) fn spawn(&mut self) {
        self.spawn_with(&[]);
    }

    /// The same, with more in its environment.
    pub(crate) fn spawn_with(&mut self, environment: &[(&str, &str)]) {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a log file");
        // `setpriv` becomes the program: nothing is left behind when the tests themselves are killed.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", env!("CARGO_BIN_EXE_volley"), "serve", "--config"])
            .arg(&self.config)
            .envs(self.environment.iter().cloned())
            .envs(environment.iter().copied())
            .current_dir(self.config.parent().expect("the settings stand in a folder"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the same file"))
            .stderr(log)
            .spawn()
            .expect("start volley");
        self.child = Some(child);
    }

    /// Starts the process and waits until it is ready.
    pub(crate) fn start(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    /// Waits until `/readyz` says yes.
    pub(crate) fn wait_ready(&mut self) {
        let api = self.api();
        wait_until("volley is ready", START, || {
            if let Some(status) = self.exited() {
                panic!("volley ended at start with {status}\n{}", self.tail());
            }
            api.try_get("/readyz").is_ok_and(|answer| answer.status == 200)
        });
    }

    /// Ends the process in mid-flight.
    pub(crate) fn kill_9(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _already_gone = child.kill();
            let _ended = child.wait();
        }
    }

    /// Kills the process and starts it again.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill_9();
        self.start();
    }

    /// Stops the process where it stands, as a machine that is put to sleep would.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen process go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().try_into().expect("a process id")).expect("not zero");
        kill_process(pid, signal).expect("send a signal");
    }

    /// Asks the process to end, and waits for it. Answers how it ended and how long that took.
    pub(crate) fn sigterm(&mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        self.signal(Signal::TERM);
        let mut child = self.child.take().expect("the process was started");
        let status = wait_for("volley ends after SIGTERM", Duration::from_secs(60), || {
            child.try_wait().expect("ask for the process's end")
        });
        (status, asked.elapsed())
    }

    /// Ends the process in good order; fails the test when it does not, or when anything panicked on the way.
    pub(crate) fn stop(mut self) {
        let (status, _) = self.sigterm();
        assert!(status.success(), "volley ended with {status}\n{}", self.tail());
        assert!(!self.log().contains("panicked at"), "something panicked\n{}", self.tail());
    }

    /// How the process ended, if it did.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().expect("ask for the process's end")
    }

    /// How many acceptances came too late for their deliveries, which others had got in the meantime. On a provider without
    /// keys each may be a second message.
    pub(crate) fn late_acceptances(&self) -> usize {
        self.log().matches("delivery.accepted_late").count()
    }

    /// Everything the process has written so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(120)..].join("\n")
    }
}

impl Drop for Volley {
    fn drop(&mut self) {
        self.kill_9();
        if std::thread::panicking() {
            println!("--- the last lines of volley's log ---\n{}\n---", self.tail());
        }
    }
}

impl Builder {
    /// Adds a sender pool.
    pub(crate) fn pool(mut self, pool: Pool) -> Self {
        self.toml.push_str(&pool.toml());
        self
    }

    /// Adds settings, as TOML that names its sections. `[database]` and `[http]` are the harness's own.
    pub(crate) fn settings(mut self, toml: &str) -> Self {
        self.toml = format!("{toml}\n{}", self.toml);
        self
    }

    /// Reaches the database by another way.
    pub(crate) fn database(mut self, url: &str) -> Self {
        url.clone_into(&mut self.url);
        self
    }

    /// Puts journals and uploads elsewhere.
    pub(crate) fn data_dir(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.data_dir);
        self
    }

    /// Reaches PostgreSQL at another address.
    pub(crate) fn database_at(mut self, addr: std::net::SocketAddr) -> Self {
        let (_, name) = self.url.rsplit_once('/').expect("a URL with a database");
        self.url = format!("postgres://volley@{addr}/{name}");
        self
    }

    /// Changes the settings as they stand by now.
    pub(crate) fn amend(mut self, from: &str, to: &str) -> Self {
        assert!(self.toml.contains(from), "{from} is not set");
        self.toml = self.toml.replace(from, to);
        self
    }

    /// Attaches the process to a broker.
    pub(crate) fn broker(mut self, url: &str) -> Self {
        self.broker = Some(url.to_owned());
        self
    }

    /// Writes the settings down without starting anything.
    pub(crate) fn prepare(self) -> Volley {
        let port = free_port();
        let config = self.folder.join(format!("volley-{port}.toml"));
        std::fs::write(&config, &self.toml).expect("write the settings");
        // They may hold a password.
        std::fs::set_permissions(&config, Permissions::from_mode(0o600)).expect("hide the settings");
        let log = self.folder.join(format!("volley-{port}.log"));
        File::create(&log).expect("a log file");
        let mut environment = vec![
            ("VOLLEY_DATABASE__URL", self.url),
            ("VOLLEY_HTTP__ADDR", format!("127.0.0.1:{port}")),
            ("VOLLEY_AUTH__ROOT_KEY", ROOT_KEY.to_owned()),
            ("VOLLEY_SENDING__DATA_DIR", self.data_dir.display().to_string()),
        ];
        // Tests ask as fast as they can.
        environment.extend(UNLIMITED.map(|limit| (limit, "0".to_owned())));
        environment.extend(self.broker.map(|url| ("VOLLEY_BROKER__URL", url)));
        // Most tests are about other things than what a message says.
        let unasked =
            [("[links]", "VOLLEY_LINKS__REQUIRE_UNSUBSCRIBE"), ("[email]", "VOLLEY_EMAIL__REQUIRE_POSTAL_ADDRESS")];
        for (_, variable) in unasked.into_iter().filter(|(section, _)| !self.toml.contains(section)) {
            environment.push((variable, "false".to_owned()));
        }
        if !self.toml.contains("public_url") {
            // Instances that share a database have to agree on it, and each listens on a port of its own.
            environment.push(("VOLLEY_LINKS__PUBLIC_URL", "https://mail.example.com".to_owned()));
        }
        if !self.toml.contains("require_topic") {
            // Most tests are not about consent, and send to contacts by their ids.
            environment.push(("VOLLEY_CONSENT__REQUIRE_TOPIC", "false".to_owned()));
        }
        if !self.toml.contains("second_look_ms") {
            // What takes half a minute in earnest.
            environment.push(("VOLLEY_TIMING__SECOND_LOOK_MS", "300".to_owned()));
            environment.push(("VOLLEY_TIMING__PUT_OFF_MS", "300".to_owned()));
            environment.push(("VOLLEY_TIMING__STEP_BACK_MS", "100".to_owned()));
        }
        Volley { child: None, port, config, log, environment }
    }

    /// Starts the process and waits until it is ready.
    pub(crate) fn start(self) -> Volley {
        let mut volley = self.prepare();
        volley.start();
        volley
    }
}

/// A `[[pools]]` section: keys and TOML values.
pub(crate) struct Pool(BTreeMap<String, String>);

impl Pool {
    /// A relay of the harness.
    pub(crate) fn smtp(name: &str, sink: &ScriptedSmtp) -> Self {
        Self::smtp_at(name, sink.port())
    }

    /// A relay on a port of this machine.
    pub(crate) fn smtp_at(name: &str, port: u16) -> Self {
        let url = format!("smtp://127.0.0.1:{port}");
        Self::new(name, "email", "smtp").set("url", &quoted(&url)).set("from", &quoted("Shop <shop@example.com>"))
    }

    /// An HTTP provider of the harness.
    pub(crate) fn webhook(name: &str, sink: &ScriptedHttp) -> Self {
        Self::webhook_at(name, sink.port())
    }

    /// An HTTP provider on a port of this machine.
    pub(crate) fn webhook_at(name: &str, port: u16) -> Self {
        let url = format!("http://127.0.0.1:{port}/messages");
        Self::new(name, "http", "webhook").set("url", &quoted(&url))
    }

    /// A sandbox: no network.
    pub(crate) fn sandbox(name: &str, channel: &str) -> Self {
        Self::new(name, channel, "sandbox")
    }

    fn new(name: &str, channel: &str, provider: &str) -> Self {
        Self(BTreeMap::new())
            .set("name", &quoted(name))
            .set("channel", &quoted(channel))
            .set("provider", &quoted(provider))
    }

    /// Sets a key of the pool to a TOML value.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.0.insert(key.to_owned(), value.to_owned());
        self
    }

    fn toml(&self) -> String {
        self.0.iter().fold(String::from("\n[[pools]]\n"), |toml, (key, value)| format!("{toml}{key} = {value}\n"))
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}
