//! What an import would make of a file, as a part of `/ui/imports`: its columns, each to be corrected, and its first rows.

use askama::Template;
use serde_json::Value;

use super::errors::Trouble;
use super::words::{counted, grouped};
use crate::domain::import::ImportError;
use crate::domain::import::looking::{ColumnFate, DecidedBy};
use crate::domain::import::presets::Preset;
use crate::domain::people::contact::attribute_name;
use crate::http::api::import::dry_runs::{DryRow, DryRun, RowFate};
use crate::http::api::import::imports::Rejection;
use crate::http::api::import::receiving::refuse_file;
use crate::http::web::problem::ApiError;

/// How many columns are shown.
const COLUMNS: usize = 200;

/// How many columns the table of rows has.
const CELLS: usize = 12;

/// The longest cell that is shown, in characters.
const CELL_CHARS: usize = 80;

/// The longest name of a column that a mapping of the form can have, in characters: the dry run cuts longer ones.
const NAME_CHARS: usize = 199;

/// What a column can be, with a list or without one.
const FIELDS: [&str; 14] = [
    "email",
    "phone",
    "external_id",
    "first_name",
    "last_name",
    "name",
    "timezone",
    "locale",
    "status",
    "opt_in",
    "opt_out",
    "status_at",
    "tags",
    "attributes",
];

/// A field that can be chosen for a column.
struct Choice {
    /// As a mapping has it: `Kunde:external_id`.
    value: String,
    label: String,
    is_chosen: bool,
}

/// A column as a line.
struct ColumnView {
    /// Its place, from 1.
    place: usize,
    header: String,
    samples: String,
    /// What it becomes, in words.
    becomes: String,
    /// What has decided that.
    by: String,
    note: String,
    /// None: it has no name that a mapping could name.
    choices: Vec<Choice>,
    /// Whether it has to be said what it is before anything is imported.
    is_unclear: bool,
}

/// A row as a line.
struct RowView {
    line: u64,
    says: String,
    is_rejected: bool,
    wrong: Vec<Rejection>,
    dropped: Vec<Rejection>,
    /// What its contact gets, or, where it is rejected, what the file has; in the order of the heads.
    cells: Vec<String>,
}

/// What is shown below the form.
#[derive(Default, Template)]
#[template(path = "ui/import_look.html")]
pub(super) struct LookView {
    /// Why there is nothing to show, or why nothing could be imported.
    trouble: Option<Trouble>,
    sentence: String,
    columns: Vec<ColumnView>,
    /// How many columns are not shown; empty: none.
    more_columns: String,
    /// The columns of the rows: the header and what it becomes.
    heads: Vec<(String, String)>,
    rows: Vec<RowView>,
    /// Why the rows behind these cannot be read.
    error: Option<String>,
    unknown: Vec<&'static str>,
}

/// A field of a mapping in words.
fn words(field: &str) -> String {
    match field {
        "-" => "passed over".to_owned(),
        "name" => "first and last name".to_owned(),
        "attributes" => "attributes (JSON)".to_owned(),
        "status_at" => "status since".to_owned(),
        "opt_in" => "agrees: yes or no".to_owned(),
        "opt_out" => "has refused: yes or no".to_owned(),
        _ => match field.strip_prefix("attributes.") {
            Some(name) => format!("attribute {name}"),
            None => field.replace('_', " "),
        },
    }
}

fn choices(column: &ColumnFate, mapped: &[String], on_list: bool) -> Vec<Choice> {
    let header = column.header.as_str();
    let is_named = !header.is_empty() && header.chars().count() <= NAME_CHARS && !header.chars().any(char::is_control);
    if !is_named {
        return Vec::new();
    }
    let own = attribute_name(header).ok().map(|name| format!("attributes.{name}"));
    let fields = FIELDS.into_iter().chain(on_list.then_some("source")).map(ToOwned::to_owned).chain(own);
    let choice = |field: String| {
        let value = format!("{header}:{field}");
        Choice { label: words(&field), is_chosen: mapped.contains(&value), value }
    };
    fields.chain(["-".to_owned()]).map(choice).collect()
}

impl ColumnView {
    fn of(place: usize, column: &ColumnFate, preset: Option<Preset>, mapped: &[String], on_list: bool) -> Self {
        let by = match (column.decided_by, preset) {
            (DecidedBy::Mapping, _) => "as you have said".to_owned(),
            (DecidedBy::Preset, Some(preset)) => format!("as in exports of {preset}"),
            (DecidedBy::Name | DecidedBy::Preset, _) => "by its name".to_owned(),
            (DecidedBy::Nothing, _) if column.field == "-" => "passed over".to_owned(),
            (DecidedBy::Nothing, _) => "kept: no field has this name".to_owned(),
        };
        Self {
            place,
            header: column.header.clone(),
            samples: column.samples.join(" · "),
            becomes: words(&column.field),
            by,
            note: column.note.clone().unwrap_or_default(),
            is_unclear: false,
            choices: choices(column, mapped, on_list),
        }
    }

    /// Whether none of the fields is chosen.
    fn is_as_found(&self) -> bool {
        !self.choices.iter().any(|choice| choice.is_chosen)
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= CELL_CHARS {
        return text.to_owned();
    }
    text.chars().take(CELL_CHARS).chain(['…']).collect()
}

fn as_text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => other.to_string(),
    }
}

/// What a good row has for this field of a mapping.
fn value_of(row: &DryRow, field: &str) -> String {
    let set = |name: &str| as_text(row.fields.get(name));
    match field {
        "name" => [set("first_name"), set("last_name")].join(" ").trim().to_owned(),
        "tags" => row.tags.join(", "),
        "status" | "opt_in" | "opt_out" => {
            let standing = row.standing.map(|standing| standing.as_str());
            standing
                .into_iter()
                .chain(row.suppressed.iter().map(|reason| reason.as_str()))
                .collect::<Vec<_>>()
                .join(", ")
        }
        "status_at" => row.status_at.map(|at| at.to_string()).unwrap_or_default(),
        "source" => row.source.clone().unwrap_or_default(),
        "attributes" => row.attributes.keys().cloned().collect::<Vec<_>>().join(", "),
        _ => match field.strip_prefix("attributes.") {
            Some(name) => as_text(row.attributes.get(name)),
            None => set(field),
        },
    }
}

impl RowView {
    /// `columns`: the places of the columns that are shown, and what they become.
    fn of(row: DryRow, columns: &[(usize, String)]) -> Self {
        let is_rejected = row.result == RowFate::Rejected;
        let cell = |(place, field): &(usize, String)| {
            cut(&if is_rejected { row.cells.get(*place).cloned().unwrap_or_default() } else { value_of(&row, field) })
        };
        Self {
            line: row.line,
            is_rejected,
            cells: columns.iter().map(cell).collect(),
            says: row.says,
            wrong: row.rejected,
            dropped: row.dropped,
        }
    }
}

impl LookView {
    /// The same with what is wrong.
    pub(super) fn with(self, trouble: Option<Trouble>) -> Self {
        Self { trouble, ..self }
    }

    /// A dry run, and why nothing could be imported by it. `mapped`: the mappings that were chosen.
    pub(super) fn of(dry_run: DryRun, mapped: &[String]) -> (Self, Option<ApiError>) {
        let sentence = sentence(&dry_run);
        let DryRun { columns, rows, error, unknown, refusal, preset, is_on_list, .. } = dry_run;
        let shown = columns.iter().take(COLUMNS).enumerate();
        let unclear = if let Some(ImportError::ColumnUnclear { header }) = &refusal { Some(header) } else { None };
        let views = shown.map(|(place, column)| {
            let view = ColumnView::of(place + 1, column, preset, mapped, is_on_list);
            let is_unclear = unclear == Some(&column.header);
            if is_unclear {
                ColumnView { by: "not clear: choose what it is".to_owned(), is_unclear, ..view }
            } else {
                view
            }
        });
        let taken = columns.iter().enumerate().filter(|(_, column)| column.field != "-").take(CELLS);
        let fields: Vec<(usize, String)> = taken.map(|(place, column)| (place, column.field.clone())).collect();
        let head = |(place, field): &(usize, String)| {
            (columns.get(*place).map(|column| cut(&column.header)).unwrap_or_default(), words(field))
        };
        let more = columns.len().saturating_sub(COLUMNS);
        let view = Self {
            trouble: None,
            sentence,
            columns: views.collect(),
            more_columns: if more == 0 { String::new() } else { more.to_string() },
            heads: fields.iter().map(head).collect(),
            rows: rows.into_iter().map(|row| RowView::of(row, &fields)).collect(),
            error,
            unknown,
        };
        (view, refusal.map(refuse_file))
    }
}

/// What the file was taken for, in a sentence.
fn sentence(dry_run: &DryRun) -> String {
    let columns = i64::try_from(dry_run.columns.len()).unwrap_or(i64::MAX);
    let columns = counted(columns, "column", "columns");
    let parts = match dry_run.delimiter.as_deref() {
        None => format!("a JSON object on each line, with {columns}"),
        Some(",") => format!("{columns} between commas"),
        Some(";") => format!("{columns} between semicolons"),
        Some("\t") => format!("{columns} between tabs"),
        Some(_) => format!("{columns} between vertical bars"),
    };
    let rows = i64::try_from(dry_run.rows.len()).unwrap_or(i64::MAX);
    let shown = match (rows, dry_run.is_whole) {
        _ if dry_run.refusal.is_some() => String::new(),
        (0, true) => " There is no row below its header.".to_owned(),
        (0, false) => " Its first row is too long to be shown here.".to_owned(),
        (_, true) => format!(" These are all of its {}.", counted(rows, "row", "rows")),
        (_, false) => format!(" These are its first {}.", counted(rows, "row", "rows")),
    };
    let preset = dry_run.preset.map(|preset| format!(", an export of {preset}")).unwrap_or_default();
    let bytes = grouped(i64::try_from(dry_run.bytes).unwrap_or(i64::MAX));
    format!("The file has {parts}, and is read as {}{preset}; it has {bytes} bytes.{shown}", dry_run.encoding)
}
