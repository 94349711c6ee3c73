//! A file on its way into the folder of imports: it is written as it comes, so that memory does not grow with it.

use std::sync::Arc;

use actix_web::web;
use actix_web::web::{Bytes, Payload};
use sha2::{Digest, Sha256};

use crate::actors::import::importer::files::{ImportFolder, Upload};
use crate::http::state::AppState;
use crate::http::web::extract::next_chunk;
use crate::http::web::problem::ApiError;

/// How much of an upload is gathered before it is written.
const WRITE_BYTES: usize = 256 * 1024;

/// A file of which a part has arrived. Dropped, it leaves nothing.
pub(in crate::http) struct Receiving {
    upload: Upload,
    hasher: Sha256,
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
}

impl Receiving {
    /// Begins to receive a file of at most as many bytes as the settings allow.
    pub(in crate::http) async fn begin(state: &AppState) -> Result<Self, ApiError> {
        let folder = ImportFolder::below(&state.settings.sending.data_dir);
        let upload = blocking(move || folder.create()).await?;
        let (hasher, buffer) = (Sha256::new(), Vec::with_capacity(WRITE_BYTES));
        Ok(Self { upload, hasher, received: 0, buffer, limit: state.settings.http.max_import_bytes })
    }

    /// Takes the next piece.
    pub(in crate::http) async fn take(mut self, chunk: &Bytes) -> Result<Self, ApiError> {
        self.received += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if self.received > self.limit {
            return Err(ApiError::TooLarge { limit: self.limit });
        }
        self.hasher.update(chunk);
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

    /// Brings the whole file to the disk.
    pub(in crate::http) async fn finish(self) -> Result<Arrived, ApiError> {
        let (mut upload, buffer) = (self.upload, self.buffer);
        let upload = blocking(move || {
            upload.write(&buffer)?;
            upload.complete()?;
            Ok(upload)
        })
        .await?;
        Ok(Arrived { upload: Arc::new(upload), hash: format!("{:x}", self.hasher.finalize()) })
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
