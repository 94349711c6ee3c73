//! `/v1/suppressions/import`: addresses that are not written to, from a CSV file.

use std::sync::Arc;

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::destination::encoding_of;
use super::receiving::{Arrived, blocking, check_headers, receive, refuse_file};
use crate::actors::import::importer::files::Upload;
use crate::domain::import::ImportError;
use crate::domain::import::encoding::TextEncoding;
use crate::domain::import::suppressions::{SuppressionLine, SuppressionReader};
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::idempotency::{IdempotencyKey, respond, reused};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::services::people::import_suppressions::{Imported, import_suppressions};
use crate::store::engine::idempotency::{self, Answer, Key, Recall};
use crate::store::import::imports::Rejection;
use crate::store::{Conn, Lane, StoreError};

/// Rows that are stored together.
const BATCH: usize = 500;

/// What came of a file of suppressions.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct SuppressionImport {
    /// The encoding that the file came in: `utf-8`, `windows-1252`.
    encoding: String,
    /// Rows dealt with.
    rows_read: u64,
    /// Rows that name an address or a domain.
    rows_accepted: u64,
    /// Rows that were refused.
    rows_rejected: u64,
    /// The first hundred rejected rows.
    rejected: Vec<Rejection>,
}

/// How a file of suppressions is read.
#[derive(Debug)]
pub(in crate::http) struct Written {
    /// Its encoding. None: the one that is recognised.
    encoding: Option<TextEncoding>,
}

impl FromQuery for Written {
    const NAMES: &'static [&'static str] = &["encoding"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Ok(Self { encoding: encoding_of(params)? })
    }
}

/// Takes suppressions from a CSV file: `address` (or `email`, `phone`), and where they are there `channel`, `reason` (`unsubscribed`
/// unless given, `complained`, `bounced`, `soft_bounced` or `blocked`), `list` (by id or slug: only this list is refused), `list_name`
/// (the list must be called so), `since`, and `until` of a soft bounce. A `since` that cannot be read counts as now. An export can be
/// imported. An address such as `@example.com` blocks a domain, unless it is one of channel `http`. The encoding of the file is
/// recognised; `encoding` settles it. Rows are stored in batches; a file that is sent again changes nothing more.
#[utoipa::path(post, path = "/v1/suppressions/import", tag = "suppressions",
    params(("encoding" = Option<String>, Query)),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = SuppressionImport), (status = "4XX", body = Problem),
        (status = 503, body = Problem)))]
pub(in crate::http) async fn upload(
    state: web::Data<AppState>,
    request: HttpRequest,
    Query(Written { encoding: given }): Query<Written>,
    key: IdempotencyKey,
    by: By,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    check_headers(&request, &state)?;
    let arrived = receive(&state, payload).await?;
    let read_as = given.map(|given| format!(" {}", given.name())).unwrap_or_default();
    let key = key.scoped("suppressions.import", &format!("{}{read_as}", arrived.hash));
    let asked = key.clone();
    let before = state.store.transact(Lane::Write, "look a key up", move |conn| recall(conn, asked.as_ref())).await?;
    if let Some(answer) = before {
        return Ok(respond(answer));
    }
    let answer = import(&state, arrived, given, &by).await.map(|done| Answer {
        status: 200,
        body: serde_json::json!(done).to_string(),
        location: None,
    });
    // What was refused leaves the key free: the file may be sent again.
    let kept = answer.as_ref().ok().cloned();
    state.store.transact(Lane::Write, "keep an answer", move |conn| keep(conn, key.as_ref(), kept.as_ref())).await?;
    answer.map(respond)
}

fn recall(conn: &mut Conn, key: Option<&Key>) -> Result<Option<Answer>, ApiError> {
    match key.map(|key| idempotency::recall(conn, key)).transpose()? {
        Some(Recall::Answered(answer)) => Ok(Some(answer)),
        Some(Recall::Reused | Recall::UnderWay) => Err(reused()),
        Some(Recall::New) | None => Ok(None),
    }
}

fn keep(conn: &mut Conn, key: Option<&Key>, answer: Option<&Answer>) -> Result<(), StoreError> {
    match (key, answer) {
        (Some(key), Some(answer)) => idempotency::remember(conn, key, answer),
        (Some(key), None) => idempotency::release(conn, key),
        (None, _) => Ok(()),
    }
}

async fn import(
    state: &AppState,
    arrived: Arrived,
    given: Option<TextEncoding>,
    by: &By,
) -> Result<SuppressionImport, ApiError> {
    let (upload, encoding) = arrived.in_utf8(state, given).await?;
    let mut reader = open(upload).await?;
    let mut imported = Imported::default();
    loop {
        let (next, lines, end) = blocking(move || Ok(batch(reader))).await?;
        reader = next;
        if !lines.is_empty() {
            import_suppressions(&state.services, lines, &mut imported, by).await?;
        }
        match end {
            None => {}
            Some(Ok(())) => return Ok(SuppressionImport::of(imported, encoding)),
            Some(Err(error)) => return Err(refuse_file(error)),
        }
    }
}

impl SuppressionImport {
    fn of(imported: Imported, encoding: TextEncoding) -> Self {
        Self {
            encoding: encoding.name(),
            rows_read: imported.accepted + imported.rejected,
            rows_accepted: imported.accepted,
            rows_rejected: imported.rejected,
            rejected: imported.rejections,
        }
    }
}

type Reader = SuppressionReader<std::fs::File>;

async fn open(upload: Arc<Upload>) -> Result<Reader, ApiError> {
    let opened = blocking(move || Ok(SuppressionReader::open(upload.reader()?))).await?;
    opened.map_err(refuse_file)
}

/// How the file ends: well, or with what cannot be read. The rows before that are good.
type End = Option<Result<(), ImportError>>;

fn batch(mut reader: Reader) -> (Reader, Vec<SuppressionLine>, End) {
    let mut lines = Vec::with_capacity(BATCH);
    while lines.len() < BATCH {
        match reader.next_line() {
            Ok(Some(line)) => lines.push(line),
            Ok(None) => return (reader, lines, Some(Ok(()))),
            Err(error) => return (reader, lines, Some(Err(error))),
        }
    }
    (reader, lines, None)
}
