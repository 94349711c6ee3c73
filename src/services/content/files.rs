//! Files that emails have attached or show: they come, and they go.

use std::sync::Arc;

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::content::attachment::{AttachedFile, Attachment, AttachmentUse};
use crate::domain::ids::FileId;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::content::files::{self, FileRow, Users};
use crate::store::{Conn, Lane, MayBeStoreError, StoreError};

/// The most ids that an error lists.
const MOST_LISTED: usize = 20;

/// Why a file is not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteFileError {
    /// There is no such file.
    #[error("there is no file {0}")]
    NotFound(FileId),
    /// It is in use.
    #[error("these have the file: templates {}, campaigns {}", listed(&.0.templates), listed(&.0.campaigns))]
    InUse(Users),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores a file. One that is there already, with the same name, type and bytes, is that one; the second value says whether it is new.
///
/// # Errors
/// The database failed.
pub async fn add_file(
    services: &Services,
    name: String,
    content_type: String,
    bytes: Vec<u8>,
    by: &By,
) -> Result<(FileRow, bool), StoreError> {
    let by = by.clone();
    let add = move |conn: &mut Conn| {
        let (row, is_new) = files::add(conn, &name, &content_type, &bytes)?;
        if is_new {
            let after = json!({ "content_type": row.content_type, "size": row.size, "sha256": row.sha256 });
            audit::write(conn, &by, Line::of(Action::Created, Object::File, row.id).after(after))?;
        }
        Ok::<_, StoreError>((row, is_new))
    };
    services.store.transact(Lane::Write, "store a file", add).await
}

impl MayBeStoreError for DeleteFileError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        match self {
            Self::Store(error) => Ok(error),
            refused @ (Self::NotFound(_) | Self::InUse(_)) => Err(refused),
        }
    }
}

fn listed<T: std::fmt::Display>(ids: &[T]) -> String {
    if ids.is_empty() {
        return "none".to_owned();
    }
    ids.iter().take(MOST_LISTED).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Deletes a file that no template and no campaign has which is there.
///
/// # Errors
/// [`DeleteFileError`]; nothing has changed then.
pub async fn delete_file(services: &Services, id: FileId, by: &By) -> Result<(), DeleteFileError> {
    let by = by.clone();
    let delete = move |conn: &mut Conn| {
        if !files::delete(conn, id)? {
            return Err(DeleteFileError::NotFound(id));
        }
        let users = files::users(conn, id)?;
        if users != Users::default() {
            return Err(DeleteFileError::InUse(users));
        }
        Ok(audit::write(conn, &by, Line::of(Action::Deleted, Object::File, id))?)
    };
    services.store.transact(Lane::Write, "delete a file", delete).await
}

/// The files of an email, ready to be part of its messages: encoded here once, and shared.
///
/// # Errors
/// A query failed, or a file is gone.
pub fn attachments(conn: &mut Conn, uses: &[AttachmentUse]) -> Result<Arc<[Attachment]>, StoreError> {
    let ids: Vec<FileId> = uses.iter().map(|one| one.file_id).collect();
    if ids.is_empty() {
        return Ok(Arc::default());
    }
    let rows = files::find(conn, &ids)?;
    let mut all = Vec::with_capacity(uses.len());
    for AttachmentUse { file_id, content_id } in uses {
        let gone = || StoreError::Corrupt { what: "files of an email", detail: format!("file {file_id} is gone") };
        let row = rows.get(file_id).ok_or_else(gone)?;
        let bytes = files::bytes(conn, *file_id)?.ok_or_else(gone)?;
        all.push(Attachment::new(row.name.clone(), row.content_type.clone(), content_id.clone(), &bytes));
    }
    Ok(all.into())
}

/// The files of an email for people, without their bytes. A file that is gone is left out: what uses it is refused elsewhere.
///
/// # Errors
/// The query failed.
pub fn described(conn: &mut Conn, uses: &[AttachmentUse]) -> Result<Vec<AttachedFile>, StoreError> {
    let ids: Vec<FileId> = uses.iter().map(|one| one.file_id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = files::find(conn, &ids)?;
    let described = uses.iter().filter_map(|one| {
        let FileRow { id, name, content_type, size, .. } = rows.get(&one.file_id)?.clone();
        Some(AttachedFile { file_id: id, name, content_type, size, content_id: one.content_id.clone() })
    });
    Ok(described.collect())
}
