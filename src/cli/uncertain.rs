//! `volley uncertain`: of which messages it is not known whether they have left.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::client::{self, Client};
use super::output::{self, Output, grouped};
use crate::config::Settings;

/// Which incidents.
#[derive(Debug, Args)]
pub(crate) struct UncertainArgs {
    /// Show this incident and who is in it; without it, all incidents are listed
    #[arg(value_name = "INCIDENT", conflicts_with = "campaign")]
    incident: Option<String>,
    /// Only those of this campaign
    #[arg(long, value_name = "ID")]
    campaign: Option<i64>,
    /// Say what this log or export of the provider says of the incident; - is stdin
    #[arg(long, value_name = "FILE", requires = "incident")]
    log: Option<PathBuf>,
    /// Resolve those that the log says were accepted as `sent`, or those that it says were not as `failed` or `pending` (send them again);
    /// without a log, all of the incident, at most 1,000 at once
    #[arg(long = "as", value_name = "WHAT", requires = "incident", value_parser = ["sent", "failed", "pending"])]
    resolution: Option<String>,
    /// On what evidence, for the audit log; names nobody by an address
    #[arg(long, value_name = "TEXT", requires = "resolution")]
    note: Option<String>,
    /// Only say what would change
    #[arg(long, requires = "resolution")]
    dry_run: bool,
}

pub(crate) async fn run(args: UncertainArgs, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let client = Client::new(&settings.cli.server, settings.cli.key.clone())?;
    let Some(id) = &args.incident else {
        list(&client, args.campaign, output).await?;
        return Ok(ExitCode::SUCCESS);
    };
    match (&args.log, &args.resolution) {
        (None, None) => show(&client, id, output).await?,
        (Some(file), None) => {
            let found = matched(&client, id, file).await?;
            output.either(&found, &told_match(&found))?;
        }
        (_, Some(resolution)) => resolve(&client, id, resolution, &args, output).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What a log says of an incident.
async fn matched(client: &Client, id: &str, file: &Path) -> anyhow::Result<Value> {
    let mut log = String::new();
    if file == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut log).context("cannot read the log from stdin")?;
    } else {
        log = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(client.post(&format!("{}/match", path_of(id)), &json!({ "log": log })).await?)
}

fn told_match(found: &Value) -> String {
    let lines: Vec<String> = found
        .pointer("/lines/not_understood_at")
        .and_then(Value::as_array)
        .map(|lines| lines.iter().map(Value::to_string).collect())
        .unwrap_or_default();
    let not_understood =
        if lines.is_empty() { String::new() } else { format!("\nnot understood: line {}", lines.join(", ")) };
    let [sent, failed, pending] =
        ["if_sent", "if_failed", "if_pending"].map(|name| client::text(found, &format!("/{name}")));
    let means = format!("--as sent     {sent}\n--as failed   {failed}\n--as pending  {pending}");
    format!("{}{not_understood}\n\n{means}", client::text(found, "/summary"))
}

/// Resolves an incident, or those in it that a log says so about.
async fn resolve(
    client: &Client,
    id: &str,
    resolution: &str,
    args: &UncertainArgs,
    output: &Output,
) -> anyhow::Result<()> {
    let (incident, contacts, hash) = match &args.log {
        Some(file) => {
            let found = matched(client, id, file).await?;
            let group = if resolution == "sent" { "/accepted/contact_ids" } else { "/not_accepted/contact_ids" };
            let contacts = found.pointer(group).and_then(Value::as_array).cloned().unwrap_or_default();
            let hash = found.get("log_sha256").cloned();
            (found, contacts, hash)
        }
        None => {
            let (incident, people) = some(client, &path_of(id), "recipients", None, MOST_AT_ONCE).await?;
            let contacts = people.iter().filter_map(|one| one.pointer("/contact/id").cloned());
            (incident, contacts.take(MOST_AT_ONCE).collect(), None)
        }
    };
    anyhow::ensure!(!contacts.is_empty(), "the log says of nobody in this incident what --as {resolution} is about");
    let campaign = client::number(&incident, "/campaign_id")?;
    let mut body = json!({ "as": resolution, "contact_ids": contacts, "dry_run": args.dry_run });
    if let (Some(note), Some(fields)) = (&args.note, body.as_object_mut()) {
        fields.insert("evidence".to_owned(), json!({ "note": note, "log_sha256": hash }));
    }
    let done = client.post_once(&format!("v1/campaigns/{campaign}/deliveries/resolve"), &body).await?;
    let text = match client::text(&done, "/consequence") {
        "" => format!("{} resolved as {resolution}", grouped(client::number(&done, "/resolved")?)),
        consequence => format!("{consequence} Nothing was changed."),
    };
    let inside = incident.get("count").and_then(Value::as_i64).unwrap_or_default();
    let rest = inside.saturating_sub(i64::try_from(contacts.len()).unwrap_or(i64::MAX));
    let text = match args.log {
        None if rest > 0 => {
            format!("{text}\n{} others of the incident stay as they are: one decision takes 1,000.", grouped(rest))
        }
        None | Some(_) => text,
    };
    output.either(&done, &text)?;
    Ok(())
}

/// As many as one resolution takes.
const MOST_AT_ONCE: usize = 1_000;

fn path_of(incident: &str) -> String {
    let id: String = url::form_urlencoded::byte_serialize(incident.as_bytes()).collect();
    format!("v1/uncertain/{id}")
}

async fn list(client: &Client, campaign: Option<i64>, output: &Output) -> anyhow::Result<()> {
    let campaign = campaign.map(|id| id.to_string());
    let rows = all(client, "v1/uncertain", "data", campaign.as_deref()).await?.1;
    output.either(&json!({ "data": rows }), &listed(&rows))?;
    Ok(())
}

async fn show(client: &Client, id: &str, output: &Output) -> anyhow::Result<()> {
    let (mut incident, recipients) = all(client, &path_of(id), "recipients", None).await?;
    let told = told(&incident, &recipients);
    if let Some(fields) = incident.as_object_mut() {
        fields.remove("next_cursor");
        fields.insert("recipients".to_owned(), Value::Array(recipients));
    }
    output.either(&incident, &told)?;
    Ok(())
}

/// Every part of a list: the first answer, and the rows of all.
async fn all(client: &Client, path: &str, name: &str, campaign: Option<&str>) -> anyhow::Result<(Value, Vec<Value>)> {
    some(client, path, name, campaign, usize::MAX).await
}

/// As many parts of a list as hold `most` rows.
async fn some(
    client: &Client,
    path: &str,
    name: &str,
    campaign: Option<&str>,
    most: usize,
) -> anyhow::Result<(Value, Vec<Value>)> {
    let (mut first, mut rows, mut cursor) = (None, Vec::new(), None::<String>);
    loop {
        let mut query: Vec<(&str, &str)> = campaign.map(|id| ("campaign_id", id)).into_iter().collect();
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let mut part = client.get(path, &query).await?;
        rows.extend(part.get_mut(name).and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default());
        cursor = part.get("next_cursor").and_then(Value::as_str).map(ToOwned::to_owned);
        let first = first.get_or_insert(part);
        if cursor.is_none() || rows.len() >= most {
            return Ok((first.take(), rows));
        }
    }
}

fn listed(rows: &[Value]) -> String {
    if rows.is_empty() {
        return "Nothing is uncertain.".to_owned();
    }
    let cells = |row: &Value| {
        let count = row.get("count").and_then(Value::as_i64).unwrap_or_default();
        let instance = row.pointer("/instance/id").map_or_else(|| "-".to_owned(), Value::to_string);
        let journal = client::text(row, "/journal/state").replace('_', " ");
        let text = |at: &str| client::text(row, at).to_owned();
        vec![text("/id"), text("/campaign_name"), grouped(count), text("/last_at"), instance, journal, text("/reason")]
    };
    let header = ["INCIDENT", "CAMPAIGN", "MESSAGES", "LAST", "INSTANCE", "JOURNAL", "WHY"];
    output::table(&header, &rows.iter().map(cells).collect::<Vec<_>>())
}

/// One incident: what is known, and who is in it.
fn told(incident: &Value, recipients: &[Value]) -> String {
    let text = |at: &str| client::text(incident, at);
    let count = incident.get("count").and_then(Value::as_i64).unwrap_or_default();
    let campaign = incident.get("campaign_id").map(Value::to_string).unwrap_or_default();
    let mut lines = vec![
        format!("campaign   {campaign} ({})", text("/campaign_name")),
        format!("messages   {}", grouped(count)),
        format!("why        {}", text("/reason")),
        format!("claimed    {} to {}", text("/first_claimed_at"), text("/last_claimed_at")),
    ];
    if let Some(id) = incident.pointer("/instance/id") {
        lines.push(format!("instance   {id} on {}", text("/instance/host")));
    }
    lines.push(format!("journal    {}", text("/journal/detail")));
    lines.push(format!("keys       {}:…", text("/message_key")));
    let cells = |row: &Value| {
        let address = ["/contact/email", "/contact/phone", "/contact/external_id"].map(|at| client::text(row, at));
        let address = address.into_iter().find(|text| !text.is_empty()).unwrap_or("-").to_owned();
        let id = row.pointer("/contact/id").map(Value::to_string).unwrap_or_default();
        vec![id, address, client::text(row, "/key").to_owned()]
    };
    let table = output::table(&["CONTACT", "ADDRESS", "KEY"], &recipients.iter().map(cells).collect::<Vec<_>>());
    format!("{}\n\n{table}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_told_with_its_cause_and_its_people() {
        let incident = json!({
            "id": "7-2-3-0badcafe", "campaign_id": 7, "campaign_name": "Spring", "count": 1_200, "reason": "cut",
            "first_claimed_at": "2026-03-01T09:14:00Z", "last_claimed_at": "2026-03-01T09:14:02Z",
            "last_at": "2026-03-01T09:14:03Z", "instance": { "id": 3, "host": "cellar" }, "message_key": "abc",
            "journal": { "state": "unread", "detail": "Start it again." },
        });
        let person = json!({ "contact": { "id": 42, "email": null, "phone": "+14155552671" }, "key": "abc:42" });
        let told = told(&incident, &[person]);
        for part in ["Spring", "1,200", "3 on cellar", "Start it again.", "42", "+14155552671", "abc:42"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let list = listed(&[incident]);
        assert!(list.contains("7-2-3-0badcafe") && list.contains("unread") && list.contains("cut"), "{list}");
        assert_eq!(listed(&[]), "Nothing is uncertain.");
    }

    #[test]
    fn a_match_is_told_with_what_each_resolution_means() {
        let found = json!({
            "summary": "9 were accepted; 2 lines were not understood.", "lines": { "not_understood_at": [3, 7] },
            "if_sent": "Counted as sent: 9.", "if_failed": "Nothing.", "if_pending": "Sent again: up to 2.",
        });
        let told = told_match(&found);
        assert!(
            told.starts_with("9 were accepted; 2 lines were not understood.\nnot understood: line 3, 7\n\n"),
            "{told}"
        );
        assert!(told.ends_with("--as pending  Sent again: up to 2."), "{told}");
    }
}
