//! `volley key …`: API keys, straight in the database, so that a first key needs no key.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::output::{self, Output};
use crate::app;
use crate::config::Settings;

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Create a key and print it, this once
    Create {
        /// What the key is for
        name: String,
    },
    /// List keys, without the secrets: those are not stored
    List,
    /// Revoke a key: it stops working at once, and stays revoked
    Revoke {
        /// Key id, as `key list` shows it
        id: i64,
    },
}

pub(crate) async fn run(command: KeyCommand, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    match command {
        KeyCommand::Create { name } => {
            let key = app::create_key(settings, &name).await?;
            output.either(&json!({ "name": name, "key": key }), &key)?;
            output::complain("This key is not shown again.");
        }
        KeyCommand::List => {
            let keys = app::list_keys(settings).await?;
            let when = |at: Option<crate::domain::instant::UtcInstant>| at.map_or("-".to_owned(), |at| at.to_string());
            let rows: Vec<Vec<String>> = keys
                .iter()
                .map(|key| {
                    vec![
                        key.id.to_string(),
                        key.name.clone(),
                        format!("{}…", key.prefix),
                        key.created_at.to_string(),
                        when(key.last_used_at),
                        when(key.revoked_at),
                    ]
                })
                .collect();
            let header = ["ID", "NAME", "KEY", "CREATED", "LAST USED", "REVOKED"];
            output.either(&json!({ "data": keys }), &output::table(&header, &rows))?;
        }
        KeyCommand::Revoke { id } => {
            anyhow::ensure!(app::revoke_key(settings, id).await?, "there is no active key {id}");
            output.either(&json!({ "id": id, "revoked": true }), &format!("key {id} revoked"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
