//! A file on its way into the folder of imports: it is written as it comes, so that memory does not grow with it.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, web};
use sha2::{Digest, Sha256};

use crate::actors::import::importer::files::{ImportFolder, Upload};
use crate::domain::export::Format;
use crate::domain::import::encoding::{Sniffed, Sniffer, TextEncoding};
use crate::domain::import::{ImportError, other_file};
use crate::http::state::AppState;
use crate::http::web::extract::{next_chunk, refuse_content_encoding};
use crate::http::web::problem::ApiError;

/// How much of an upload is gathered before it is written.
const WRITE_BYTES: usize = 256 * 1024;

/// A file of which a part has arrived. Dropped, it leaves nothing.
pub(in crate::http) struct Receiving {
    upload: Upload,
    hasher: Sha256,
    sniffer: Sniffer,
    /// The first bytes.
    start: Vec<u8>,
    received: u64,
    buffer: Vec<u8>,
    limit: u64,
}

/// A file that has arrived whole. Dropped without being left to the importer, it leaves nothing.
#[derive(Debug, Clone)]
pub(in crate::http) struct Arrived {
    pub(super) upload: Arc<Upload>,
    /// SHA-256, in hex.
    pub(super) hash: String,
    sniffed: Sniffed,
}

impl Receiving {
    /// Begins to receive a file of at most as many bytes as the settings allow.
    pub(in crate::http) async fn begin(state: &AppState) -> Result<Self, ApiError> {
        let folder = ImportFolder::below(&state.settings.sending.data_dir);
        let upload = blocking(move || folder.create()).await?;
        let (hasher, buffer) = (Sha256::new(), Vec::with_capacity(WRITE_BYTES));
        let sniffer = Sniffer::default();
        let limit = state.settings.http.max_import_bytes;
        Ok(Self { upload, hasher, sniffer, start: Vec::new(), received: 0, buffer, limit })
    }

    /// Takes the next piece.
    pub(in crate::http) async fn take(mut self, chunk: &Bytes) -> Result<Self, ApiError> {
        self.received += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if self.received > self.limit {
            return Err(ApiError::TooLarge { limit: self.limit });
        }
        self.hasher.update(chunk);
        self.sniffer.take(chunk);
        self.start.extend(chunk.iter().take(other_file::START_BYTES.saturating_sub(self.start.len())));
        self.buffer.extend_from_slice(chunk);
        if self.buffer.len() < WRITE_BYTES {
            return Ok(self);
        }
        let (mut upload, mut buffer) = (self.upload, self.buffer);
        let (upload, buffer) = blocking(move || {
            upload.write(&buffer)?;
            buffer.clear();
            Ok((upload, buffer))
        })
        .await?;
        Ok(Self { upload, buffer, ..self })
    }

    /// Brings the whole file to the disk, if it is text.
    pub(in crate::http) async fn finish(self) -> Result<Arrived, ApiError> {
        other_file::check(&self.start).map_err(refuse_file)?;
        let (mut upload, buffer) = (self.upload, self.buffer);
        let upload = blocking(move || {
            upload.write(&buffer)?;
            upload.complete()?;
            Ok(upload)
        })
        .await?;
        let (hash, sniffed) = (format!("{:x}", self.hasher.finalize()), self.sniffer.finish());
        Ok(Arrived { upload: Arc::new(upload), hash, sniffed })
    }
}

impl Arrived {
    /// The file in UTF-8, and the encoding that it came in: the one that is `given`, else the one that is recognised. A file in another encoding is
    /// read and written once more.
    pub(super) async fn in_utf8(
        self,
        state: &AppState,
        given: Option<TextEncoding>,
    ) -> Result<(Arc<Upload>, TextEncoding), ApiError> {
        let known = match (given, self.sniffed) {
            (Some(encoding), _) | (None, Sniffed::Known(encoding)) => Some(encoding),
            (None, Sniffed::Other) => None,
        };
        if known == Some(TextEncoding::UTF_8) {
            return Ok((self.upload, TextEncoding::UTF_8));
        }
        let (folder, upload) = (ImportFolder::below(&state.settings.sending.data_dir), self.upload);
        blocking(move || {
            let encoding = match known {
                Some(encoding) => encoding,
                None => TextEncoding::likely(upload.reader()?)?,
            };
            let mut text = folder.create()?;
            let mut writer = BufWriter::with_capacity(WRITE_BYTES, text.writer());
            encoding.transcode(upload.reader()?, &mut writer)?;
            writer.flush()?;
            drop(writer);
            text.complete()?;
            Ok((Arc::new(text), encoding))
        })
        .await
    }
}

/// Refuses a body that is no CSV file, or one that is larger than the settings allow.
pub(super) fn check_headers(request: &HttpRequest, state: &AppState) -> Result<(), ApiError> {
    match read_headers(request, state)? {
        Some(Format::Csv) => Ok(()),
        Some(Format::Jsonl) | None => Err(ApiError::UnsupportedMediaType(
            "send one Content-Type: text/csv, without another charset than utf-8: `encoding` in the query names one",
        )),
    }
}

/// How the body is written that a file of contacts comes in: CSV, or JSON lines.
pub(super) fn format_of(request: &HttpRequest, state: &AppState) -> Result<Format, ApiError> {
    read_headers(request, state)?.ok_or(ApiError::UnsupportedMediaType(
        "send one Content-Type: text/csv or application/x-ndjson, without another charset than utf-8: `encoding` in the query names one",
    ))
}

/// The types that JSON lines have in the wild.
const LINES: [&str; 4] = ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"];

/// How a body is written, by its type. `None`: it is nothing that is known here.
fn read_headers(request: &HttpRequest, state: &AppState) -> Result<Option<Format>, ApiError> {
    let mut types = request.headers().get_all(header::CONTENT_TYPE);
    let media_type = match (types.next(), types.next()) {
        (Some(only), None) => only.to_str().unwrap_or_default().to_ascii_lowercase(),
        _ => String::new(),
    };
    let mut parts = media_type.split(';').map(str::trim);
    let format = match parts.next() {
        Some("text/csv") => Format::Csv,
        Some(kind) if LINES.contains(&kind) => Format::Jsonl,
        Some(_) | None => return Ok(None),
    };
    if !parts.all(|part| !part.starts_with("charset=") || part == "charset=utf-8" || part == "charset=\"utf-8\"") {
        return Ok(None);
    }
    refuse_content_encoding(request)?;
    let limit = state.settings.http.max_import_bytes;
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > limit) {
        return Err(ApiError::TooLarge { limit });
    }
    Ok(Some(format))
}

/// What a file that cannot be read is for clients.
pub(in crate::http) fn refuse_file(error: ImportError) -> ApiError {
    match error {
        ImportError::Io(source) => ApiError::Unexpected { action: "read an upload", source: Box::new(source) },
        error @ (ImportError::Empty
        | ImportError::NotText { .. }
        | ImportError::NotLines { .. }
        | ImportError::Encoding { .. }
        | ImportError::TooManyColumns { .. }
        | ImportError::HeaderTooLong
        | ImportError::ColumnUnclear { .. }
        | ImportError::DuplicateColumn { .. }
        | ImportError::ColumnName { .. }
        | ImportError::NoMappedColumn { .. }
        | ImportError::MapNeedsList { .. }
        | ImportError::NoKeyColumn { .. }
        | ImportError::NoAddressColumn { .. }
        | ImportError::NoObject { .. }
        | ImportError::UnclosedQuote { .. }) => ApiError::field("", error.code(), error.to_string()),
    }
}

/// Streams a body into a file.
pub(super) async fn receive(state: &AppState, payload: Payload) -> Result<Arrived, ApiError> {
    let mut payload = payload.into_inner();
    let mut receiving = Receiving::begin(state).await?;
    while let Some(chunk) = next_chunk(&mut payload).await? {
        receiving = receiving.take(&chunk).await?;
    }
    receiving.finish().await
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
