//! `volley suppression …`: addresses that are not written to.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::client::{self, Client};
use super::output::{self, Output, grouped};
use crate::config::Settings;

/// Why an address is not written to.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Reason {
    /// The person refused
    Unsubscribed,
    /// The person wants nothing more on this channel
    Stopped,
    /// The person complained to its provider
    Complained,
    /// The address does not exist
    Bounced,
    /// An operator blocks it
    Blocked,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Unsubscribed => "unsubscribed",
            Self::Stopped => "stopped",
            Self::Complained => "complained",
            Self::Bounced => "bounced",
            Self::Blocked => "blocked",
        }
    }
}

/// What can be done with suppressions.
#[derive(Debug, Subcommand)]
pub(crate) enum SuppressionCommand {
    /// List suppressed addresses
    List {
        /// Text within the address
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Only those with this reason
        #[arg(long, value_enum)]
        reason: Option<Reason>,
        /// Most rows
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Keep an address, or a domain (@example.com), from being written to
    Add {
        /// Email address, phone number, or @DOMAIN
        address: String,
        /// Why
        #[arg(long, value_enum, default_value = "unsubscribed")]
        reason: Reason,
        /// Only this list, by id or slug
        #[arg(long, value_name = "LIST")]
        list: Option<String>,
        /// For the log
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Let an address or a domain be written to again
    Remove {
        /// Email address, phone number, or @DOMAIN
        address: String,
        /// Only this reason; the others stay
        #[arg(long, value_enum)]
        reason: Option<Reason>,
        /// Only this list, by id or slug
        #[arg(long, value_name = "LIST")]
        list: Option<String>,
        /// For the log; needed to lift a refusal
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Import suppressions from a CSV file
    Import {
        /// CSV file with a header line: address (or email, phone), and perhaps channel, reason, list, since, until
        file: PathBuf,
        /// Encoding of the file, such as windows-1252; without it, it is recognised
        #[arg(long, value_name = "NAME")]
        encoding: Option<String>,
    },
    /// Print all suppressions as CSV
    Export {
        /// Without the ' before cells that a spreadsheet would take for formulas
        #[arg(long)]
        raw: bool,
    },
}

/// The fields of a body that name an address or a domain.
fn target(address: &str) -> Value {
    match address.strip_prefix('@') {
        Some(domain) => json!({ "domain": domain }),
        None => json!({ "address": address }),
    }
}

/// A body with the fields that are given.
fn body(address: &str, more: [(&str, Option<&str>); 3]) -> Value {
    let mut body = target(address);
    if let Some(fields) = body.as_object_mut() {
        fields.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))));
    }
    body
}

pub(crate) async fn run(command: SuppressionCommand, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let client = Client::new(&settings.cli.server, settings.cli.key.clone())?;
    match command {
        SuppressionCommand::List { search, reason, limit } => {
            let limit = limit.to_string();
            let mut query = vec![("page_size", limit.as_str())];
            query.extend(search.as_deref().map(|search| ("search", search)));
            query.extend(reason.map(|reason| ("reason", reason.as_str())));
            let found = client.get("v1/suppressions", &query).await?;
            output.either(&found, &listed(&found))?;
        }
        SuppressionCommand::Add { address, reason, list, note } => {
            let more = [("reason", Some(reason.as_str())), ("list", list.as_deref()), ("note", note.as_deref())];
            let done = client.post_once("v1/suppressions", &body(&address, more)).await?;
            output.either(&done, &format!("{address} is not written to ({})", reason.as_str()))?;
        }
        SuppressionCommand::Remove { address, reason, list, note } => {
            let more = [("reason", reason.map(Reason::as_str)), ("list", list.as_deref()), ("note", note.as_deref())];
            let done = client.delete("v1/suppressions", &body(&address, more)).await?;
            let was_there = done.get("lifted").and_then(Value::as_bool).unwrap_or_default();
            let said = if was_there { "may be written to again" } else { "was not suppressed so" };
            output.either(&done, &format!("{address} {said}"))?;
        }
        SuppressionCommand::Import { file, encoding } => {
            let query: Vec<(&str, &str)> = encoding.iter().map(|name| ("encoding", name.as_str())).collect();
            let done = client.upload("v1/suppressions/import", &query, &file, Arc::default()).await?;
            let rows = |name: &str| grouped(done.get(name).and_then(Value::as_i64).unwrap_or_default());
            let summary = format!(
                "{} rows read: {} accepted, {} rejected",
                rows("rows_read"),
                rows("rows_accepted"),
                rows("rows_rejected")
            );
            let lines = std::iter::once(summary).chain(super::import::rejected_rows(&done));
            output.either(&done, &lines.collect::<Vec<_>>().join("\n"))?;
        }
        SuppressionCommand::Export { raw } => {
            let query: &[(&str, &str)] = if raw { &[("raw", "true")] } else { &[] };
            client.download("v1/suppressions/export", query, &mut std::io::stdout().lock()).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(found: &Value) -> String {
    let data = found.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Vec<String>> = data
        .iter()
        .map(|row| {
            let reasons = row.get("reasons").and_then(Value::as_array).into_iter().flatten();
            let reasons: Vec<&str> = reasons.filter_map(Value::as_str).collect();
            let list = row.get("list_id").and_then(Value::as_i64).map_or("-".to_owned(), |list| list.to_string());
            let text = |name: &str| client::text(row, name).to_owned();
            vec![text("/address"), text("/channel"), list, reasons.join(", "), text("/updated_at")]
        })
        .collect();
    output::table(&["ADDRESS", "CHANNEL", "LIST", "REASONS", "CHANGED"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_domain_are_told_apart() {
        let none = [("reason", None), ("list", None), ("note", None)];
        assert_eq!(body("@example.com", none), json!({ "domain": "example.com" }));
        let more = [("reason", Some("blocked")), ("list", None), ("note", Some("by phone"))];
        let expected = json!({ "address": "ann@example.com", "reason": "blocked", "note": "by phone" });
        assert_eq!(body("ann@example.com", more), expected);
    }
}
