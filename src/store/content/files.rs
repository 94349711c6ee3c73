//! Files that emails have attached or show.

use std::collections::HashMap;

use diesel::prelude::*;
use sha2::{Digest, Sha256};

use super::email_fields::StoredEmailFields;
use crate::domain::content::attachment::AttachmentUse;
use crate::domain::ids::FileId;
use crate::domain::instant::UtcInstant;
use crate::store::engine::listing::{Slice, Window};
use crate::store::engine::schema::{campaign_email, files, template_versions};
use crate::store::{Conn, StoreError, engine};

/// A file, without its bytes.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = files)]
pub struct FileRow {
    /// Its id.
    pub id: FileId,
    /// What it is called.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// In bytes.
    pub size: i64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// When it came.
    pub created_at: UtcInstant,
}

/// Stores a file; one that is there already is that one. The second value: whether it is new.
///
/// # Errors
/// A query failed.
pub fn add(conn: &mut Conn, name: &str, content_type: &str, bytes: &[u8]) -> Result<(FileRow, bool), StoreError> {
    let sha256 = format!("{:x}", Sha256::digest(bytes));
    let same = files::sha256.eq(&sha256).and(files::name.eq(name)).and(files::content_type.eq(content_type));
    let found = files::table.filter(same).select(FileRow::as_select()).first(conn).optional();
    if let Some(row) = found.map_err(StoreError::query("look for the same file"))? {
        return Ok((row, false));
    }
    let now = engine::now(conn)?;
    let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let id: FileId = diesel::insert_into(files::table)
        .values((
            files::name.eq(name),
            files::content_type.eq(content_type),
            files::size.eq(size),
            files::sha256.eq(&sha256),
            files::bytes.eq(bytes),
            files::created_at.eq(now),
        ))
        .returning(files::id)
        .get_result(conn)
        .map_err(StoreError::query("store a file"))?;
    let row =
        FileRow { id, name: name.to_owned(), content_type: content_type.to_owned(), size, sha256, created_at: now };
    Ok((row, true))
}

/// Files, newest first.
///
/// # Errors
/// A query failed.
pub fn list(conn: &mut Conn, window: Window) -> Result<Slice<FileRow>, StoreError> {
    conn.snapshot(|conn| {
        let newest = files::table.select(diesel::dsl::max(files::id)).first::<Option<i64>>(conn);
        let anchor = match window.anchor {
            Some(anchor) => anchor,
            None => newest.map_err(StoreError::query("list files"))?.unwrap_or_default(),
        };
        let there = files::table.filter(files::id.le(anchor));
        let total = there.count().get_result(conn).map_err(StoreError::query("count files"))?;
        let rows = there
            .filter(files::id.lt(window.before.unwrap_or(i64::MAX)))
            .order(files::id.desc())
            .offset(window.offset)
            .limit(window.fetch())
            .select(FileRow::as_select())
            .load(conn)
            .map_err(StoreError::query("list files"))?;
        Ok(window.slice(rows, total, anchor))
    })
}

/// The files with these ids, without their bytes.
///
/// # Errors
/// The query failed.
pub fn find(conn: &mut Conn, ids: &[FileId]) -> Result<HashMap<FileId, FileRow>, StoreError> {
    let rows: Vec<FileRow> = files::table
        .filter(files::id.eq_any(ids.to_vec()))
        .select(FileRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read files"))?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The bytes of a file.
///
/// # Errors
/// The query failed.
pub fn bytes(conn: &mut Conn, id: FileId) -> Result<Option<Vec<u8>>, StoreError> {
    files::table
        .find(id)
        .select(files::bytes)
        .first(conn)
        .optional()
        .map_err(StoreError::query("read the bytes of a file"))
}

/// What became of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Done,
    /// There is no such file.
    NotFound,
    /// A template or a campaign names it.
    InUse,
}

/// Deletes a file that no version of a template and no campaign names. Looks through those that say something of their emails: few.
///
/// # Errors
/// A query failed.
pub fn delete(conn: &mut Conn, id: FileId) -> Result<Deleted, StoreError> {
    let versions: Vec<StoredEmailFields> = template_versions::table
        .filter(template_versions::email.ne("{}"))
        .select(template_versions::email)
        .load(conn)
        .map_err(StoreError::query("look for templates that use a file"))?;
    let campaigns: Vec<StoredEmailFields> = campaign_email::table
        .select(campaign_email::email)
        .load(conn)
        .map_err(StoreError::query("look for campaigns that use a file"))?;
    let names = |one: &AttachmentUse| one.file_id == id;
    if versions.iter().chain(&campaigns).any(|fields| fields.0.attachments.iter().any(names)) {
        return Ok(Deleted::InUse);
    }
    let deleted = diesel::delete(files::table.find(id)).execute(conn).map_err(StoreError::query("delete a file"))?;
    Ok(if deleted == 0 { Deleted::NotFound } else { Deleted::Done })
}
