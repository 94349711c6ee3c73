//! `volley serve` and `volley migrate`.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::output::{self, Output};
use super::supervisor;
use crate::app::{self, App};
use crate::config::{Log, LogFormat, Settings};

/// How `serve` differs from its settings.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on; also VOLLEY_HTTP__ADDR
    #[arg(long, value_name = "IP:PORT")]
    pub(super) addr: Option<String>,
    /// What this instance does: take requests and send nothing, send and take no requests, or both; also VOLLEY_INSTANCE__ROLE
    #[arg(long, value_name = "ROLE", value_parser = ["all", "api", "sender"])]
    pub(super) only: Option<String>,
}

/// SIGTERM and SIGINT. Made before anything is started, so that none is missed.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to listen: from here on the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// The system has no room for another handler.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for the next one; its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

pub(crate) async fn serve(settings: Settings, output: &Output) -> anyhow::Result<ExitCode> {
    start_log(&settings.log)?;
    let mut signals = Signals::listen()?;
    supervisor::tell_starting();
    // A start may wait for a database; a signal ends that wait.
    let app = tokio::select! {
        app = App::start(settings) => app?,
        name = signals.next() => {
            supervisor::tell_stopping();
            tracing::info!(event = "instance.start_ended", signal.name = name, "a signal ended the start");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let addr = app.addr();
    tracing::info!(event = "instance.serving", http.addr = %addr, "the instance serves requests");
    supervisor::tell_ready(addr);
    if let Some(key) = app.first_key() {
        // Printed, not logged: logs are kept and shipped.
        let local = addr.ip().is_loopback();
        let link = app.one_time_path(None).filter(|_| local).map(|path| format!("http://{addr}{path}"));
        let page = link.as_deref().map_or_else(String::new, |link| {
            format!("\nIts pages, by a link that works once within five minutes: {link}")
        });
        let text = format!("API key (shown this once; `volley key create` makes more): {key}{page}");
        output.either(&json!({ "key": key, "page": link }), &text)?;
    }
    tokio::select! {
        name = signals.next() => tracing::info!(
            event = "instance.stopping",
            signal.name = name,
            "a signal asks the instance to stop; it finishes what is in flight"
        ),
        error = app.failed() => {
            tracing::error!(
                event = "instance.failed",
                error = format!("{error:#}"),
                "a vital part has died, so the process ends"
            );
            // Recovery by journal is the tested path; limping on is not.
            return Err(error);
        }
    }
    supervisor::tell_stopping();
    Ok(stop(app, &mut signals).await)
}

/// Drains `app`. A second signal ends the process at once: what was in flight is then recovered at the next start.
pub(crate) async fn stop(app: App, signals: &mut Signals) -> ExitCode {
    tokio::select! {
        () = app.stop() => ExitCode::SUCCESS,
        name = signals.next() => {
            tracing::warn!(
                event = "instance.stop_forced",
                signal.name = name,
                "a second signal has ended the process at once"
            );
            std::process::exit(1)
        }
    }
}

pub(crate) async fn migrate(settings: Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let applied = app::migrate(&settings).await?;
    let text = if applied.is_empty() {
        "the schema is up to date".to_owned()
    } else {
        applied.iter().map(|name| format!("applied {name}")).collect::<Vec<_>>().join("\n")
    };
    output.either(&json!({ "applied": applied }), &text)?;
    Ok(ExitCode::SUCCESS)
}

/// The HTTP library calls a request that it cannot read an error. Anybody can send such requests, and nobody may fill the error log with them.
const OF_STRANGERS: &str = "actix_http::h1=off";

/// Sends log lines to stderr, as `[log]` says.
///
/// # Errors
/// The level is no filter.
pub(crate) fn start_log(log: &Log) -> anyhow::Result<()> {
    let mut filter = EnvFilter::try_new(&log.level).context("log.level is not a filter")?;
    if !log.level.contains("actix_http") {
        filter = filter.add_directive(OF_STRANGERS.parse().context("not a filter")?);
    }
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => lines.with_ansi(output::is_watched()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start the log: {error}"))
}
