//! `volley why`: why one person got a campaign's message, or did not.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::Value;

use super::client::{self, Client};
use super::output::{self, Output};
use crate::config::Settings;

/// One person of one campaign.
#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// Campaign id
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    campaign: i64,
    /// The contact: its id, email address, phone number (+…), or external:ID
    contact: String,
}

/// The parameter of `GET /v1/contacts` that takes this key.
fn key(contact: &str) -> (&'static str, &str) {
    match contact.strip_prefix("external:") {
        Some(id) => ("external_id", id),
        None if contact.contains('@') => ("email", contact),
        None => ("phone", contact),
    }
}

pub(crate) async fn run(args: &WhyArgs, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let client = Client::new(&settings.cli.server, settings.cli.key.clone())?;
    let contact = find(&client, &args.contact).await?;
    let why = client.get(&format!("v1/campaigns/{}/why/{contact}", args.campaign), &[]).await?;
    output.either(&why, &told(&why))?;
    Ok(ExitCode::SUCCESS)
}

/// The id of a contact.
async fn find(client: &Client, contact: &str) -> anyhow::Result<i64> {
    let id = contact.strip_prefix("id:").unwrap_or(contact);
    if let Some(id) = id.parse::<i64>().ok().filter(|id| *id > 0 && !contact.starts_with('+')) {
        return Ok(id);
    }
    let (field, value) = key(contact);
    let found = client.get("v1/contacts", &[(field, value)]).await?;
    match found.pointer("/data/0/id").and_then(Value::as_i64) {
        Some(id) => Ok(id),
        None => bail!("no contact has this {field}; one that was deleted goes by its id"),
    }
}

fn told(why: &Value) -> String {
    let list = |name: &str| why.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let rows: Vec<Vec<String>> = list("steps")
        .iter()
        .map(|step| {
            let text = |pointer| client::text(step, pointer).to_owned();
            let decides = step.get("decides").and_then(Value::as_bool).unwrap_or_default();
            let mark = if decides { ">" } else { "" };
            let source = match client::text(step, "/source") {
                "none" => "not recorded".to_owned(),
                source => source.to_owned(),
            };
            vec![mark.to_owned(), text("/at"), source, text("/fact")]
        })
        .collect();
    let mut lines = vec![client::text(why, "/verdict").to_owned(), String::new()];
    lines.push(output::table(&["", "WHEN", "SOURCE", "FACT"], &rows));
    let ways = list("can");
    if !ways.is_empty() {
        lines.extend([String::new(), "What can be done:".to_owned()]);
    }
    for way in &ways {
        let body = way.get("body").filter(|body| !body.is_null()).map(|body| format!(" {body}")).unwrap_or_default();
        let text = |pointer| client::text(way, pointer);
        lines.push(format!("  {}", text("/what")));
        lines.push(format!("    {} {}{body} ({})", text("/method"), text("/path"), text("/scope")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_told_with_what_it_rests_on_and_what_can_be_done() {
        let why = json!({
            "verdict": "Not sent yet: the campaign is paused.",
            "steps": [
                { "fact": "Named by list 1 (a): subscribed.", "source": "list 1", "at": "2026-03-01T09:00:00.000Z", "decides": false },
                { "fact": "The campaign was paused.", "source": "campaign decision", "at": null, "decides": true },
                { "fact": "Which one is unknown.", "source": "none", "at": null, "decides": false },
            ],
            "can": [{
                "act": "resume", "what": "Resume the campaign.", "method": "POST", "path": "/v1/campaigns/3/resume",
                "body": null, "scope": "operate",
            }],
        });
        assert_eq!(
            told(&why).lines().collect::<Vec<_>>(),
            [
                "Not sent yet: the campaign is paused.",
                "",
                "   WHEN                      SOURCE             FACT",
                "   2026-03-01T09:00:00.000Z  list 1             Named by list 1 (a): subscribed.",
                ">                            campaign decision  The campaign was paused.",
                "                             not recorded       Which one is unknown.",
                "",
                "What can be done:",
                "  Resume the campaign.",
                "    POST /v1/campaigns/3/resume (operate)",
            ]
        );
    }

    #[test]
    fn a_contact_goes_by_any_key() {
        for (contact, expected) in [
            ("ann@example.com", ("email", "ann@example.com")),
            ("+442079460123", ("phone", "+442079460123")),
            ("external:c-7", ("external_id", "c-7")),
        ] {
            assert_eq!(key(contact), expected);
        }
    }
}
