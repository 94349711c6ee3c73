//! `volley dead-letter …`: messages of the broker that could not be read.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{self, Client};
use super::output::{self, Output};
use crate::config::Settings;

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetterCommand {
    /// List the oldest hundred, with why each could not be read
    List,
    /// Publish one again where it came from
    Replay {
        /// The id of the dead letter
        id: Uuid,
    },
    /// Remove one: it cannot be had again
    Discard {
        /// The id of the dead letter
        id: Uuid,
    },
}

pub(crate) async fn run(command: DeadLetterCommand, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let client = Client::new(&settings.cli.server, settings.cli.key.clone())?;
    match command {
        DeadLetterCommand::List => {
            let found = client.get("v1/dead-letters", &[]).await?;
            output.either(&found, &listed(&found))?;
        }
        DeadLetterCommand::Replay { id } => {
            let done = client.post_once(&format!("v1/dead-letters/{}/replay", id), &json!({})).await?;
            output.either(&done, &format!("dead letter {id} is published again"))?;
        }
        DeadLetterCommand::Discard { id } => {
            let done = client.delete(&format!("v1/dead-letters/{}", id), &json!({})).await?;
            output.either(&done, &format!("dead letter {id} is removed"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(found: &Value) -> String {
    let data = found.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if data.is_empty() {
        return "no dead letters".to_owned();
    }
    let fields = ["/id", "/put_aside_at", "/exchange", "/routing_key", "/reason"];
    let row = |row: &Value| fields.map(|field| client::text(row, field).to_owned()).to_vec();
    output::table(&["ID", "PUT ASIDE", "EXCHANGE", "KEY", "REASON"], &data.iter().map(row).collect::<Vec<_>>())
}
