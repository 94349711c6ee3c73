//! What an import would make of a file: its columns and its first rows. Nothing is stored, and no file is written.

use actix_web::HttpResponse;
use actix_web::web::Payload;
use serde::Serialize;
use utoipa::ToSchema;

use super::destination::Destination;
use super::heads::{Head, Seen};
use super::receiving::refuse_file;
use crate::domain::export::Format;
use crate::domain::ids::{ContactId, ListId};
use crate::domain::import::looking::{ColumnFate, Look};
use crate::domain::import::presets::Preset;
use crate::domain::import::reading::Reading;
use crate::domain::import::{ImportError, Row};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Reason, Said};
use crate::domain::people::contact::{Attributes, BuiltIn, ContactDraft, Fields};
use crate::domain::people::standing::Standing;
use crate::domain::text_enum::text_enum;
use crate::http::state::AppState;
use crate::http::web::extract::next_chunk;
use crate::http::web::problem::ApiError;
use crate::services::By;
use crate::store::import::imports::{Rejection, Target, of_another};
use crate::store::import::reading::exported_as;
use crate::store::people::contacts::foreseen::{Foreseen, Onto, foresee};
use crate::store::{Conn, Lane};

/// How many rows are shown.
pub(in crate::http) const MOST_ROWS: usize = 20;

/// The longest cell of a rejected row that is shown, in characters.
const CELL_CHARS: usize = 200;

/// What a dry run cannot know.
const BEHIND: &str = "the rows behind these were not looked at: any of them may be rejected";
const LATER: &str = "contacts are those of this moment: what changes before the import changes what comes of a row";
const REFUSALS: &str = "a new contact whose address has refused or is suppressed already is not written to, though its row says that it agrees";
const NEW_LIST: &str = "a list that is yet to be made is not known by its name here: what a file that Volley has exported says of a list of that name \
                        counts in the import";
const TAGS_AND_MORE: &str = "a contact that is known keeps what its row does not mention";

text_enum! {
    /// What would come of a row.
    RowFate {
        /// A new contact.
        New = "new",
        /// A contact that is there is updated.
        Updates = "updates",
        /// An earlier row of the file makes the contact, and this row updates it.
        UpdatesEarlierRow = "updates_earlier_row",
        /// The row is rejected.
        Rejected = "rejected",
    }
}

/// What an import would make of a file. Nothing is stored.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct DryRun {
    /// Always true.
    pub(in crate::http) dry_run: bool,
    /// The list whose members the contacts would become.
    pub(in crate::http) list_id: Option<ListId>,
    /// The length of the file.
    pub(in crate::http) bytes: u64,
    /// The encoding of the file: `utf-8`, `windows-1252`.
    pub(in crate::http) encoding: String,
    /// How it is written: CSV, or a JSON object on each line.
    pub(in crate::http) format: Format,
    /// What stands between its cells: `,`, `;`, a tab or `|`. `null`: it has none.
    pub(in crate::http) delimiter: Option<String>,
    /// The tool whose export the file is taken for. None: its columns are read by their names.
    pub(in crate::http) preset: Option<Preset>,
    /// What its columns become, in their order.
    pub(in crate::http) columns: Vec<ColumnFate>,
    /// Its first rows: at most 20, and fewer where they are very long.
    pub(in crate::http) rows: Vec<DryRow>,
    /// Whether the file has no more rows than these.
    pub(in crate::http) is_whole: bool,
    /// Why the rows behind these cannot be read.
    pub(in crate::http) error: Option<String>,
    /// What a dry run cannot know, in sentences.
    pub(in crate::http) unknown: Vec<&'static str>,
    /// Why nothing of the file can be imported: for a page, which shows the columns all the same.
    #[serde(skip)]
    pub(in crate::http) refusal: Option<ImportError>,
    /// Whether the contacts would be on a list.
    #[serde(skip)]
    pub(in crate::http) is_on_list: bool,
}

/// What would come of a row.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct DryRow {
    /// The line on which it begins; the file's first line is 1.
    pub(in crate::http) line: u64,
    pub(in crate::http) result: RowFate,
    /// The contact that it updates, where that is there.
    pub(in crate::http) contact_id: Option<ContactId>,
    /// The line of the row that makes the contact, where an earlier one of this file does.
    pub(in crate::http) earlier_line: Option<u64>,
    /// The fields that it sets, by their names.
    #[schema(value_type = Object)]
    pub(in crate::http) fields: Attributes,
    /// The attributes that it sets.
    #[schema(value_type = Object)]
    pub(in crate::http) attributes: Attributes,
    /// The tags that it puts on.
    pub(in crate::http) tags: Vec<String>,
    /// How the contact would stand on the list.
    pub(in crate::http) standing: Option<Standing>,
    /// Since when the person has agreed or refused, as the row says.
    pub(in crate::http) status_at: Option<UtcInstant>,
    /// Where the consent comes from, as the row says.
    pub(in crate::http) source: Option<String>,
    /// Why addresses of the contact would not be written to any more, as the row says. Of a rejected row, too.
    pub(in crate::http) suppressed: Vec<Reason>,
    /// What would come of it, in words.
    pub(in crate::http) says: String,
    /// What is wrong with a rejected row.
    pub(in crate::http) rejected: Vec<Rejection>,
    /// Cells of a good row that nothing would be made of.
    pub(in crate::http) dropped: Vec<Rejection>,
    /// The cells of a rejected row as the file has them, each cut to 200 characters.
    pub(in crate::http) cells: Vec<String>,
}

/// Answers to a body that is a file.
pub(super) async fn of_body(
    state: &AppState,
    destination: &Destination,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let target = destination.target(state).await?;
    let (mut payload, mut head) = (payload.into_inner(), Head::begin(state));
    while let Some(chunk) = next_chunk(&mut payload).await? {
        head.take(&chunk)?;
    }
    let dry_run = run(state, destination, &target, head.finish()).await?;
    match dry_run.refusal {
        Some(refusal) => Err(refuse_file(refusal)),
        None => Ok(HttpResponse::Ok().json(dry_run)),
    }
}

/// Looks at a file that came with a form; `new_list` is the name of a list that would be made with it.
pub(in crate::http) async fn of_form(
    state: &AppState,
    seen: Seen,
    destination: &Destination,
    new_list: Option<&str>,
    by: &By,
) -> Result<DryRun, ApiError> {
    destination.check_rights(by)?;
    let target = destination.target_of_form(state, new_list, by).await?;
    run(state, destination, &target, seen).await
}

/// Looks at the beginning of a file, and foresees what would come of its first rows.
async fn run(state: &AppState, destination: &Destination, target: &Target, seen: Seen) -> Result<DryRun, ApiError> {
    let list_id = match target {
        Target::List(id) => Some(*id),
        Target::NoList | Target::NewList(_) => None,
    };
    let is_on_list = destination.is_new_list || !matches!(target, Target::NoList);
    let onto = is_on_list.then(|| Onto { list: list_id, grounds: destination.consent.grounds() });
    let Destination { preset, mapping, .. } = destination;
    let list = match list_id {
        Some(id) => {
            let named = move |conn: &mut Conn| exported_as(conn, id);
            Some(state.store.run(Lane::Read, "look a list up", named).await?)
        }
        None => None,
    };
    let format = destination.format.unwrap_or_default();
    let reading = Reading { format, on_list: onto.is_some(), list, preset: *preset, mapping: mapping.clone() };
    let bytes = seen.bytes;
    let (look, encoding) = seen.look(destination.encoding, MOST_ROWS, reading).await?;
    let Look { preset, is_own, delimiter, columns, rows, is_whole, stopped, refusal } = look.map_err(refuse_file)?;
    let good = |row: &Row| Some((row.result.as_ref().ok()?.clone(), row.said.clone()));
    let (drafts, said): (Vec<ContactDraft>, Vec<Said>) = rows.iter().filter_map(good).unzip();
    let work = move |conn: &mut Conn| conn.snapshot(|conn| foresee(conn, &drafts, &said, onto));
    let foreseen = state.store.run(Lane::Read, "look at the contacts of a file", work).await?;
    let foreseen = foreseen.ok_or_else(|| ApiError::not_found("list", list_id.unwrap_or(ListId(0)).0))?;
    let mut unknown = vec![LATER, TAGS_AND_MORE];
    unknown.extend((!is_whole).then_some(BEHIND));
    unknown.extend(onto.map(|_| REFUSALS));
    unknown.extend((is_own && is_on_list && list_id.is_none()).then_some(NEW_LIST));
    Ok(DryRun {
        dry_run: true,
        list_id,
        bytes,
        encoding: encoding.name(),
        format,
        delimiter: delimiter.map(|delimiter| delimiter.to_string()),
        preset,
        rows: told(rows, foreseen, &columns),
        columns,
        is_whole,
        error: stopped.map(|error| format!("{}: {error}", error.code())),
        unknown,
        refusal,
        is_on_list,
    })
}

/// The rows with what would come of them; `foreseen` has one for each good row.
fn told(rows: Vec<Row>, foreseen: Vec<Foreseen>, columns: &[ColumnFate]) -> Vec<DryRow> {
    let good: Vec<u64> = rows.iter().filter(|row| row.result.is_ok()).map(|row| row.line).collect();
    let headers = [BuiltIn::ExternalId, BuiltIn::Email, BuiltIn::Phone].map(|key| {
        let column = columns.iter().find(|column| column.field == key.as_str());
        column.map_or_else(|| key.as_str().to_owned(), |column| column.header.clone())
    });
    let mut foreseen = foreseen.into_iter();
    let tell = |row: Row| match row.result {
        Ok(_) => foreseen.next().map(|foreseen| DryRow::good(row, foreseen, &good, &headers)),
        Err(_) => Some(DryRow::rejected(row)),
    };
    rows.into_iter().filter_map(tell).collect()
}

impl DryRow {
    fn of(row: &Row, result: RowFate) -> Self {
        let said = &row.said;
        let mut suppressed: Vec<Reason> = Vec::new();
        for one in &said.suppressed {
            if !suppressed.contains(&one.reason) {
                suppressed.push(one.reason);
            }
        }
        Self {
            line: row.line,
            result,
            contact_id: None,
            earlier_line: None,
            fields: Attributes::new(),
            attributes: Attributes::new(),
            tags: Vec::new(),
            standing: None,
            status_at: said.at,
            source: said.source.clone(),
            suppressed,
            says: String::new(),
            rejected: Vec::new(),
            dropped: row.dropped.iter().map(|error| Rejection::of(row.line, error.clone())).collect(),
            cells: Vec::new(),
        }
    }

    fn good(row: Row, foreseen: Foreseen, good: &[u64], headers: &[String; 3]) -> Self {
        let earlier_line = foreseen.earlier.and_then(|place| good.get(place).copied());
        let result = match (foreseen.contact, earlier_line) {
            (Some(_), _) => RowFate::Updates,
            (None, Some(_)) => RowFate::UpdatesEarlierRow,
            (None, None) => RowFate::New,
        };
        let mut told =
            Self { contact_id: foreseen.contact, earlier_line, standing: foreseen.standing, ..Self::of(&row, result) };
        told.says = says(&told, foreseen.stays_refused);
        let wrong = foreseen.ignored.iter().map(|key| of_another(key, headers, good));
        told.dropped.extend(wrong.map(|error| Rejection::of(row.line, error)));
        let draft = row.result.unwrap_or_default();
        told.fields = fields_of(&draft.fields);
        told.attributes = draft.attributes;
        told.tags = row.said.tags;
        told
    }

    fn rejected(row: Row) -> Self {
        let mut told = Self::of(&row, RowFate::Rejected);
        told.says = if row.refused.is_empty() {
            "rejected".to_owned()
        } else {
            "rejected; that the person refuses counts all the same".to_owned()
        };
        told.cells = row.cells.iter().map(|cell| cell.chars().take(CELL_CHARS).collect()).collect();
        let line = row.line;
        told.rejected = row.result.err().unwrap_or_default().into_iter().map(|e| Rejection::of(line, e)).collect();
        told
    }
}

fn fields_of(fields: &Fields) -> Attributes {
    let set = |field: &BuiltIn| Some((field.as_str().to_owned(), fields.get(*field)?.into()));
    BuiltIn::ALL.iter().filter_map(set).collect()
}

/// What would come of a good row, in words.
fn says(row: &DryRow, stays_refused: bool) -> String {
    let who = match (row.contact_id, row.earlier_line) {
        (Some(id), _) => format!("updates contact {id}"),
        (None, Some(line)) => format!("updates the contact of line {line}"),
        (None, None) => "a new contact".to_owned(),
    };
    let standing = match row.standing {
        Some(Standing::Unsubscribed) if stays_refused => ", who stays unsubscribed from the list".to_owned(),
        Some(Standing::Unsubscribed) => ", unsubscribed from the list".to_owned(),
        Some(standing @ (Standing::Subscribed | Standing::Unconfirmed)) => format!(", {standing} on the list"),
        Some(Standing::Moved) | None => String::new(),
    };
    let reasons: Vec<&str> = row.suppressed.iter().map(|reason| reason.as_str()).collect();
    let suppressed =
        if reasons.is_empty() { String::new() } else { format!(", not written to: {}", reasons.join(", ")) };
    format!("{who}{standing}{suppressed}")
}
