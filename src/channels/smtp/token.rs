//! OAuth tokens for logins: from a file that somebody else keeps fresh, or from a command.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::Mutex;

use super::reply::Failure;
use crate::config::pools::SmtpConfig;
use crate::config::secret::Secret;

/// The longest token, in bytes.
const MAX_TOKEN_BYTES: u64 = 16 * 1024;

/// How long a command's token is used for other connections, too: a pool opens many at once, and a program for each of
/// them would be many programs. A file is read for each connection.
const KEPT: Duration = Duration::from_secs(60);

/// Where tokens come from.
pub(super) struct Token {
    source: Source,
    /// A command's latest token. Locked while the command runs, so that one run serves all that wait.
    kept: Mutex<Option<(Instant, Secret)>>,
}

enum Source {
    File(PathBuf),
    /// A program and its arguments. No shell.
    Command(String, Vec<String>),
}

impl Token {
    /// As the pool's settings say; nothing if they name no source.
    pub(super) fn new(config: &SmtpConfig) -> Option<Self> {
        let source = match (config.token_file(), config.oauth_token_command.split_first()) {
            (Some(file), _) => Source::File(file.to_owned()),
            (None, Some((program, arguments))) => Source::Command(program.clone(), arguments.to_vec()),
            (None, None) => return None,
        };
        Some(Self { source, kept: Mutex::default() })
    }

    /// The setting that names the source.
    pub(super) fn setting(&self) -> &'static str {
        match self.source {
            Source::File(_) => "oauth_token_file",
            Source::Command(..) => "oauth_token_command",
        }
    }

    /// The token, and whether it was fetched just now.
    ///
    /// # Errors
    /// There is none. The error holds nothing of what was read. Waits as long as the command runs; a dropped future ends
    /// the command.
    pub(super) async fn get(&self) -> Result<(Secret, bool), Failure> {
        match &self.source {
            Source::File(file) => {
                let unreadable =
                    |error: std::io::Error| Failure::Cut(format!("cannot read {}: {error}", file.display()));
                let opened = tokio::fs::File::open(file).await.map_err(unreadable)?;
                Ok((token_in(&read(opened).await.map_err(unreadable)?)?, true))
            }
            Source::Command(program, arguments) => {
                let mut kept = self.kept.lock().await;
                if let Some((since, secret)) = &*kept
                    && since.elapsed() < KEPT
                {
                    return Ok((secret.clone(), false));
                }
                let secret = run(program, arguments).await?;
                *kept = Some((Instant::now(), secret.clone()));
                Ok((secret, true))
            }
        }
    }

    /// The relay refused this token: the next is to be a new one.
    pub(super) async fn forget(&self, refused: &Secret) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|(_, secret)| secret == refused) {
            *kept = None;
        }
    }
}

async fn run(program: &str, arguments: &[String]) -> Result<Secret, Failure> {
    let failed = |error: std::io::Error| Failure::Cut(format!("{program}: {error}"));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What it complains of may quote what it knows.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let Some(stdout) = child.stdout.take() else { return Err(Failure::Cut(format!("{program} has no output"))) };
    let output = read(stdout).await.map_err(failed)?;
    if !too_long(&output) {
        let status = child.wait().await.map_err(failed)?;
        if !status.success() {
            return Err(Failure::Cut(format!("{program} ended with {status}")));
        }
    }
    token_in(&output)
}

/// What can be read, up to one byte more than a token may have.
async fn read(source: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_TOKEN_BYTES + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

fn too_long(output: &[u8]) -> bool {
    u64::try_from(output.len()).is_ok_and(|length| length > MAX_TOKEN_BYTES)
}

/// The one word in `output` (RFC 6750 2.1: letters, digits and `-._~+/=`).
fn token_in(output: &[u8]) -> Result<Secret, Failure> {
    let no_token = |what: &str| Failure::Cut(format!("{what}; one token of letters, digits and -._~+/= is wanted"));
    if too_long(output) {
        return Err(no_token("more than 16 KiB came"));
    }
    let text = output.trim_ascii();
    if text.is_empty() {
        return Err(no_token("nothing came"));
    }
    let is_token_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    if !text.iter().all(is_token_byte) {
        return Err(no_token("the output is no token"));
    }
    Ok(Secret::new(String::from_utf8_lossy(text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_is_found_without_the_blanks_around_it(token in "[A-Za-z0-9._~+/=-]{1,200}", blanks in "[ \t\r\n]{0,5}") {
            let found = token_in(format!("{blanks}{token}{blanks}\n").as_bytes()).ok();
            prop_assert_eq!(found.map(|secret| secret.expose().to_owned()), Some(token));
        }

        #[test]
        fn what_is_no_token_is_refused_without_being_repeated(bytes: Vec<u8>) {
            if let Err(Failure::Cut(words)) = token_in(&bytes) {
                prop_assert!(words.is_ascii());
            }
        }
    }

    #[test]
    fn two_words_and_endless_output_are_no_token() {
        for output in ["", " \n", "two words", "a\nb", "{\"access_token\": \"x\"}", &"x".repeat(16 * 1024 + 1)] {
            assert!(token_in(output.as_bytes()).is_err(), "{output:.20}");
        }
    }
}
