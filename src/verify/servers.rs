//! Private servers: on free ports, in temporary folders, gone with this process however that ends. Servers that already
//! run on the machine are never touched.

pub mod postgres;
pub mod rabbitmq;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::VerifyError;

/// How long a server may take to start.
const START: Duration = Duration::from_secs(120);

/// Who runs a server when this process is root, as which most servers refuse to run.
#[derive(Debug, Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// The first of `names` that exists, when this process is root; nobody else otherwise.
    fn unprivileged(names: &[&str]) -> Result<Option<Self>, VerifyError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let number = |flag: &str, name: &str| -> Option<u32> {
            let output = Command::new("id").args([flag, name]).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        };
        let found = names.iter().find_map(|name| Some(Self { uid: number("-u", name)?, gid: number("-g", name)? }));
        found.map(Some).ok_or_else(|| {
            VerifyError::Absent(format!("none of these users exists to run servers as: {}", names.join(", ")))
        })
    }
}

/// A folder for a server, and its owner.
#[derive(Debug)]
struct Home {
    folder: PathBuf,
    user: Option<User>,
}

impl Home {
    /// Makes one that is the server's alone. Whoever makes it sees to it that it goes: [`Home::watchdog`].
    fn make(prefix: &str, user: Option<User>) -> Result<Self, VerifyError> {
        let folder = std::env::temp_dir().join(format!("{prefix}{}", uuid::Uuid::new_v4().simple()));
        let made = || -> io::Result<()> {
            std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(&folder)?;
            if let Some(user) = user {
                std::os::unix::fs::chown(&folder, Some(user.uid), Some(user.gid))?;
            }
            Ok(())
        };
        made().map_err(VerifyError::io(format!("make {}", folder.display())))?;
        Ok(Self { folder, user })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A command in the folder, as the unprivileged user where there is need of one.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match self.user {
            None => Command::new(program),
            Some(User { uid, gid }) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={uid}"), format!("--regid={gid}")]).arg("--clear-groups");
                command.arg("--").arg(program);
                command
            }
        };
        // A server would keep pipes open for as long as it lives, so nothing is read from it through one.
        command.current_dir(&self.folder).env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs a command to its end.
    fn run(&self, program: &Path, arguments: &[OsString]) -> Result<(), VerifyError> {
        let name = program.file_name().unwrap_or(program.as_os_str()).display().to_string();
        let mut command = self.command(program);
        command.args(arguments);
        self.finish(&name, command)
    }

    /// Runs a command, known as `name`, to its end.
    fn finish(&self, name: &str, mut command: Command) -> Result<(), VerifyError> {
        let log = self.path("commands");
        let mut start = || -> io::Result<_> {
            let out = std::fs::File::create(&log)?;
            let err = out.try_clone()?;
            command.stdout(out).stderr(err).status()
        };
        let status = start().map_err(VerifyError::io(format!("run {name}")))?;
        if status.success() {
            return Ok(());
        }
        let words = std::fs::read_to_string(&log).unwrap_or_default();
        Err(VerifyError::Failed { doing: format!("run {name}"), detail: words.trim().to_owned() })
    }

    /// A shell that runs `last_words` and removes the folder as soon as its standard input closes, which the kernel sees
    /// to when this process ends, even by SIGKILL.
    fn watchdog(&self, last_words: &str, arguments: &[&OsStr]) -> Result<Watchdog, VerifyError> {
        let script = format!("cat >/dev/null; {last_words}; rm -rf \"$0\"");
        let mut shell = self.command("sh");
        shell.arg("-c").arg(script).arg(&self.folder).args(arguments).process_group(0).stdin(Stdio::piped());
        shell.spawn().map(Watchdog).map_err(VerifyError::io("start a server's watchdog"))
    }
}

#[derive(Debug)]
struct Watchdog(Child);

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ended = self.0.wait();
    }
}

/// The first folder of `PATH`, then of `others`, that has all `programs`.
fn folder_with(programs: &[&str], others: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain(others);
    folders.find(|folder| programs.iter().all(|program| folder.join(program).is_file()))
}

/// Waits until `ready`, on a blocking thread.
fn wait(what: &str, ready: impl Fn() -> bool) -> Result<(), VerifyError> {
    let began = Instant::now();
    while !ready() {
        if began.elapsed() > START {
            return Err(VerifyError::Failed {
                doing: format!("start {what}"),
                detail: "it does not answer".to_owned(),
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
