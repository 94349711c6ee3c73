//! `volley segment …`: rules over contacts, and who is a member.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{self, Client};
use super::output::{self, Output, grouped};
use crate::config::Settings;

/// What can be done with segments.
#[derive(Debug, Subcommand)]
pub(crate) enum SegmentCommand {
    /// Create a segment
    Create(CreateArgs),
    /// List segments
    List,
    /// Show a segment: its rule, its state, and how many members it has
    Show {
        /// The segment, by id or slug
        segment: String,
    },
    /// List the members of a segment
    Members {
        /// The segment, by id or slug
        segment: String,
        /// Most rows
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Say why a contact is a member of a segment, or is none
    Explain {
        /// The segment, by id or slug
        segment: String,
        /// The id of the contact
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        contact: i64,
    },
    /// Keep a segment up to date from now on
    Enable {
        /// The segment, by id or slug
        segment: String,
    },
    /// Leave a segment as it is
    Disable {
        /// The segment, by id or slug
        segment: String,
    },
}

/// A segment to create.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Its name
    name: String,
    /// The rule, as JSON in a file; - reads standard input
    criteria: PathBuf,
    /// Stands wherever the id may; made of the name unless given
    #[arg(long)]
    slug: Option<String>,
    /// For operators
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

pub(crate) async fn run(command: SegmentCommand, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let client = Client::new(&settings.cli.server, settings.cli.key.clone())?;
    match command {
        SegmentCommand::Create(args) => {
            let created = client.post_once("v1/segments", &body(&args)?).await?;
            let id = client::number(&created, "/id")?;
            output.either(
                &created,
                &format!("segment {id} ({}): {}", client::text(&created, "/slug"), state(&created)),
            )?;
        }
        SegmentCommand::List => {
            let found = client.get("v1/segments", &[("page_size", "100")]).await?;
            output.either(&found, &listed(&found))?;
        }
        SegmentCommand::Show { segment } => {
            let shown = client.get(&path(&segment, &[])?, &[]).await?;
            output.either(&shown, &described(&shown))?;
        }
        SegmentCommand::Members { segment, limit } => {
            let limit = limit.to_string();
            let found = client.get(&path(&segment, &["members"])?, &[("page_size", limit.as_str())]).await?;
            output.either(&found, &members(&found))?;
        }
        SegmentCommand::Explain { segment, contact } => {
            let why = client.get(&path(&segment, &["explain", &contact.to_string()])?, &[]).await?;
            output.either(&why, &explained(&why))?;
        }
        SegmentCommand::Enable { segment } => {
            let shown = client.post_once(&path(&segment, &["enable"])?, &json!({})).await?;
            output.either(&shown, &format!("{segment}: {}", state(&shown)))?;
        }
        SegmentCommand::Disable { segment } => {
            let shown = client.post_once(&path(&segment, &["disable"])?, &json!({})).await?;
            output.either(&shown, &format!("{segment}: {}", state(&shown)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The path of a segment, and what is below it.
fn path(segment: &str, below: &[&str]) -> anyhow::Result<String> {
    let mut path = url::Url::parse("http://segment/v1/segments")?;
    if let Ok(mut segments) = path.path_segments_mut() {
        segments.push(segment).extend(below);
    }
    Ok(path.path().trim_start_matches('/').to_owned())
}

fn body(args: &CreateArgs) -> anyhow::Result<Value> {
    let text = if args.criteria == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        text
    } else {
        std::fs::read_to_string(&args.criteria).with_context(|| format!("cannot read {}", args.criteria.display()))?
    };
    let criteria: Value = serde_json::from_str(&text).context("the rule is not JSON")?;
    let mut body = json!({ "name": args.name, "criteria": criteria });
    if let Some(fields) = body.as_object_mut() {
        fields.extend(args.slug.iter().map(|slug| ("slug".to_owned(), json!(slug))));
        fields.extend(args.description.iter().map(|text| ("description".to_owned(), json!(text))));
    }
    Ok(body)
}

/// `ready`, `building, 40 %`, `disabled`, `cannot be evaluated: …`.
fn state(segment: &Value) -> String {
    if segment.get("enabled").and_then(Value::as_bool) == Some(false) {
        return "disabled".to_owned();
    }
    if let Some(problem) = segment.get("problem").and_then(Value::as_str) {
        return format!("cannot be evaluated: {problem}");
    }
    match segment.get("progress").and_then(Value::as_f64) {
        Some(progress) => format!("building, {:.0} %", progress * 100.0),
        None => client::text(segment, "/state").to_owned(),
    }
}

fn count(segment: &Value) -> String {
    grouped(segment.get("member_count").and_then(Value::as_i64).unwrap_or_default())
}

fn listed(found: &Value) -> String {
    let data = found.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Vec<String>> = data
        .iter()
        .map(|row| {
            let id = row.get("id").and_then(Value::as_i64).unwrap_or_default().to_string();
            let text = |name: &str| client::text(row, name).to_owned();
            vec![id, text("/slug"), text("/name"), state(row), count(row)]
        })
        .collect();
    output::table(&["ID", "SLUG", "NAME", "STATE", "MEMBERS"], &rows)
}

fn described(segment: &Value) -> String {
    let mut lines = vec![
        format!("{} ({})", client::text(segment, "/name"), client::text(segment, "/slug")),
        format!("rule:    {}", client::text(segment, "/sentence")),
        format!("state:   {}", state(segment)),
        format!("members: {}", count(segment)),
    ];
    let problem = client::text(segment, "/problem");
    if !problem.is_empty() {
        lines.push(format!("problem: {problem}"));
    }
    lines.join("\n")
}

fn members(found: &Value) -> String {
    let data = found.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Vec<String>> = data
        .iter()
        .map(|row| {
            let number = |name: &str| row.get(name).and_then(Value::as_i64).unwrap_or_default().to_string();
            vec![number("contact_id"), client::text(row, "/entered_at").to_owned(), number("epoch")]
        })
        .collect();
    output::table(&["CONTACT", "SINCE", "STAY"], &rows)
}

fn explained(why: &Value) -> String {
    let is = |name: &str| why.get(name).and_then(Value::as_bool).unwrap_or_default();
    let first = match (is("member"), is("matches")) {
        (true, _) => format!("a member since {}", client::text(why, "/entered_at")),
        (false, true) => "no member, although the rule takes the contact now".to_owned(),
        (false, false) => "no member".to_owned(),
    };
    let mut lines = vec![first];
    if let Some(criteria) = why.get("criteria") {
        clauses(criteria, 0, &mut lines);
    }
    lines.join("\n")
}

/// `yes  event paid in the last 30 days`, indented by depth.
fn clauses(node: &Value, depth: usize, lines: &mut Vec<String>) {
    let holds = if node.get("holds").and_then(Value::as_bool).unwrap_or_default() { "yes" } else { "no " };
    lines.push(format!("{}{holds} {}", "  ".repeat(depth), client::text(node, "/sentence")));
    for part in node.get("parts").and_then(Value::as_array).into_iter().flatten() {
        clauses(part, depth + 1, lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_named_by_its_slug_and_what_is_below_it() {
        assert_eq!(path("big-spenders", &["explain", "7"]).unwrap(), "v1/segments/big-spenders/explain/7");
        assert_eq!(path("a/b", &[]).unwrap(), "v1/segments/a%2Fb");
    }

    #[test]
    fn the_state_says_how_far_it_has_come() {
        assert_eq!(state(&json!({ "enabled": true, "state": "building", "progress": 0.4 })), "building, 40 %");
        assert_eq!(state(&json!({ "enabled": true, "state": "ready", "progress": null })), "ready");
        assert_eq!(state(&json!({ "enabled": false, "state": "ready" })), "disabled");
    }

    #[test]
    fn each_clause_says_whether_it_holds() {
        let why = json!({ "member": false, "matches": false, "criteria": { "holds": false, "sentence": "a and b", "parts": [
            { "holds": true, "sentence": "a" }, { "holds": false, "sentence": "b" } ] } });
        assert_eq!(explained(&why), "no member\nno  a and b\n  yes a\n  no  b");
    }
}
