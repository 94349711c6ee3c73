//! `volley contact …`: who is known.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::client::Client;
use super::export::Target;
use super::output::Output;
use crate::config::Settings;

/// What can be done with contacts.
#[derive(Debug, Subcommand)]
pub(crate) enum ContactCommand {
    /// Write contacts as CSV or JSON lines: all, or those that match; with their tags, their attributes, and why they are not written to
    Export(ExportArgs),
}

/// Which contacts, and how they are written.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Only those with this text in email, phone, external id or a name
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only those who are subscribed to this list, by id or slug
    #[arg(long, value_name = "LIST")]
    list: Option<String>,
    /// Or who stand on it so: subscribed, unconfirmed or unsubscribed
    #[arg(long, requires = "list", value_parser = ["subscribed", "unconfirmed", "unsubscribed"])]
    standing: Option<String>,
    /// Only those who have this tag
    #[arg(long)]
    tag: Option<String>,
    /// Only those whose address is suppressed (true), or is not (false)
    #[arg(long, value_name = "BOOL")]
    suppressed: Option<bool>,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(command: ContactCommand, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let client = Client::new(&settings.cli.server, settings.cli.key.clone())?;
    let ContactCommand::Export(args) = command;
    let suppressed = args.suppressed.map(|wanted| wanted.to_string());
    let filters = [
        ("search", args.search.as_deref()),
        ("list", args.list.as_deref()),
        ("standing", args.standing.as_deref()),
        ("tag", args.tag.as_deref()),
        ("suppressed", suppressed.as_deref()),
    ];
    args.target.save(&client, "v1/contacts/export", &filters, output).await?;
    Ok(ExitCode::SUCCESS)
}
