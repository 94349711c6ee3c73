//! `volley reaction …`: reactions that are not done yet.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::client::{self, Client};
use super::output::{self, Output};
use crate::config::Settings;

/// What can be done with reactions.
#[derive(Debug, Subcommand)]
pub(crate) enum ReactionCommand {
    /// List reactions that are not done, newest first
    List(ListArgs),
    /// Try reactions again that have failed
    Retry(RetryArgs),
}

/// How far a reaction is.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Waiting,
    Failed,
    Refused,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// Which reactions are listed.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// How far they are
    #[arg(long, value_enum, default_value_t = Status::Failed)]
    status: Status,
    /// Only calls of this target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Most rows
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=100))]
    limit: u8,
}

/// Which reactions are tried again.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// The id of the reaction
    #[arg(value_parser = clap::value_parser!(i64).range(1..), required_unless_present = "all")]
    reaction: Option<i64>,
    /// All that have failed
    #[arg(long, conflicts_with = "reaction")]
    all: bool,
    /// With --all: only calls of this target
    #[arg(long, value_name = "NAME", requires = "all")]
    target: Option<String>,
}

pub(crate) async fn run(command: ReactionCommand, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let client = Client::new(&settings.cli.server, settings.cli.key.clone())?;
    match command {
        ReactionCommand::List(ListArgs { status, target, limit }) => {
            let limit = limit.to_string();
            let mut query = vec![("status", status.as_str()), ("page_size", limit.as_str())];
            query.extend(target.iter().map(|target| ("target", target.as_str())));
            let found = client.get("v1/reactions", &query).await?;
            output.either(&found, &listed(&found))?;
        }
        ReactionCommand::Retry(RetryArgs { reaction: Some(id), .. }) => {
            let done = client.post_once(&format!("v1/reactions/{id}/retry"), &json!({})).await?;
            output.either(&done, &format!("reaction {id} is tried again"))?;
        }
        ReactionCommand::Retry(RetryArgs { reaction: None, target, .. }) => {
            let body = target.map_or_else(|| json!({}), |target| json!({ "target": target }));
            let done = client.post_once("v1/reactions/retry", &body).await?;
            output.either(&done, &format!("{} are tried again", client::number(&done, "/retried")?))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(found: &Value) -> String {
    let data = found.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Vec<String>> = data
        .iter()
        .map(|row| {
            let number = |name: &str| row.get(name).and_then(Value::as_i64).unwrap_or_default().to_string();
            let text = |name: &str| client::text(row, name).to_owned();
            let what = if text("/target").is_empty() { text("/kind") } else { text("/target") };
            vec![number("id"), text("/event"), what, number("attempts"), text("/error")]
        })
        .collect();
    output::table(&["ID", "EVENT", "WHAT", "TRIES", "ERROR"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_listed_by_its_target() {
        let found = json!({ "data": [
            { "id": 7, "event": "segment.entered", "kind": "call", "target": "crm", "attempts": 3, "error": "HTTP 500" },
            { "id": 6, "event": "segment.left", "kind": "changes", "target": null, "attempts": 0, "error": null },
        ] });
        let table = listed(&found);
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["7", "segment.entered", "crm", "3", "HTTP", "500"]);
        assert_eq!(lines[2][..3], ["6", "segment.left", "changes"]);
    }
}
