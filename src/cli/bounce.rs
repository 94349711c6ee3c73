//! `volley bounce`: a mail server hands over what came back. It runs for each mail, so its exit code says whether the server should
//! try again.

use std::io::{Read as _, copy, sink, stdin};
use std::process::ExitCode;

use super::client::Client;
use crate::config::Settings;
use crate::config::secret::Secret;
use crate::domain::callbacks::mail::KEPT;
use anyhow::Context as _;
use clap::Args;

/// The exit code by which a mail server keeps a mail and tries again (`EX_TEMPFAIL` of sysexits.h). With any other one it would give the
/// mail up, for a wrong setting, too.
pub(crate) const TRY_AGAIN: u8 = 75;

/// Arguments of `volley bounce`.
#[derive(Debug, Args)]
pub(crate) struct BounceArgs {
    /// The pool whose mail came back. The mail is read from the standard input; USER:PASSWORD is taken from VOLLEY_CLI__CALLBACK_SECRET or the pool's settings
    pool: String,
}

pub(crate) async fn bounce(args: BounceArgs, settings: &Settings) -> anyhow::Result<ExitCode> {
    let client = Client::new(&settings.cli.server, None)?;
    let secret = secret(&args.pool, settings).with_context(|| {
        format!("there is no secret for pool {:?}: set VOLLEY_CLI__CALLBACK_SECRET to its USER:PASSWORD", args.pool)
    })?;
    let mail = read().context("cannot read the mail")?;
    anyhow::ensure!(!mail.is_empty(), "there is no mail on the standard input");
    client.post_mail(&format!("v1/callbacks/{}", args.pool), &secret, mail).await?;
    Ok(ExitCode::SUCCESS)
}

/// As much of the mail on the standard input as is kept: its report is at the beginning.
fn read() -> std::io::Result<Vec<u8>> {
    let mut input = stdin().lock();
    let mut mail = Vec::new();
    input.by_ref().take(u64::try_from(KEPT).unwrap_or(u64::MAX)).read_to_end(&mut mail)?;
    // The mail server takes it for a failure if the rest is not read.
    copy(&mut input, &mut sink())?;
    Ok(mail)
}

/// The secret of the settings, or the first one of the pool.
fn secret(pool: &str, settings: &Settings) -> Option<Secret> {
    let own = settings.cli.callback_secret.clone();
    own.or_else(|| {
        let pool = settings.pools.iter().find(|other| other.name == pool)?;
        pool.callbacks.as_ref()?.secrets().first().map(|secret| Secret::new((*secret).to_owned()))
    })
}
