//! `volley import`: a file of contacts to a running instance.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::client::{self, Client, ClientError};
use super::import_dry_run;
use super::import_progress::{Course, uploaded};
use super::output::{Output, grouped};
use super::progress::Progress;
use crate::cli::private_file::{self, Unfinished};
use crate::config::Settings;
use crate::domain::export::Format;
use crate::domain::import::reading::{Mapped, PresetChoice};
use crate::domain::people::spelling::composed;

const POLL_EVERY: Duration = Duration::from_millis(200);

/// What to import.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// CSV file with a header line, or a file of JSON lines (.jsonl, .ndjson), an object for each contact
    file: PathBuf,
    /// How the file is written, where its name does not say it
    #[arg(long, value_parser = ["csv", "jsonl"])]
    format: Option<String>,
    /// Put the contacts on the list with this name; it is created if it is missing
    #[arg(long, value_name = "NAME")]
    list: Option<String>,
    /// Say what would come of the file, and store nothing: what its columns become, and its first 20 rows with what is wrong with them
    #[arg(long, conflicts_with = "rejected")]
    dry_run: bool,
    /// Write all rejected rows to this file, in the format of the imported one: line, column, reason, and the row as it was. Corrected, it can be imported. Takes a key
    /// with scope `read`
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
    /// The file's encoding, where it is not recognised rightly: utf-8, utf-16le, windows-1252, iso-8859-2, … (Encoding Standard)
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// What a column is: email, phone, external_id, first_name, last_name, timezone, locale, name (first and last name in one), status,
    /// opt_in (agrees: yes or no), opt_out (has refused: yes or no), status_at, source, tags, attributes.NAME, attributes (a JSON object),
    /// or - (passed over). May be repeated
    #[arg(long = "map", value_name = "HEADER=FIELD", value_parser = mapped)]
    mapping: Vec<String>,
    /// Which tool has exported the file: listmonk, mailchimp, brevo, hubspot, google or outlook. Most exports are recognised without it;
    /// none turns that off
    #[arg(long, value_name = "NAME", value_parser = preset)]
    preset: Option<String>,
}

fn preset(name: &str) -> Result<String, String> {
    let known = PresetChoice::parse(name).map(|_| name.to_owned());
    known.ok_or_else(|| format!("must be one of: {}", PresetChoice::allowed()))
}

fn mapped(text: &str) -> Result<String, String> {
    Mapped::parse_all(std::iter::once(text)).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

pub(crate) async fn import(args: ImportArgs, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let client = Client::new(&settings.cli.server, settings.cli.key.clone())?;
    // Two of them may contradict each other.
    Mapped::parse_all(args.mapping.iter().map(String::as_str))?;
    // Looked at before a list is made for it.
    std::fs::metadata(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    if let Some(to) = &args.rejected {
        check_target(to, &args.file)?;
    }
    let list = match &args.list {
        // A dry run makes no list.
        Some(name) if args.dry_run => find_list(&client, composed(name.trim()).as_ref()).await?,
        Some(name) => Some(list_named(&client, name).await?),
        None => None,
    };
    let list = list.map(|id| id.to_string());
    let missing_list = args.list.as_deref().filter(|_| list.is_none());
    let list = list.iter().map(|id| ("list", id.as_str()));
    let encoding = args.encoding.iter().map(|name| ("encoding", name.as_str()));
    let preset = args.preset.iter().map(|preset| ("preset", preset.as_str()));
    let mapping = args.mapping.iter().map(|one| ("map", one.as_str()));
    let name = args.file.to_str().unwrap_or_default();
    let format = args
        .format
        .as_deref()
        .or(Format::of_name(name).filter(|format| *format != Format::Csv).map(Format::as_str))
        .map(|format| ("format", format));
    let query: Vec<(&str, &str)> = list.chain(encoding).chain(preset).chain(mapping).chain(format).collect();
    let mut progress = Progress::new(output);
    if args.dry_run {
        let new_list = missing_list.map(|_| ("new_list", "true"));
        let query: Vec<(&str, &str)> = query.into_iter().chain(new_list).chain([("dry_run", "true")]).collect();
        let dry_run = uploaded(&client, &query, &args.file, &mut progress).await?;
        progress.clear();
        output.either(&dry_run, &import_dry_run::told(&dry_run, &args.file.display().to_string(), missing_list))?;
        return Ok(ExitCode::SUCCESS);
    }
    let accepted = uploaded(&client, &query, &args.file, &mut progress).await?;
    let import = finished(&client, client::number(&accepted, "/id")?, &mut progress).await?;
    progress.end(&summary(&import));
    let warning = import.get("warning").and_then(Value::as_str).map(|warning| format!("  warning: {warning}"));
    let lines = std::iter::once(summary(&import)).chain(read_as(&import)).chain(warning).chain(closing(&import));
    output.either(&import, &lines.collect::<Vec<_>>().join("\n"))?;
    let written = match &args.rejected {
        Some(to) => write_rejected(&client, &import, to, output).await,
        None => Ok(()),
    };
    anyhow::ensure!(client::text(&import, "/status") == "completed", "{}", failure(&import));
    written?;
    // What is wrong is said above.
    let is_nobody_in = rows(&import, "created") + rows(&import, "updated") == 0;
    Ok(if is_nobody_in { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Refuses a file for the rejected rows that is the imported one, under whatever name, or a folder.
fn check_target(to: &Path, source: &Path) -> anyhow::Result<()> {
    let to = &private_file::target(to)?;
    let part = private_file::beside(to);
    let is_free = std::fs::symlink_metadata(&part).is_err();
    anyhow::ensure!(is_free, "cannot write {}: {} is there already", to.display(), part.display());
    let is_in_folder = to.parent().is_none_or(|folder| folder == Path::new("") || folder.is_dir());
    anyhow::ensure!(is_in_folder, "cannot write {}: its folder is not there", to.display());
    let is_source = match (std::fs::canonicalize(to), std::fs::canonicalize(source)) {
        (Ok(one), Ok(other)) => one == other,
        _ => to == source,
    };
    anyhow::ensure!(!is_source, "--rejected must not name the file that is imported: {}", source.display());
    Ok(())
}

/// Writes all rejected rows to a file, or the header alone. A file that is there already is replaced when all has arrived; if something
/// fails, it stays as it is.
async fn write_rejected(client: &Client, import: &Value, to: &Path, output: &Output) -> anyhow::Result<()> {
    let mut file = Unfinished::begin(to)?;
    let to = file.target().to_owned();
    let path = format!("v1/imports/{}/rejected.csv", client::number(import, "/id")?);
    client.download(&path, &[], &mut file).await.map_err(unread)?;
    file.keep()?;
    if !output.is_json() {
        let count = grouped(rows(import, "rejected"));
        output.text(&format!("  {count} rejected rows: {}", to.display()))?;
    }
    Ok(())
}

/// Why the rejected rows are not there, though the import has ended.
fn unread(error: anyhow::Error) -> anyhow::Error {
    let is_forbidden = matches!(
        error.downcast_ref::<ClientError>(),
        Some(ClientError::Refused(problem)) if problem.status == StatusCode::FORBIDDEN
    );
    let what = if is_forbidden {
        "the import has ended, but reading its rejected rows takes a key with scope `read`"
    } else {
        "the import has ended, but its rejected rows could not be written"
    };
    error.context(what)
}

/// The id of the list called `name`, which is made when there is none.
///
/// # Errors
/// [`ClientError`], or an answer without an id.
pub(crate) async fn list_named(client: &Client, name: &str) -> anyhow::Result<i64> {
    // As the API keeps it.
    let name = composed(name.trim());
    let name = name.as_ref();
    if let Some(id) = find_list(client, name).await? {
        return Ok(id);
    }
    match client.post("v1/lists", &json!({ "name": name })).await {
        Ok(list) => client::number(&list, "/id"),
        // Somebody made it meanwhile.
        Err(ClientError::Refused(problem)) if problem.status == StatusCode::CONFLICT => find_list(client, name)
            .await?
            .with_context(|| format!("the list {name:?} was deleted in this moment; try again")),
        Err(error) => Err(error.into()),
    }
}

async fn find_list(client: &Client, name: &str) -> anyhow::Result<Option<i64>> {
    let mut page = 1_i64;
    loop {
        let number = page.to_string();
        let query = [("page", number.as_str()), ("page_size", "100")];
        let answer = client.get("v1/lists", &query).await?;
        let lists = answer.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if let Some(list) = lists.iter().find(|list| client::text(list, "/name") == name) {
            return client::number(list, "/id").map(Some);
        }
        if lists.is_empty() || page >= client::number(&answer, "/pagination/total_pages")? {
            return Ok(None);
        }
        page += 1;
    }
}

/// Follows an import until it has ended.
///
/// # Errors
/// [`ClientError`], or an answer that is no import.
pub(crate) async fn finished(client: &Client, id: i64, progress: &mut Progress) -> anyhow::Result<Value> {
    let mut course = Course::default();
    loop {
        let import = client.get(&format!("v1/imports/{id}"), &[]).await?;
        let status = client::text(&import, "/status");
        if matches!(status, "completed" | "failed") {
            return Ok(import);
        }
        course.show(&import, progress);
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// `1,000 rows read: 992 created, 0 updated, 8 rejected`.
pub(crate) fn summary(import: &Value) -> String {
    let [read, created, updated, rejected] =
        ["read", "created", "updated", "rejected"].map(|what| grouped(rows(import, what)));
    format!("{read} rows read: {created} created, {updated} updated, {rejected} rejected")
}

/// What the file was taken for, and how many addresses it says not to write to.
fn read_as(import: &Value) -> Vec<String> {
    let preset = Some(client::text(import, "/preset")).filter(|preset| !preset.is_empty());
    let preset = preset.map(|preset| format!("  read as an export of {preset} (--preset none turns that off)"));
    let suppressed = Some(rows(import, "suppressed")).filter(|count| *count > 0).map(grouped);
    let suppressed = suppressed.map(|count| format!("  not written to any more, as the file says: {count}"));
    preset.into_iter().chain(suppressed).collect()
}

/// What is said below the summary: another encoding than UTF-8, the rejected rows, then the dropped cells.
pub(crate) fn closing(import: &Value) -> Vec<String> {
    let encoding = client::text(import, "/encoding");
    let is_other = !matches!(encoding, "" | "utf-8");
    let mut lines: Vec<String> = is_other.then(|| format!("  the file was read as {encoding}")).into_iter().collect();
    lines.extend(rejected_rows(import));
    let dropped = import.get("dropped_cells").and_then(Value::as_i64).unwrap_or_default();
    if dropped > 0 {
        let cells = if dropped == 1 { "cell was" } else { "cells were" };
        lines.push(format!("  {} {cells} dropped, and the rows came in without:", grouped(dropped)));
        lines.extend(listed(import, "dropped", dropped));
    }
    lines
}

/// The rejected rows, a line each, as far as the API lists them.
pub(crate) fn rejected_rows(import: &Value) -> Vec<String> {
    listed(import, "rejected", rows(import, "rejected"))
}

/// What the API lists under `what`, a line each. There are `all` of them.
fn listed(import: &Value, what: &str, all: i64) -> Vec<String> {
    let listed = import.get(what).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut lines: Vec<String> = listed
        .iter()
        .map(|row| {
            let line = row.get("line").and_then(Value::as_i64).unwrap_or_default();
            let column = Some(client::text(row, "/column")).filter(|column| !column.is_empty());
            let column = column.map(|column| format!("{column}: ")).unwrap_or_default();
            format!("  line {line}: {column}{}", client::text(row, "/reason"))
        })
        .collect();
    let more = all - i64::try_from(listed.len()).unwrap_or(i64::MAX);
    if more > 0 {
        lines.push(format!("  and {} more", grouped(more)));
    }
    lines
}

fn rows(import: &Value, what: &str) -> i64 {
    import.get(format!("rows_{what}")).and_then(Value::as_i64).unwrap_or_default()
}

fn failure(import: &Value) -> String {
    match client::text(import, "/error") {
        "" => "the import failed".to_owned(),
        error => format!("the import failed: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_rows_are_listed_with_line_column_and_reason() {
        let import = json!({
            "rows_read": 4, "rows_created": 1, "rows_updated": 0, "rows_rejected": 3,
            "rejected": [
                {"line": 3, "column": "email", "reason": "not an address"},
                {"line": 5, "column": null, "reason": "too few columns"},
            ],
        });
        assert_eq!(summary(&import), "4 rows read: 1 created, 0 updated, 3 rejected");
        let lines = ["  line 3: email: not an address", "  line 5: too few columns", "  and 1 more"];
        assert_eq!(rejected_rows(&import), lines);
    }

    #[test]
    fn dropped_cells_are_named_below_the_rejected_rows() {
        let import = json!({
            "rows_rejected": 1, "encoding": "windows-1252", "rejected": [{"line": 3, "column": "email", "reason": "not an address"}],
            "dropped_cells": 2, "dropped": [{"line": 4, "column": "Phone", "reason": "is not a phone number that exists"}],
        });
        let lines = [
            "  the file was read as windows-1252",
            "  line 3: email: not an address",
            "  2 cells were dropped, and the rows came in without:",
            "  line 4: Phone: is not a phone number that exists",
            "  and 1 more",
        ];
        assert_eq!(closing(&import), lines);
    }
}
