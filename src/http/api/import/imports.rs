//! `/v1/contacts/import` and `/v1/imports`: contacts from CSV files.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::actors::import::importer::files::{ImportFolder, Upload};
use crate::domain::access::Scope;
use crate::domain::ids::{ImportId, ListId};
use crate::domain::import::{ImportError, ImportReader};
use crate::domain::instant::UtcInstant;
use crate::http::access::require_for;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query, bad_parameter, next_chunk, refuse_content_encoding};
use crate::http::web::idempotency::{IdempotencyKey, respond, reused};
use crate::http::web::list_path;
use crate::http::web::paging::{ListParams, Listing, PARAMETERS, Paging};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::services::import::start_import::{Begun, NewImport, StartError, start_import};
use crate::store::engine::idempotency::Answer;
use crate::store::import::imports::{self, ImportConsent, ImportRow, ImportStatus, Rejection};
use crate::store::people::lists::ListKey;
use crate::store::{Lane, StoreError};

/// What is said of a file that has a header and nothing below it.
const NO_ROWS: &str = "the file has a header and no row below it: no contact was imported";

/// An import.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Import {
    id: ImportId,
    status: ImportStatus,
    /// The list whose members the contacts become.
    list_id: Option<ListId>,
    /// Rows dealt with: created, updated and rejected.
    rows_read: i64,
    /// Rows that made a new contact.
    rows_created: i64,
    /// Rows of contacts that existed, or that an earlier row of the file has created: the later row wins.
    rows_updated: i64,
    /// Rows that were refused.
    rows_rejected: i64,
    /// Contacts that had refused the list and are subscribed again: with `resubscribe` only.
    resubscribed: i64,
    /// Rows of contacts that have refused the list and stay unsubscribed.
    stay_refused: i64,
    /// The first hundred rejected rows.
    rejected: Vec<Rejection>,
    /// Why it failed.
    error: Option<String>,
    /// Why it may not be what was meant, though it completed.
    warning: Option<&'static str>,
    created_at: UtcInstant,
    updated_at: UtcInstant,
}

impl TryFrom<ImportRow> for Import {
    type Error = StoreError;

    fn try_from(row: ImportRow) -> Result<Self, StoreError> {
        Ok(Self {
            rejected: row.rejected()?,
            id: row.id,
            status: row.status,
            list_id: row.list_id,
            rows_read: row.rows_read,
            rows_created: row.rows_created,
            rows_updated: row.rows_updated,
            rows_rejected: row.rows_rejected,
            resubscribed: row.resubscribed,
            stay_refused: row.stay_refused,
            error: row.error,
            warning: (row.status == ImportStatus::Completed && row.rows_read == 0).then_some(NO_ROWS),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Where the contacts go.
#[derive(Debug)]
pub(in crate::http) struct Destination {
    list: Option<ListKey>,
    consent: ImportConsent,
}

impl Destination {
    /// The key of a shop puts people in, and overrides no refusal.
    fn check_rights(&self, by: &By) -> Result<(), ApiError> {
        let resubscribes = self.consent.resubscribe_reason.is_some();
        if resubscribes { require_for(by, Scope::Operate, "resubscribe") } else { Ok(()) }
    }
}

/// Longest reason, in characters.
const MAX_REASON: usize = 500;

impl FromQuery for Destination {
    const NAMES: &'static [&'static str] = &["list", "confirmed", "resubscribe", "reason"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let parse = |text| list_path::parse(text).map_err(|why| bad_parameter("list", "out_of_range", why));
        let list = params.text("list").map(parse).transpose()?;
        let says = |name| Ok::<_, ApiError>(params.choice(name, &["true", "false"])? == Some("true"));
        let reason = params.text("reason").map(str::trim).filter(|reason| !reason.is_empty());
        let is_long = reason.is_some_and(|reason| reason.chars().count() > MAX_REASON);
        if is_long || reason.is_some_and(|reason| reason.chars().any(char::is_control)) {
            let why = format!("one line of at most {MAX_REASON} characters");
            return Err(bad_parameter("reason", "too_long", why));
        }
        let resubscribe = says("resubscribe")?;
        if resubscribe && reason.is_none() {
            let why = "say why contacts that have refused are subscribed again".to_owned();
            return Err(bad_parameter("reason", "required", why));
        }
        let resubscribe_reason = reason.filter(|_| resubscribe).map(ToOwned::to_owned);
        Ok(Self { list, consent: ImportConsent { confirmed: says("confirmed")?, resubscribe_reason } })
    }
}

#[derive(Debug)]
pub(in crate::http) struct ImportFilter(Paging);

impl FromQuery for ImportFilter {
    const NAMES: &'static [&'static str] = &PARAMETERS;

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Paging::read(params, "imports", &[]).map(Self)
    }
}

/// Uploads a CSV file with contacts. The answer comes when the file is safely stored; its rows follow. With a `list`, the columns `status`
/// (`subscribed`, `unconfirmed`, `unsubscribed`), `status_at` and `source` say how each contact stands on it. Contacts that have
/// refused the list stay unsubscribed, unless `resubscribe=true` is given with a `reason`, which needs a key of scope
/// `operate`. `confirmed=true` says that the people have confirmed their consent. The column `tags` puts tags on contacts.
#[utoipa::path(post, path = "/v1/contacts/import", tag = "contacts",
    params(("list" = Option<String>, Query), ("confirmed" = Option<bool>, Query),
        ("resubscribe" = Option<bool>, Query), ("reason" = Option<String>, Query)),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 202, body = Import), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(in crate::http) async fn upload(
    state: web::Data<AppState>,
    request: HttpRequest,
    Query(destination): Query<Destination>,
    key: IdempotencyKey,
    by: By,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    destination.check_rights(&by)?;
    check_headers(&request, &state)?;
    let list = match destination.list {
        Some(key) => Some(list_path::resolve(&state, key).await?),
        None => None,
    };
    let folder = ImportFolder::below(&state.settings.sending.data_dir);
    let (upload, body_hash) = receive(folder, payload, state.settings.http.max_import_bytes).await?;
    let upload = Arc::new(upload);
    check_header_line(Arc::clone(&upload), list.is_some()).await?;
    let consent = destination.consent;
    let key = key.scoped("contacts.import", &format!("{list:?} {consent:?} {body_hash}"));
    let new = NewImport { file: upload.name(), list, consent };
    let let_go = || {
        if let Some(upload) = Arc::into_inner(upload) {
            upload.keep();
        }
    };
    match start_import(&state.services, new, key, answer_to, let_go, &by).await? {
        Begun::Now(answer) | Begun::Before(answer) => Ok(respond(answer)),
    }
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

pub(super) fn check_headers(request: &HttpRequest, state: &AppState) -> Result<(), ApiError> {
    let mut types = request.headers().get_all(header::CONTENT_TYPE);
    let media_type = match (types.next(), types.next()) {
        (Some(only), None) => only.to_str().unwrap_or_default().to_ascii_lowercase(),
        _ => String::new(),
    };
    let mut parts = media_type.split(';').map(str::trim);
    let is_csv = parts.next() == Some("text/csv")
        && parts.all(|part| !part.starts_with("charset=") || part == "charset=utf-8" || part == "charset=\"utf-8\"");
    if !is_csv {
        return Err(ApiError::UnsupportedMediaType("send one Content-Type: text/csv, in UTF-8"));
    }
    refuse_content_encoding(request)?;
    let limit = state.settings.http.max_import_bytes;
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > limit) {
        return Err(ApiError::TooLarge { limit });
    }
    Ok(())
}

/// How much of an upload is gathered before it is written.
const WRITE_BYTES: usize = 256 * 1024;

/// Streams the body into a file. Also its SHA-256, in hex.
pub(super) async fn receive(folder: ImportFolder, payload: Payload, limit: u64) -> Result<(Upload, String), ApiError> {
    let mut payload = payload.into_inner();
    let mut upload = blocking(move || folder.create()).await?;
    let mut hasher = Sha256::new();
    let mut received: u64 = 0;
    let mut buffer = Vec::with_capacity(WRITE_BYTES);
    while let Some(chunk) = next_chunk(&mut payload).await? {
        received += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if received > limit {
            return Err(ApiError::TooLarge { limit });
        }
        hasher.update(&chunk);
        buffer.extend_from_slice(&chunk);
        if buffer.len() >= WRITE_BYTES {
            (upload, buffer) = blocking(move || {
                upload.write(&buffer)?;
                buffer.clear();
                Ok((upload, buffer))
            })
            .await?;
        }
    }
    let upload = blocking(move || {
        upload.write(&buffer)?;
        upload.complete()?;
        Ok(upload)
    })
    .await?;
    Ok((upload, format!("{:x}", hasher.finalize())))
}

/// Runs file work where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    match web::block(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error))
            if matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) =>
        {
            Err(ApiError::Unavailable { code: "disk_full", detail: "the disk of the uploads is full".to_owned() })
        }
        Ok(Err(error)) => Err(ApiError::Unexpected { action: "store an upload", source: Box::new(error) }),
        Err(error) => Err(ApiError::Unexpected { action: "store an upload", source: Box::new(error) }),
    }
}

/// A file whose header says that nothing of it can be imported is refused at once.
async fn check_header_line(upload: Arc<Upload>, on_list: bool) -> Result<(), ApiError> {
    let opened = blocking(move || Ok(ImportReader::open(upload.reader()?, None, on_list).map(drop))).await?;
    opened.map_err(refuse_file)
}

/// What a file that cannot be read is for clients.
pub(super) fn refuse_file(error: ImportError) -> ApiError {
    match error {
        ImportError::Io(source) => ApiError::Unexpected { action: "read an upload", source: Box::new(source) },
        error @ (ImportError::Empty
        | ImportError::Encoding { .. }
        | ImportError::TooManyColumns { .. }
        | ImportError::HeaderTooLong
        | ImportError::DuplicateColumn { .. }
        | ImportError::ColumnName { .. }
        | ImportError::NoKeyColumn { .. }
        | ImportError::NoAddressColumn { .. }
        | ImportError::UnclosedQuote { .. }) => ApiError::field("", error.code(), error.to_string()),
    }
}

/// Shows an import.
#[utoipa::path(get, path = "/v1/imports/{id}", tag = "contacts", params(("id" = i64, Path)),
    responses((status = 200, body = Import), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    Id(id): Id<ImportId>,
    _: Query<()>,
) -> Result<web::Json<Import>, ApiError> {
    let row = state.store.run(Lane::Read, "read an import", move |conn| imports::find(conn, id)).await?;
    let row = row.ok_or(ApiError::not_found("import", id.0))?;
    Ok(web::Json(Import::try_from(row)?))
}

/// Lists imports, newest first.
#[utoipa::path(get, path = "/v1/imports", tag = "contacts", params(ListParams),
    responses((status = 200, body = Listing<Import>), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(ImportFilter(paging)): Query<ImportFilter>,
) -> Result<web::Json<Listing<Import>>, ApiError> {
    let window = paging.window();
    let list = move |conn: &mut _| imports::list(conn, window)?.try_map(Import::try_from);
    let slice = state.store.run(Lane::Read, "list imports", list).await?;
    Ok(web::Json(paging.answer(slice, |import| import.id.0)))
}
