//! `volley search`: whatever goes by an id, an address, a key, or the beginning of a name.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::client::{self, Client};
use super::output::{self, Output};
use crate::config::Settings;

/// What is searched for.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// The beginning of a name, an id, an exact address, a Message-ID, the name of a page; - reads it from stdin
    #[arg(value_name = "TEXT")]
    text: String,
}

pub(crate) async fn run(args: SearchArgs, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let client = Client::new(&settings.cli.server, settings.cli.key.clone())?;
    // An address in the arguments stands in the history of a shell.
    let text = if args.text == "-" { std::io::read_to_string(std::io::stdin())? } else { args.text };
    let found = client.get("v1/search", &[("q", text.trim())]).await?;
    output.either(&found, &told(&found))?;
    Ok(ExitCode::SUCCESS)
}

fn told(found: &Value) -> String {
    let list = |name: &str| found.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let cells = |hit: &Value| -> Vec<String> {
        ["/kind", "/id", "/title", "/detail", "/path"].map(|field| client::text(hit, field).to_owned()).to_vec()
    };
    let rows: Vec<Vec<String>> = list("data").iter().map(cells).collect();
    let mut parts = match rows.is_empty() {
        true => vec!["Nothing was found.".to_owned()],
        false => vec![output::table(&["KIND", "ID", "TITLE", "", "PATH"], &rows)],
    };
    for kind in list("more").iter().filter_map(Value::as_str) {
        parts.push(format!("There is more of the kind {kind}: give more of the name."));
    }
    for kind in list("left_out") {
        let text = |field| client::text(kind, field);
        parts.push(format!("Not looked for: {} needs the scope {}.", text("/kind"), text("/scope")));
    }
    parts.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hits_are_a_table_and_what_was_not_looked_for_is_said() {
        let hit =
            json!({ "kind": "campaign", "id": "7", "title": "Spring", "detail": "sent", "path": "/v1/campaigns/7" });
        let told_of = told(&json!({
            "data": [hit], "more": ["list"], "left_out": [{ "kind": "api_key", "scope": "admin" }],
        }));
        let lines: Vec<&str> = told_of.lines().collect();
        assert_eq!(lines.len(), 4, "{told_of}");
        assert!(lines[1].contains("Spring") && lines[1].ends_with("/v1/campaigns/7"), "{told_of}");
        assert_eq!(lines[3], "Not looked for: api_key needs the scope admin.");
        assert_eq!(told(&json!({ "data": [] })), "Nothing was found.");
    }
}
