//! The command line. Thin: `serve`, `migrate`, `key` and `doctor` call [`crate::app`]; `health` asks an instance how it is; `import`, `contact`, `campaign`, `list`, `segment`,
//! `reaction`, `dead-letter`, `suppression`, `event`, `overview`, `search`, `uncertain`, `deliverability`, `why`, `bounce` and `demo` are clients of the REST API and know nothing that another client could not know.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage; `bounce`, which mail servers call, fails with 75.

mod bounce;
mod campaign;
mod client;
mod contact;
mod contact_key;
mod dead_letter;
mod deliverability;
mod demo;
mod doctor;
mod event;
mod examples;
mod export;
mod health;
mod import;
mod import_dry_run;
mod import_progress;
mod key;
mod list;
mod output;
mod overview;
mod private_file;
mod progress;
mod reaction;
mod search;
mod segment;
mod serve;
mod shell;
mod stream;
mod supervisor;
mod suppression;
mod uncertain;
mod verify;
mod watch;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::app;
use crate::config::Settings;
use crate::config::load::{ConfigError, Flag};
use output::Output;

/// Volley sends campaigns by email, SMS, WhatsApp and HTTP: nobody lost, nobody twice.
#[derive(Debug, Parser)]
#[command(name = "volley", version)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Global {
    /// Settings file (TOML); also VOLLEY_CONFIG
    #[arg(long, global = true, help_heading = "Global options", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print data as JSON
    #[arg(long, global = true, help_heading = "Global options")]
    json: bool,
    /// Instance to talk to, for `import`, `contact`, `campaign`, `list`, `segment`, `reaction`, `dead-letter`, `suppression`, `event`, `overview`, `search`, `uncertain`, `deliverability`, `why` and `bounce`; its API key is taken from VOLLEY_CLI__KEY
    #[arg(long, global = true, help_heading = "Global options", value_name = "URL")]
    server: Option<String>,
    /// Log level or filter; also VOLLEY_LOG__LEVEL
    #[arg(long, global = true, help_heading = "Global options", value_name = "LEVEL")]
    log_level: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run an instance until SIGTERM or Ctrl-C
    #[command(after_help = examples::SERVE)]
    Serve(serve::ServeArgs),
    /// Bring the database's schema up to date
    Migrate,
    /// Send a made-up campaign through an instance of its own and show the books
    Demo(demo::DemoArgs),
    /// Import contacts from a CSV file
    #[command(after_help = examples::IMPORT)]
    Import(import::ImportArgs),
    /// Export contacts
    #[command(subcommand, after_help = examples::CONTACT)]
    Contact(contact::ContactCommand),
    /// List, send, pause, resume, stop and watch campaigns, and show what came of them
    #[command(subcommand, after_help = examples::CAMPAIGN)]
    Campaign(campaign::CampaignCommand),
    /// Subscribe contacts to lists, unsubscribe them, and export who stands on a list
    #[command(subcommand, after_help = examples::LIST)]
    List(list::ListCommand),
    /// Create, list and explain segments: rules over contacts whose members are kept up to date
    #[command(subcommand)]
    Segment(segment::SegmentCommand),
    /// List reactions of segments that are not done yet, and try them again
    #[command(subcommand)]
    Reaction(reaction::ReactionCommand),
    /// List messages of the broker that could not be read, publish them again, and remove them
    #[command(subcommand)]
    DeadLetter(dead_letter::DeadLetterCommand),
    /// List, add, remove, import and export addresses that are not written to
    #[command(subcommand)]
    Suppression(suppression::SuppressionCommand),
    /// Send events of contacts, and list them
    #[command(subcommand)]
    Event(event::EventCommand),
    /// Show what goes on, and what needs attention
    Overview,
    /// Find anything by the beginning of its name, its id, an exact address or a Message-ID
    Search(search::SearchArgs),
    /// Show of which messages it is not known whether they have left, by cause
    Uncertain(uncertain::UncertainArgs),
    /// Show what became of messages by day, pool and domain of the recipients
    Deliverability(deliverability::DeliverabilityArgs),
    /// Say why one person got a campaign's message, or did not
    Why(why::WhyArgs),
    /// Hand over a mail that came back, for mail servers
    Bounce(bounce::BounceArgs),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Check the settings and print those in force, secrets hidden
    Config,
    /// Check database, disk and providers, and say how to fix what is wrong
    Doctor(doctor::DoctorArgs),
    /// Ask the instance on this machine whether it is ready: one line, and exit code 0 or 1
    Health(health::HealthArgs),
    /// Break things around its own instances, and show that no recipient is lost or reached twice
    Verify(verify::VerifyArgs),
    /// Print a script that completes commands and flags in a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(shell::CompletionsArgs),
    /// Print the manual page of volley, or write the pages of all commands into a folder
    #[command(after_help = examples::MAN)]
    Man(shell::ManArgs),
}

/// Parses the arguments, runs the command, prints a failure as one line.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are "errors" that go to stdout and end with 0. Nothing is left to do if printing fails.
            let _ = error.print();
            // A mail server that calls `bounce` wrongly keeps the mail until that is put right.
            let usage = if std::env::args().any(|word| word == "bounce") { bounce::TRY_AGAIN } else { 2 };
            return if error.use_stderr() { ExitCode::from(usage) } else { ExitCode::SUCCESS };
        }
    };
    let (failed, misused) = (cli.command.failed(), cli.command.misused());
    match run(cli) {
        Ok(code) => code,
        // The reader of our output has closed it: `volley campaign list | head`.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("volley: {error:#}"));
            let is_usage = error.downcast_ref::<ConfigError>().is_some_and(ConfigError::is_usage);
            if is_usage { misused } else { failed }
        }
    }
}

impl Command {
    /// How it ends if it is called wrongly.
    fn misused(&self) -> ExitCode {
        ExitCode::from(if matches!(self, Self::Bounce(_)) { bounce::TRY_AGAIN } else { 2 })
    }

    /// How it ends if it fails.
    fn failed(&self) -> ExitCode {
        if matches!(self, Self::Bounce(_)) { ExitCode::from(bounce::TRY_AGAIN) } else { ExitCode::FAILURE }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    // These two are about the program alone: no setting may keep them from working.
    if let Command::Completions(args) = &cli.command {
        return shell::completions(args, <Cli as CommandFactory>::command());
    }
    if let Command::Man(args) = &cli.command {
        return shell::man(args, <Cli as CommandFactory>::command());
    }
    let flags = flags(&cli);
    let settings = Settings::load(cli.global.config.as_deref(), &flags)?;
    let output = Output::new(cli.global.json);
    match cli.command {
        Command::Config => print_settings(&settings, &output),
        Command::Serve(_) => on_system(serve::serve(settings, &output)),
        Command::Migrate => on_system(serve::migrate(settings, &output)),
        Command::Demo(args) => on_system(demo::demo(args, settings, &output)),
        Command::Import(args) => on_system(import::import(args, &settings, &output)),
        Command::Contact(command) => on_system(contact::run(command, &settings, &output)),
        Command::Campaign(command) => on_system(campaign::run(command, &settings, &output)),
        Command::List(command) => on_system(list::run(command, &settings, &output)),
        Command::Segment(command) => on_system(segment::run(command, &settings, &output)),
        Command::Reaction(command) => on_system(reaction::run(command, &settings, &output)),
        Command::DeadLetter(command) => on_system(dead_letter::run(command, &settings, &output)),
        Command::Suppression(command) => on_system(suppression::run(command, &settings, &output)),
        Command::Event(command) => on_system(event::run(command, &settings, &output)),
        Command::Overview => on_system(overview::run(&settings, &output)),
        Command::Search(args) => on_system(search::run(args, &settings, &output)),
        Command::Uncertain(args) => on_system(uncertain::run(args, &settings, &output)),
        Command::Deliverability(args) => on_system(deliverability::run(args, &settings, &output)),
        Command::Why(args) => on_system(why::run(&args, &settings, &output)),
        Command::Bounce(args) => on_system(bounce::bounce(args, &settings)),
        Command::Key(command) => on_system(key::run(command, &settings, &output)),
        Command::Doctor(args) => on_system(doctor::doctor(&args, &settings, &output)),
        Command::Health(args) => on_system(health::health(&args, &settings, &output)),
        Command::Verify(args) => on_system(verify::verify(args, &settings, &output)),
        Command::Completions(args) => shell::completions(&args, <Cli as CommandFactory>::command()),
        Command::Man(args) => shell::man(&args, <Cli as CommandFactory>::command()),
    }
}

/// Runs `command` on an actix system, which lives as long as the command.
fn on_system(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    actix::System::new().block_on(command)
}

/// The settings that flags set.
fn flags(cli: &Cli) -> Vec<Flag> {
    let (addr, only) = match &cli.command {
        Command::Serve(args) => (args.addr.clone(), args.only.clone()),
        Command::Migrate
        | Command::Demo(_)
        | Command::Import(_)
        | Command::Contact(_)
        | Command::Campaign(_)
        | Command::List(_)
        | Command::Segment(_)
        | Command::Reaction(_)
        | Command::DeadLetter(_)
        | Command::Suppression(_)
        | Command::Event(_)
        | Command::Overview
        | Command::Search(_)
        | Command::Uncertain(_)
        | Command::Deliverability(_)
        | Command::Why(_)
        | Command::Bounce(_)
        | Command::Key(_)
        | Command::Config
        | Command::Doctor(_)
        | Command::Health(_)
        | Command::Verify(_)
        | Command::Completions(_)
        | Command::Man(_) => (None, None),
    };
    [
        ("--server", "cli.server", cli.global.server.clone()),
        ("--log-level", "log.level", cli.global.log_level.clone()),
        ("--addr", "http.addr", addr),
        ("--only", "instance.role", only),
    ]
    .into_iter()
    .filter_map(|(name, key, value)| Some(Flag { name, key, value: value? }))
    .collect()
}

fn print_settings(settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    app::check_pools(settings)?;
    let table = settings.redacted().context("cannot print the settings")?;
    if output.is_json() {
        output.json(&serde_json::to_value(&table)?)?;
    } else {
        output.text(table.to_string().trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}
