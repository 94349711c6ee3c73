//! Programs of others, written in Python, as `scripts/test` has installed them: each in a process that knows nothing of this one's
//! environment, and reaches nothing but this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::database::leave_out;
use super::waiting::wait_for;

/// Where a Python virtual environment has its programs: beside `schemathesis`.
pub(crate) struct Python {
    programs: PathBuf,
}

/// What a program said, and whether it was content.
pub(crate) struct Said {
    pub(crate) is_success: bool,
    pub(crate) output: String,
}

impl Python {
    /// `None`, said aloud, when there is none: `scripts/test` makes one.
    pub(crate) fn find(test: &str) -> Option<Self> {
        let program = std::env::var_os("VOLLEY_TEST_SCHEMATHESIS").map(PathBuf::from).filter(|file| file.is_file());
        let Some(programs) = program.as_ref().and_then(|file| file.parent()) else {
            let why = "no schemathesis: scripts/test installs it, or name it in VOLLEY_TEST_SCHEMATHESIS";
            return leave_out(test, why, "VOLLEY_TEST_REQUIRE_SCHEMATHESIS");
        };
        Some(Self { programs: programs.to_owned() })
    }

    /// Runs a program of the environment in `folder`, for at most `limit`.
    #[track_caller]
    pub(crate) fn run(&self, folder: &Path, program: &str, arguments: &[&str], limit: Duration) -> Said {
        let log = folder.join(format!("{program}.log"));
        let file = std::fs::File::create(&log).expect("a log file");
        let path = std::env::join_paths([self.programs.clone(), "/usr/bin".into(), "/bin".into()]).expect("a path");
        // `setpriv` becomes the program: nothing is left behind when the tests themselves are killed.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(self.programs.join(program))
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("PATH", path)
            .env("HOME", folder)
            .env("NO_COLOR", "1")
            .env("LANG", "C.UTF-8")
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the same file"))
            .stderr(file)
            .spawn()
            .expect("start a program");
        let status = wait_for(program, limit, || child.try_wait().expect("its status"));
        let output = String::from_utf8_lossy(&std::fs::read(&log).expect("its words")).into_owned();
        Said { is_success: status.success(), output }
    }
}
