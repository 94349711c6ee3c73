//! Instances of this very binary: started, killed, frozen, continued, drained. They end with this value, by process id.

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::VerifyError;
use super::api::{Answer, Api, Question};
use super::ports::free_port;
use super::proxy::Link;

/// How long an instance may take to be ready; a start waits for its database.
const START: Duration = Duration::from_secs(90);
/// How long an answer is tried for, instance after instance.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// One instance, whether it runs or not.
pub(super) struct Instance {
    pub(super) number: usize,
    /// Its way to the database, where that is a server.
    pub(super) database: Option<Link>,
    /// Its way to the broker, where there is one.
    pub(super) broker: Option<Link>,
    api: Api,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    child: RefCell<Option<Child>>,
    state: Cell<Life>,
}

/// What is meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Down,
    Up,
    Frozen,
}

/// What an instance is started with.
pub(super) struct Outfit {
    pub(super) number: usize,
    /// A folder of its own.
    pub(super) folder: PathBuf,
    /// Its settings file.
    pub(super) settings: String,
    pub(super) root_key: String,
    pub(super) database_url: String,
    pub(super) broker_url: Option<String>,
    pub(super) database: Option<Link>,
    pub(super) broker: Option<Link>,
}

impl Instance {
    /// Writes the settings down; starts nothing.
    ///
    /// # Errors
    /// The folder is not writable.
    pub(super) fn prepare(outfit: Outfit) -> Result<Self, VerifyError> {
        let Outfit { number, folder, settings, root_key, database_url, broker_url, database, broker } = outfit;
        std::fs::create_dir_all(&folder)
            .and_then(|()| write_privately(&folder.join("volley.toml"), &settings))
            .map_err(VerifyError::io(format!("write the settings of instance {number}")))?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let api = Api::new(addr, &root_key)?;
        let mut environment = vec![
            ("VOLLEY_HTTP__ADDR".to_owned(), addr.to_string()),
            ("VOLLEY_AUTH__ROOT_KEY".to_owned(), root_key),
            ("VOLLEY_DATABASE__URL".to_owned(), database_url),
        ];
        // One key asks for everything, every few milliseconds.
        for limit in ["REQUESTS", "LAUNCHES"] {
            environment.push((format!("VOLLEY_LIMITS__{limit}_PER_MINUTE"), "0".to_owned()));
        }
        environment.extend(broker_url.map(|url| ("VOLLEY_BROKER__URL".to_owned(), url)));
        let (child, state) = (RefCell::new(None), Cell::new(Life::Down));
        Ok(Self { number, database, broker, api, folder, environment, child, state })
    }

    fn is_up(&self) -> bool {
        self.state.get() == Life::Up
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// It ends, or is not ready in time.
    pub(super) async fn start(&self) -> Result<(), VerifyError> {
        let child = self.spawn().map_err(VerifyError::io(format!("start instance {}", self.number)))?;
        self.child.replace(Some(child));
        let began = Instant::now();
        while !matches!(self.api.ask(&Question::get("/readyz")).await, Answer::Done(_)) {
            let ended = self.has_ended();
            if ended.is_some() || began.elapsed() > START {
                let why = ended.unwrap_or_else(|| format!("it is not ready after {} s", START.as_secs()));
                return Err(VerifyError::Failed {
                    doing: format!("start instance {}", self.number),
                    detail: format!("{why}; its last words: {}", self.last_words()),
                });
            }
            tokio::time::sleep(POLL).await;
        }
        self.state.set(Life::Up);
        Ok(())
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(self.log_file())?;
        let program = std::env::current_exe()?;
        let mut command = if Path::new("/usr/bin/setpriv").exists() {
            // Becomes the program. When this process is killed, the kernel kills that one, too.
            let mut command = Command::new("/usr/bin/setpriv");
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("VOLLEY_")) {
            command.env_remove(name);
        }
        command
            .args(["serve", "--config", "volley.toml"])
            .envs(self.environment.iter().cloned())
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for us alone.
            .process_group(0)
            .kill_on_drop(true);
        command.spawn()
    }

    /// `kill -9`.
    pub(super) async fn kill(&self) {
        self.state.set(Life::Down);
        let child = self.child.take();
        if let Some(mut child) = child {
            let _already_gone = child.kill().await;
        }
    }

    /// SIGSTOP.
    pub(super) fn freeze(&self) {
        if self.is_up() {
            self.state.set(Life::Frozen);
            self.signal(Signal::STOP);
        }
    }

    /// SIGCONT.
    pub(super) fn thaw(&self) {
        if self.state.get() == Life::Frozen {
            self.signal(Signal::CONT);
            self.state.set(Life::Up);
        }
    }

    /// SIGTERM; waits for the end, for so long.
    ///
    /// # Errors
    /// It does not end in time, or not well.
    pub(super) async fn drain(&self, limit: Duration) -> Result<(), VerifyError> {
        self.state.set(Life::Down);
        self.signal(Signal::TERM);
        let child = self.child.take();
        let Some(mut child) = child else { return Ok(()) };
        let failed = |detail: String| VerifyError::Failed { doing: format!("drain instance {}", self.number), detail };
        match tokio::time::timeout(limit, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(failed(format!("it ended with {status}"))),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_elapsed) => {
                let _already_gone = child.kill().await;
                Err(failed(format!("it had not ended after {} s", limit.as_secs())))
            }
        }
    }

    /// How it ended, if it did though nobody asked it to.
    pub(super) fn ended_by_itself(&self) -> Option<String> {
        self.is_up().then(|| self.has_ended()).flatten().inspect(|_| self.state.set(Life::Down))
    }

    fn has_ended(&self) -> Option<String> {
        let mut child = self.child.borrow_mut();
        let status = child.as_mut()?.try_wait().ok()??;
        Some(format!("it ended with {status}"))
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.borrow().as_ref().and_then(Child::id);
        if let Some(pid) = id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            let _already_gone = kill_process(pid, signal);
        }
    }

    /// The id of its slot, by which the database knows it over restarts.
    pub(super) fn slot(&self) -> Option<String> {
        let id = std::fs::read_to_string(self.folder.join("data/instances/1/id")).ok()?;
        Some(id.trim().to_owned())
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// How often something panicked in it, by its log.
    pub(super) fn panics(&self) -> usize {
        use std::io::BufRead;
        let Ok(log) = File::open(self.log_file()) else { return 0 };
        let lines = std::io::BufReader::new(log).lines().map_while(Result::ok);
        lines.filter(|line| line.contains("panicked at")).count()
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("none").to_owned()
    }
}

/// All instances.
pub(super) struct Fleet {
    pub(super) instances: Vec<Instance>,
    turn: Cell<usize>,
}

impl Fleet {
    pub(super) fn new(instances: Vec<Instance>) -> Self {
        Self { instances, turn: Cell::new(0) }
    }

    /// The instance whose turn it is, of those that should answer.
    fn next(&self) -> Option<&Instance> {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let up: Vec<&Instance> = self.instances.iter().filter(|instance| instance.is_up()).collect();
        up.get(turn % up.len().max(1)).copied()
    }

    /// Asks one instance, once.
    pub(super) async fn look(&self, path: &str) -> Option<Value> {
        match self.next()?.api.ask(&Question::get(path)).await {
            Answer::Done(value) => Some(value),
            Answer::Refused(..) | Answer::Away(_) => None,
        }
    }

    /// Asks instance after instance until one answers.
    ///
    /// # Errors
    /// [`VerifyError::Refused`] for a refusal that is not "try again"; none answered in time.
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Value, VerifyError> {
        let began = Instant::now();
        let mut last = "no instance is up".to_owned();
        while began.elapsed() < PATIENCE {
            match self.next() {
                None => {}
                Some(instance) => match instance.api.ask(&question).await {
                    Answer::Done(value) => return Ok(value),
                    Answer::Refused(status, detail) if status < 500 => {
                        return Err(VerifyError::Refused { path: question.path.to_owned(), status, detail });
                    }
                    Answer::Refused(_, why) | Answer::Away(why) => last = why,
                },
            }
            tokio::time::sleep(POLL).await;
        }
        Err(VerifyError::Failed { doing: format!("ask for {}", question.path), detail: last })
    }
}

/// Writes a file that nobody else can read: an address with a query counts as a secret.
fn write_privately(file: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?
        .write_all(text.as_bytes())
}
