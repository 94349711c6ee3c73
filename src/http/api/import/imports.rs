//! `/v1/contacts/import` and `/v1/imports`: contacts from files.

use std::sync::Arc;

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::destination::Destination;
use super::dry_runs::{self, DryRun};
use super::receiving::{Arrived, blocking, format_of, receive, refuse_file};
use crate::actors::import::importer::files::Upload;
use crate::domain::export::Format;
use crate::domain::ids::{ImportId, ListId};
use crate::domain::import::ImportReader;
use crate::domain::import::looking::ColumnFate;
use crate::domain::import::presets::Preset;
use crate::domain::import::reading::{Mapped, PresetChoice, Reading};
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query};
use crate::http::web::idempotency::{IdempotencyKey, respond, reused};
use crate::http::web::paging::{ListParams, Listing, PARAMETERS, Paging};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::services::import::start_import::{Begun, NewImport, StartError, start_import};
use crate::store::engine::idempotency::Answer;
use crate::store::import::imports::{self, ImportRow, Target};
pub(in crate::http) use crate::store::import::imports::{ImportStatus, KEPT_REJECTIONS, Rejection};
use crate::store::import::rejections;
use crate::store::{Conn, Lane, StoreError, engine};

/// What is said of a file that has a header and nothing below it.
const NO_ROWS: &str = "the file has a header and no row below it: no contact was imported";

/// What is said of a file of which nothing was taken.
const NOBODY: &str = "every row was rejected: no contact was imported";

/// An import.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Import {
    pub(in crate::http) id: ImportId,
    pub(in crate::http) status: ImportStatus,
    /// The list whose members the contacts become.
    pub(in crate::http) list_id: Option<ListId>,
    /// The encoding that the file came in: `utf-8`, `windows-1252`. `null`: an earlier version took the file.
    pub(in crate::http) encoding: Option<String>,
    /// How the file is written: CSV, or a JSON object on each line.
    pub(in crate::http) format: Format,
    /// The length of the file in UTF-8. `null`: an earlier version took the file.
    pub(in crate::http) bytes: Option<i64>,
    /// How much of it is dealt with, in bytes.
    pub(in crate::http) bytes_read: i64,
    /// Rows dealt with: created, updated and rejected.
    pub(in crate::http) rows_read: i64,
    /// Rows that made a new contact.
    pub(in crate::http) rows_created: i64,
    /// Rows of contacts that existed, or that an earlier row of the file has created: the later row wins.
    pub(in crate::http) rows_updated: i64,
    /// Rows that were refused.
    pub(in crate::http) rows_rejected: i64,
    /// Contacts that had refused the list and are subscribed again: with `resubscribe` only.
    pub(in crate::http) resubscribed: i64,
    /// Rows of contacts that have refused the list and stay unsubscribed.
    pub(in crate::http) stay_refused: i64,
    /// Rows that say that an address is not written to any more, such as one that another tool has blocked: it is suppressed.
    pub(in crate::http) rows_suppressed: i64,
    /// The tool whose export the file was taken for. None: its columns were read by their names.
    pub(in crate::http) preset: Option<Preset>,
    /// What the first 200 columns of the file became. `null` in a list, and where an earlier version took the file.
    pub(in crate::http) columns: Option<Vec<ColumnFate>>,
    /// The first hundred rejected rows. `GET /v1/imports/{id}/rejected.csv` has all of them.
    pub(in crate::http) rejected: Vec<Rejection>,
    /// Cells that nothing was made of, though their rows came in: keys of other contacts (`key_taken`), keys that cannot be read beside a
    /// stronger one, and what stands below no column's name (`column_without_name`).
    pub(in crate::http) dropped_cells: i64,
    /// The first hundred dropped cells.
    pub(in crate::http) dropped: Vec<Rejection>,
    /// Until when all rejected rows can be had; absent while the import is running, and where none was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) rejected_until: Option<UtcInstant>,
    /// Why it failed.
    pub(in crate::http) error: Option<String>,
    /// Why it may not be what was meant, though it completed.
    pub(in crate::http) warning: Option<&'static str>,
    pub(in crate::http) created_at: UtcInstant,
    pub(in crate::http) updated_at: UtcInstant,
}

impl TryFrom<ImportRow> for Import {
    type Error = StoreError;

    fn try_from(row: ImportRow) -> Result<Self, StoreError> {
        let (warning, rejected_until) = (warning(&row), rejected_until(&row));
        Ok(Self {
            rejected: row.rejected()?,
            dropped: row.dropped()?,
            columns: row.columns()?,
            id: row.id,
            status: row.status,
            list_id: row.list_id,
            encoding: row.encoding,
            format: row.format,
            // Blank lines at the end of a file are no rows.
            bytes_read: row.bytes.filter(|_| row.status == ImportStatus::Completed).unwrap_or(row.byte_offset),
            bytes: row.bytes,
            rows_read: row.rows_read,
            rows_created: row.rows_created,
            rows_updated: row.rows_updated,
            rows_rejected: row.rows_rejected,
            resubscribed: row.resubscribed,
            stay_refused: row.stay_refused,
            dropped_cells: row.dropped_cells,
            rows_suppressed: row.rows_suppressed,
            preset: row.preset,
            error: row.error,
            warning,
            rejected_until,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Why an import that completed may not be what was meant.
fn warning(row: &ImportRow) -> Option<&'static str> {
    match (row.status, row.rows_read, row.rows_rejected) {
        (ImportStatus::Completed, 0, _) => Some(NO_ROWS),
        (ImportStatus::Completed, read, rejected) if read == rejected => Some(NOBODY),
        (ImportStatus::Pending | ImportStatus::Running | ImportStatus::Completed | ImportStatus::Failed, ..) => None,
    }
}

fn rejected_until(row: &ImportRow) -> Option<UtcInstant> {
    let has_ended = matches!(row.status, ImportStatus::Completed | ImportStatus::Failed);
    (has_ended && row.rows_rejected > 0).then(|| row.updated_at.plus_ms(rejections::KEPT_MS))
}

/// Takes back until when rejected rows can be had where they are not there: they were removed, or an earlier version imported the file.
fn check_until(conn: &mut Conn, imports: &mut [Import]) -> Result<(), StoreError> {
    let said: Vec<ImportId> = imports.iter().filter(|one| one.rejected_until.is_some()).map(|one| one.id).collect();
    if said.is_empty() {
        return Ok(());
    }
    let (now, kept) = (engine::now(conn)?, rejections::kept_of(conn, &said)?);
    for import in imports {
        import.rejected_until = import.rejected_until.filter(|until| *until > now && kept.contains(&import.id));
    }
    Ok(())
}

#[derive(Debug)]
pub(in crate::http) struct ImportFilter(Paging);

impl FromQuery for ImportFilter {
    const NAMES: &'static [&'static str] = &PARAMETERS;

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Paging::read(params, "imports", &[]).map(Self)
    }
}

/// Uploads a file with contacts: CSV, or JSON lines (`application/x-ndjson`), an object for each contact, whose members are what columns are in
/// CSV; `format` (`csv`, `jsonl`) goes before the type of the body. The answer comes when the file is safely stored; its rows follow. With a `list`, the columns `status`
/// (`subscribed`, `unconfirmed`, `unsubscribed`), `status_at` and `source` say how each contact stands on it. Contacts that have
/// refused the list stay unsubscribed, unless `resubscribe=true` is given with a `reason`, which needs a key of scope
/// `operate`. `confirmed=true` says that the people have confirmed their consent. The column `tags` puts tags on contacts. The encoding of
/// the file is recognised; `encoding` settles it. An export of
/// another tool is recognised; `preset` names the tool (`listmonk`, `mailchimp`, `brevo`, `hubspot`, `google`, `outlook`, or `none`).
/// `map=HEADER:FIELD`, which may be repeated, says what a column is: `email`, `phone`, `external_id`, `first_name`, `last_name`,
/// `timezone`, `locale`, `name`, `status`, `opt_in`, `opt_out`, `status_at`, `source`, `tags`, `attributes.NAME`, `attributes` (a JSON object), or `-`.
///
/// `dry_run=true` stores nothing. The answer says what each column would become, and what would come of the first 20 rows. With
/// `new_list=true` it does so for a list that is yet to be made.
#[utoipa::path(post, path = "/v1/contacts/import", tag = "contacts",
    params(("list" = Option<String>, Query), ("confirmed" = Option<bool>, Query),
        ("resubscribe" = Option<bool>, Query), ("reason" = Option<String>, Query), ("encoding" = Option<String>, Query),
        ("preset" = Option<String>, Query), ("map" = Option<Vec<String>>, Query), ("dry_run" = Option<bool>, Query),
        ("new_list" = Option<bool>, Query), ("format" = inline(Option<Format>), Query)),
    request_body(content((String = "text/csv"), (String = "application/x-ndjson"))),
    responses((status = 202, body = Import), (status = 200, body = DryRun), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(in crate::http) async fn upload(
    state: web::Data<AppState>,
    request: HttpRequest,
    Query(destination): Query<Destination>,
    key: IdempotencyKey,
    by: By,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    destination.check_rights(&by)?;
    let of_body = format_of(&request, &state)?;
    let destination = Destination { format: destination.format.or(Some(of_body)), ..destination };
    if destination.is_dry_run {
        return dry_runs::of_body(&state, &destination, payload).await;
    }
    let target = destination.target(&state).await?;
    let arrived = receive(&state, payload).await?;
    let order = Order { arrived, target, destination, key, scope: "contacts.import", answer: answer_to };
    order.carry_out(&state, &by).await
}

/// An import that a door asks for.
struct Order {
    arrived: Arrived,
    target: Target,
    destination: Destination,
    key: IdempotencyKey,
    /// What the key is for.
    scope: &'static str,
    answer: fn(ImportRow) -> Result<Answer, StoreError>,
}

impl Order {
    /// Stores the import and leaves the file to the importer.
    async fn carry_out(self, state: &AppState, by: &By) -> Result<HttpResponse, ApiError> {
        let Self { arrived, target, destination, key, scope, answer } = self;
        let Destination { consent, encoding: given, preset, mapping, format, .. } = destination;
        let format = format.unwrap_or_default();
        let hash = arrived.hash.clone();
        let (upload, encoding) = arrived.in_utf8(state, given).await?;
        // Of the header, the name of the list decides nothing.
        let reading = Reading { format, on_list: !matches!(target, Target::NoList), list: None, preset, mapping };
        let Opened { preset: read_as, bytes, columns: fates } =
            check_header_line(Arc::clone(&upload), reading.clone()).await?;
        let place = match &target {
            Target::NoList => "none".to_owned(),
            Target::List(id) => format!("list {id}"),
            Target::NewList(new) => format!("new {:?}", new.name),
        };
        let columns = match (reading.preset, reading.mapping.as_slice()) {
            (PresetChoice::Recognised, []) => String::new(),
            (preset, mapping) => format!(" {preset:?} {}", Mapped::stored(mapping)),
        };
        let given = given.map(|given| format!(" {}", given.name())).unwrap_or_default();
        let lines = if format == Format::Jsonl { " jsonl" } else { "" };
        let key = key.scoped(scope, &format!("{place} {consent:?}{columns} {hash}{given}{lines}"));
        let new = NewImport {
            file: upload.name(),
            encoding: encoding.name(),
            bytes,
            format,
            target,
            consent,
            preset: read_as,
            mapping: reading.mapping,
            columns: fates,
        };
        let let_go = || {
            if let Some(upload) = Arc::into_inner(upload) {
                upload.keep();
            }
        };
        match start_import(&state.services, new, key, answer, let_go, by).await? {
            Begun::Now(answer) | Begun::Before(answer) => Ok(respond(answer)),
        }
    }
}

/// Imports a file that came with a form, under the key of that form; `new_list` is the name of a list that is made with it. The answer leads
/// to the page of the import.
pub(in crate::http) async fn of_form(
    state: &AppState,
    arrived: Arrived,
    destination: Destination,
    new_list: Option<&str>,
    key: IdempotencyKey,
    by: &By,
) -> Result<HttpResponse, ApiError> {
    destination.check_rights(by)?;
    let target = destination.target_of_form(state, new_list, by).await?;
    let answer = |row: ImportRow| {
        let location = Some(format!("/ui/imports/{}", row.id));
        Ok(Answer { status: 303, body: String::new(), location })
    };
    let order = Order { arrived, target, destination, key, scope: "imports.form", answer };
    order.carry_out(state, by).await
}

fn answer_to(row: ImportRow) -> Result<Answer, StoreError> {
    let import = Import::try_from(row)?;
    let location = Some(format!("/v1/imports/{}", import.id));
    Ok(Answer { status: 202, body: serde_json::json!(import).to_string(), location })
}

impl From<StartError> for ApiError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::KeyReused => reused(),
            StartError::NoList(id) => Self::not_found("list", id.0),
            StartError::Store(error) => error.into(),
        }
    }
}

/// What the beginning of a file says.
struct Opened {
    /// The tool whose export it is.
    preset: Option<Preset>,
    /// Its length.
    bytes: u64,
    columns: Vec<ColumnFate>,
}

/// A file whose header says that nothing of it can be imported is refused at once.
async fn check_header_line(upload: Arc<Upload>, reading: Reading) -> Result<Opened, ApiError> {
    let open = move || {
        let file = upload.reader()?;
        let bytes = file.metadata()?.len();
        let opened = |reader: ImportReader<_>| Opened { preset: reader.preset(), bytes, columns: reader.columns() };
        Ok(ImportReader::open(file, None, &reading).map(opened))
    };
    blocking(open).await?.map_err(refuse_file)
}

/// Shows an import.
#[utoipa::path(get, path = "/v1/imports/{id}", tag = "contacts", params(("id" = i64, Path)),
    responses((status = 200, body = Import), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    Id(id): Id<ImportId>,
    _: Query<()>,
) -> Result<web::Json<Import>, ApiError> {
    one(&state, id).await.map(web::Json)
}

/// An import.
pub(in crate::http) async fn one(state: &AppState, id: ImportId) -> Result<Import, ApiError> {
    let read = move |conn: &mut Conn| {
        let Some(row) = imports::find(conn, id)? else { return Ok(None) };
        let mut import = Import::try_from(row)?;
        check_until(conn, std::slice::from_mut(&mut import))?;
        Ok(Some(import))
    };
    let import = state.store.run(Lane::Read, "read an import", read).await?;
    import.ok_or(ApiError::not_found("import", id.0))
}

/// Lists imports, newest first.
#[utoipa::path(get, path = "/v1/imports", tag = "contacts", params(ListParams),
    responses((status = 200, body = Listing<Import>), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(filter): Query<ImportFilter>,
) -> Result<web::Json<Listing<Import>>, ApiError> {
    listed(&state, filter).await.map(web::Json)
}

/// A part of the imports.
pub(in crate::http) async fn listed(state: &AppState, filter: ImportFilter) -> Result<Listing<Import>, ApiError> {
    let ImportFilter(paging) = filter;
    let window = paging.window();
    let list = move |conn: &mut Conn| {
        let mut slice = imports::list(conn, window)?.try_map(Import::try_from)?;
        check_until(conn, &mut slice.rows)?;
        // A file may have many.
        slice.rows.iter_mut().for_each(|import| import.columns = None);
        Ok(slice)
    };
    let slice = state.store.run(Lane::Read, "list imports", list).await?;
    Ok(paging.answer(slice, |import| import.id.0))
}
