//! `volley verify`: breaks things around instances of its own and shows that nobody is lost and nobody reached twice.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;

use super::output::{self, Output, table};
use super::progress::Progress;
use super::serve::Signals;
use crate::config::Settings;
use crate::config::secret::Secret;
use crate::verify::climate::Faults;
use crate::verify::report::Report;
use crate::verify::{self, Event, Options, Providers};

/// What is broken, around which instances, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// How much breaks
    #[arg(long, default_value = "light", value_parser = PossibleValuesParser::new(Faults::ALL.iter().map(|it| it.as_str())))]
    faults: String,
    /// Make the same plan again; random if left out
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Instances; 3 with a database server, else 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    instances: Option<u8>,
    /// Recipients in all
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    recipients: u32,
    /// How long the faults last, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    duration: u64,
    /// Who takes the messages
    #[arg(long, default_value = "both", value_parser = PossibleValuesParser::new(Providers::ALL.iter().map(|it| it.as_str())))]
    provider: String,
    /// Start a PostgreSQL and, where it is installed, a RabbitMQ for this run alone
    #[arg(long, conflicts_with_all = ["database", "broker"])]
    private: bool,
    /// With --private: PostgreSQL alone
    #[arg(long, requires = "private")]
    no_broker: bool,
    /// A scratch PostgreSQL database; it must hold no campaigns
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// A scratch RabbitMQ
    #[arg(long, value_name = "URL", requires = "database")]
    broker: Option<String>,
    /// Write the report, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl VerifyArgs {
    fn options(&self) -> Options {
        Options {
            faults: Faults::from_text(&self.faults).unwrap_or(Faults::Light),
            seed: self.seed.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0)),
            instances: self.instances.map(usize::from),
            recipients: usize::try_from(self.recipients).unwrap_or(usize::MAX),
            duration: Duration::from_secs(self.duration),
            providers: Providers::from_text(&self.provider).unwrap_or(Providers::Both),
            private: self.private,
            with_broker: !self.no_broker,
            database: self.database.clone().map(Secret::new),
            broker: self.broker.clone().map(Secret::new),
        }
    }
}

pub(crate) async fn verify(args: VerifyArgs, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let progress = std::cell::RefCell::new(Progress::new(output));
    let tell = |event: &Event| {
        let mut progress = progress.borrow_mut();
        match event {
            // Nobody reads on: the report, if one is wanted, is still made.
            Event::Said(what) => drop(progress.say(what)),
            Event::Progress(now) => progress.show(now.settled(), now.recipients, &now.to_string()),
        }
    };
    let options = args.options();
    let report = tokio::select! {
        report = verify::run(&options, settings, &tell) => report?,
        name = signals.next() => anyhow::bail!("ended by {name}"),
    };
    progress.borrow_mut().end("all counted");
    if let Some(file) = &args.report {
        let json = serde_json::to_vec_pretty(&report)?;
        std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    show(&report, output)?;
    Ok(if report.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(report: &Report, output: &Output) -> anyhow::Result<()> {
    for complaint in &report.complaints {
        output::complain(complaint);
    }
    let mut text = String::new();
    for (header, rows) in [report.faults_table(), report.accounts_table()] {
        if !rows.is_empty() {
            text.push_str(&format!("\n{}\n", table(&header, &rows)));
        }
    }
    text.push_str(&format!("\n{}", report.verdict()));
    Ok(output.either(&serde_json::to_value(report)?, &text)?)
}
