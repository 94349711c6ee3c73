//! Files that emails have attached or show.

use std::collections::HashMap;

use diesel::prelude::*;
use sha2::{Digest, Sha256};

use super::email_fields::StoredEmailFields;
use crate::domain::ids::{CampaignId, FileId, TemplateId, TemplateVersionId};
use crate::domain::instant::UtcInstant;
use crate::store::engine::listing::{Slice, Window};
use crate::store::engine::schema::{campaign_email, campaigns, files, template_versions, templates};
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

/// Keeps these files there until the transaction ends: a deletion waits.
///
/// # Errors
/// The query failed.
pub fn hold(conn: &mut Conn, ids: &[FileId]) -> Result<(), StoreError> {
    diesel::update(files::table.filter(files::id.eq_any(ids.to_vec())))
        .set(files::size.eq(files::size))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("hold files"))
}

/// Who names a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    /// Templates that are there, with the file in one of their versions.
    pub templates: Vec<TemplateId>,
    /// Campaigns that are there, with the file as their own or in the version that they were launched with.
    pub campaigns: Vec<CampaignId>,
}

/// Deletes a file; whether there was one. A transaction that stores a use of it waits for the end of the transaction, so that [`users`] has all of them
/// afterwards.
///
/// # Errors
/// The query failed.
pub fn delete(conn: &mut Conn, id: FileId) -> Result<bool, StoreError> {
    let deleted = diesel::delete(files::table.find(id)).execute(conn).map_err(StoreError::query("delete a file"))?;
    Ok(deleted > 0)
}

/// Who names a file: looked for among the versions of templates and the campaigns that say something of their emails, which are few.
///
/// # Errors
/// A query failed.
pub fn users(conn: &mut Conn, id: FileId) -> Result<Users, StoreError> {
    let has = |fields: &StoredEmailFields| fields.0.attachments.iter().any(|one| one.file_id == id);
    let versions: Vec<(TemplateVersionId, Option<TemplateId>, StoredEmailFields)> = template_versions::table
        .filter(template_versions::email.ne("{}"))
        .select((template_versions::id, template_versions::template_id, template_versions::email))
        .load(conn)
        .map_err(StoreError::query("look for versions that use a file"))?;
    let versions: Vec<_> = versions.into_iter().filter(|(_, _, fields)| has(fields)).collect();
    let templates: Vec<TemplateId> = versions.iter().filter_map(|(_, template, _)| *template).collect();
    let templates = templates::table
        .filter(templates::id.eq_any(templates).and(templates::deleted_at.is_null()))
        .order(templates::id)
        .select(templates::id)
        .load(conn)
        .map_err(StoreError::query("look for templates that use a file"))?;
    let own: Vec<(CampaignId, StoredEmailFields)> = campaign_email::table
        .select((campaign_email::campaign_id, campaign_email::email))
        .load(conn)
        .map_err(StoreError::query("look for campaigns that use a file"))?;
    let own: Vec<CampaignId> = own.into_iter().filter(|(_, fields)| has(fields)).map(|(id, _)| id).collect();
    let pinned: Vec<TemplateVersionId> = versions.iter().map(|(version, ..)| *version).collect();
    let names_it = campaigns::id.eq_any(own).or(campaigns::template_version_id
        .is_not_null()
        .and(campaigns::template_version_id.assume_not_null().eq_any(pinned)));
    let campaigns = campaigns::table
        .filter(campaigns::deleted_at.is_null().and(names_it))
        .order(campaigns::id)
        .select(campaigns::id)
        .load(conn)
        .map_err(StoreError::query("look for campaigns that use a file"))?;
    Ok(Users { templates, campaigns })
}
