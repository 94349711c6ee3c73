//! `volley import --dry-run`: what an import would make of a file, in lines of at most 100 characters.

use serde_json::Value;

use super::client;
use super::output::{grouped, table};

/// How wide the columns of the tables are at most, in characters.
const HEADER: usize = 22;
const FIELD: usize = 28;
const SAMPLES: usize = 34;
const RESULT: usize = 30;
const ROW: usize = 59;

/// The longest line, in characters.
const LINE: usize = 100;

/// A dry run of `file`. `missing_list`: the list that a real import would make.
pub(crate) fn told(dry_run: &Value, file: &str, missing_list: Option<&str>) -> String {
    let parts = match client::text(dry_run, "/delimiter") {
        "\t" => "cells between tabs",
        "," => "cells between commas",
        ";" => "cells between semicolons",
        "" => "a JSON object on each line",
        _ => "cells between vertical bars",
    };
    let bytes = grouped(dry_run.get("bytes").and_then(Value::as_i64).unwrap_or_default());
    let encoding = client::text(dry_run, "/encoding");
    let mut parts = wrapped(&format!("{file}: {bytes} bytes, {encoding}, {parts}. Nothing was stored."), LINE);
    let preset = Some(client::text(dry_run, "/preset")).filter(|preset| !preset.is_empty());
    parts.extend(preset.map(|preset| format!("Read as an export of {preset} (--preset none turns that off).")));
    if let Some(name) = missing_list {
        parts.extend(wrapped(&format!("There is no list called {name:?} yet: the import would make it."), LINE));
    }
    parts.push(String::new());
    parts.extend(columns(all(dry_run, "columns")));
    parts.push(String::new());
    let rows = all(dry_run, "rows");
    let is_whole = dry_run.get("is_whole").and_then(Value::as_bool) == Some(true);
    parts.push(match (rows.len(), is_whole) {
        (0, true) => "The file has a header and no row below it.".to_owned(),
        (0, false) => "No row could be looked at: the first one is too long for a dry run.".to_owned(),
        (count, true) => format!("All rows of the file: {count}."),
        (1, false) => "The first row.".to_owned(),
        (count, false) => format!("The first {count} rows."),
    });
    if !rows.is_empty() {
        parts
            .push(table(&["LINE", "WHAT COMES OF IT", "WHAT IT SAYS"], &rows.iter().flat_map(row).collect::<Vec<_>>()));
    }
    let stopped = Some(client::text(dry_run, "/error")).filter(|error| !error.is_empty());
    parts.extend(
        stopped.into_iter().flat_map(|error| wrapped(&format!("The rows behind these cannot be read: {error}."), LINE)),
    );
    let unknown: Vec<&str> = all(dry_run, "unknown").iter().filter_map(Value::as_str).collect();
    if !unknown.is_empty() {
        parts.push("\nWhat a dry run cannot know:".to_owned());
        for one in unknown {
            parts.extend(
                wrapped(one, LINE - 4)
                    .iter()
                    .enumerate()
                    .map(|(place, line)| if place == 0 { format!("  - {line}") } else { format!("    {line}") }),
            );
        }
    }
    parts.join("\n")
}

fn all<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn columns(columns: &[Value]) -> Vec<String> {
    let samples =
        |column: &Value| all(column, "samples").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    let named = |column: &Value| match client::text(column, "/header") {
        "" => "(no name)".to_owned(),
        header => cut(header, HEADER),
    };
    let cells = |column: &Value| {
        let becomes = match client::text(column, "/field") {
            "-" => "- (passed over)".to_owned(),
            field => cut(field, FIELD),
        };
        let by = match client::text(column, "/decided_by") {
            "nothing" => "-".to_owned(),
            other => other.to_owned(),
        };
        vec![named(column), becomes, by, cut(&samples(column), SAMPLES)]
    };
    let rows: Vec<Vec<String>> = columns.iter().map(cells).collect();
    let mut lines = vec![table(&["COLUMN", "BECOMES", "DECIDED BY", "FIRST VALUES"], &rows)];
    for column in columns {
        let note = client::text(column, "/note");
        if !note.is_empty() {
            lines.extend(wrapped(&format!("  {}: {note}", named(column)), LINE));
        }
    }
    lines
}

/// A row as lines of the table.
fn row(row: &Value) -> Vec<Vec<String>> {
    let mut says: Vec<String> = Vec::new();
    for (name, before) in [("fields", ""), ("attributes", "attributes.")] {
        let set = row.get(name).and_then(Value::as_object);
        says.extend(set.into_iter().flatten().map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            format!("{before}{name}={}", cut(&value, ROW))
        }));
    }
    let tags: Vec<&str> = all(row, "tags").iter().filter_map(Value::as_str).collect();
    says.extend((!tags.is_empty()).then(|| format!("tags={}", tags.join(","))));
    let mut right = wrapped(&says.join("  "), ROW);
    for (name, what) in [("rejected", ""), ("dropped", "left out: ")] {
        for wrong in all(row, name) {
            let (column, reason) = (client::text(wrong, "/column"), client::text(wrong, "/reason"));
            right.extend(wrapped(&format!("{what}{column}: {reason}"), ROW));
        }
    }
    let left = wrapped(client::text(row, "/says"), RESULT);
    let line = row.get("line").and_then(Value::as_i64).map(|line| line.to_string()).unwrap_or_default();
    let at = |lines: &[String], place: usize| lines.get(place).cloned().unwrap_or_default();
    (0..left.len().max(right.len()).max(1))
        .map(|place| vec![if place == 0 { line.clone() } else { String::new() }, at(&left, place), at(&right, place)])
        .collect()
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A text in lines of at most so many characters, broken between words; a longer word is cut.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let word = cut(word, most);
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(&word);
            }
            Some(_) | None => lines.push(word),
        }
    }
    lines.retain(|line| !line.trim().is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dry_run_is_told_in_lines_of_a_hundred_characters() {
        let long = "x".repeat(300);
        let dry_run = json!({
            "bytes": 12345, "encoding": "windows-1252", "delimiter": ";", "preset": null, "is_whole": false, "error": null,
            "columns": [
                {"header": "E-Mail", "field": "email", "decided_by": "name", "note": null, "samples": ["ann@example.com"]},
                {"header": long, "field": format!("attributes.{}", "y".repeat(64)), "decided_by": "nothing", "note": null, "samples": [long, long]},
                {"header": "", "field": "-", "decided_by": "nothing", "note": "has no name in the first line", "samples": []},
            ],
            "rows": [
                {"line": 2, "says": "a new contact, subscribed on the list", "fields": {"email": "ann@example.com"},
                 "attributes": {"city": long, "n": 7}, "tags": ["vip", "early"], "rejected": [], "dropped": []},
                {"line": 3, "says": "rejected", "fields": {}, "attributes": {}, "tags": [],
                 "rejected": [{"column": "E-Mail", "reason": format!("is not an address: {}", "word ".repeat(40))}], "dropped": []},
            ],
            "unknown": ["a sentence ".repeat(20)],
        });
        let text = told(&dry_run, "people.csv", Some("News"));
        for part in [
            "people.csv: 12,345 bytes, windows-1252, cells between semicolons. Nothing was stored.",
            "There is no list called \"News\" yet: the import would make it.",
            "The first 2 rows.",
            "   2  a new contact, subscribed on  email=ann@example.com",
            "attributes.n=7  tags=vip,early",
            "E-Mail: is not an address: word",
            "(no name): has no name in the first line",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= 100, "{longest}: {text}");
    }
}
