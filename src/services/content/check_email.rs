//! Whether a template or a campaign may have what its emails are to have beside their words.

use std::collections::{BTreeSet, HashMap};

use super::check::ContentError;
use crate::config::Settings;
use crate::config::pools::PoolConfig;
use crate::domain::channel::ChannelKind;
use crate::domain::content::attachment::AttachmentUse;
use crate::domain::content::email_fields::EmailFields;
use crate::domain::content::mailbox::parse_mailbox;
use crate::domain::ids::FileId;
use crate::domain::people::contact::FieldError;
use crate::domain::shown::grouped;
use crate::services::Services;
use crate::services::blocking::blocking;
use crate::store::content::files::{self, FileRow};
use crate::store::people::attributes;
use crate::store::{Conn, Lane, StoreError};

/// Checks what emails have beside their content, against the attributes that contacts have, these other names, and the files that are there.
///
/// # Errors
/// [`ContentError`].
pub async fn check_email(
    services: &Services,
    channel: ChannelKind,
    fields: &EmailFields,
    others: BTreeSet<String>,
) -> Result<(), ContentError> {
    if fields.is_empty() {
        return Ok(());
    }
    let (uses, most) = (fields.attachments.clone(), services.settings.email.max_attachments_bytes);
    let look = move |conn: &mut Conn| Ok((attributes::known(conn)?, check_files(conn, &uses, most)?));
    let (mut known, missing) = services.store.run(Lane::Read, "read attribute names and files", look).await?;
    known.extend(others);
    let fields = fields.clone();
    blocking("check headers", move || fields.check(channel, &known)).await?.map_err(ContentError::Email)?;
    if missing.is_empty() { Ok(()) } else { Err(ContentError::Email(missing)) }
}

/// What is wrong with the files that an email is to have: one is not there, or all together are too large for a message. `most` is in
/// bytes.
///
/// # Errors
/// The query failed.
pub(in crate::services) fn check_files(
    conn: &mut Conn,
    uses: &[AttachmentUse],
    most: u64,
) -> Result<Vec<FieldError>, StoreError> {
    let ids: Vec<FileId> = uses.iter().map(|one| one.file_id).collect();
    let found: HashMap<FileId, FileRow> = if ids.is_empty() { HashMap::new() } else { files::find(conn, &ids)? };
    let missing = uses.iter().enumerate().filter(|(_, one)| !found.contains_key(&one.file_id));
    let mut errors: Vec<FieldError> = missing
        .map(|(place, one)| {
            let reason = format!("there is no file {}", one.file_id);
            FieldError::new(format!("/attachments/{place}/file_id"), "file_not_found", reason)
        })
        .collect();
    let size: i64 = ids.iter().filter_map(|id| found.get(id)).map(|file| file.size).sum();
    if u64::try_from(size).unwrap_or(0) > most {
        let most = grouped(i64::try_from(most).unwrap_or(i64::MAX));
        let reason = format!(
            "all files of a message have {} bytes together, the most is {most} (email.max_attachments_bytes)",
            grouped(size)
        );
        errors.push(FieldError::new("/attachments", "attachments_too_large", reason));
    }
    Ok(errors)
}

/// Checks that a pool takes what an email has: its sender is at the domain of the pool's, for which the provider signs; and an HTTP API gets
/// no files, because each request would hold them.
///
/// # Errors
/// What is wrong.
pub(in crate::services) fn check_pool_takes(pool: &PoolConfig, fields: &EmailFields) -> Result<(), FieldError> {
    if let Some(from) = &fields.from {
        check_pool_sends_as(pool, from)?;
    }
    if fields.attachments.is_empty() || pool.provider.webhook().is_none() {
        return Ok(());
    }
    let reason = format!("the pool {} is an HTTP API, and files go through SMTP pools alone", pool.name);
    Err(FieldError::new("/attachments", "attachments_need_smtp", reason))
}

/// Checks that the provider of a pool signs for the domain of a campaign's own sender: that of the pool's sender.
///
/// # Errors
/// What is wrong.
pub(in crate::services) fn check_pool_sends_as(pool: &PoolConfig, from: &str) -> Result<(), FieldError> {
    sends_as(pool, from).map_err(|reason| FieldError::new("/from", "from_invalid", reason))
}

fn sends_as(pool: &PoolConfig, from: &str) -> Result<(), String> {
    if pool.provider.webhook().is_some() {
        return Err(format!("the pool {} is an HTTP API, and its body says who messages are from", pool.name));
    }
    // A sandbox needs no sender, and writes to nobody.
    let Some(own) = &pool.from else { return Ok(()) };
    let domain = |address: &str| parse_mailbox(address).map(|mailbox| mailbox.email.domain().to_ascii_lowercase());
    let (asked, allowed) = (domain(from)?, domain(own)?);
    if asked == allowed {
        return Ok(());
    }
    Err(format!("is at {asked}, and the pool {} sends for {allowed} alone", pool.name))
}

/// Checks inside the transaction that stores them that the files are there, and keeps them there until its end.
///
/// # Errors
/// [`ContentError`].
pub(in crate::services) fn hold_files(
    conn: &mut Conn,
    settings: &Settings,
    fields: &EmailFields,
) -> Result<(), ContentError> {
    let uses = &fields.attachments;
    if uses.is_empty() {
        return Ok(());
    }
    let ids: Vec<FileId> = uses.iter().map(|one| one.file_id).collect();
    files::hold(conn, &ids)?;
    let missing = check_files(conn, uses, settings.email.max_attachments_bytes)?;
    if missing.is_empty() { Ok(()) } else { Err(ContentError::Email(missing)) }
}
