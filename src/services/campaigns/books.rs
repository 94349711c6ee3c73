//! The audit of one campaign: its deliveries, counted one by one, against what its pages say. Archived deliveries are counted in their file.

use std::io;
use std::path::Path;

use crate::domain::dispatch::page::Counts;
use crate::domain::ids::CampaignId;
use crate::runtime::archive_folder::{ArchiveFolder, FileError};
use crate::store::campaigns::archives::{self, Archived};
use crate::store::campaigns::{self, PackingRow};
use crate::store::dispatch::deliveries::{self, Audit};
use crate::store::{Conn, Lane, Store, StoreError};

/// What the audit has found.
#[derive(Debug, Clone)]
pub struct Books {
    /// Deliveries and pages, counted.
    pub counted: Audit,
    /// Whether all of it agrees.
    pub consistent: bool,
    /// The audience as it was counted at the launch.
    pub expected: Option<i64>,
    /// Whether everyone is packed.
    pub packed: bool,
    /// The file that was read in place of rows.
    pub archive: Option<AuditedFile>,
}

/// A file with archived deliveries.
#[derive(Debug, Clone)]
pub struct AuditedFile {
    /// Where it is.
    pub archived: Archived,
    /// Why it could not be counted.
    pub problem: Option<String>,
}

type Found = (Audit, Option<PackingRow>, Option<Archived>);

/// Counts a campaign's rows in one snapshot, or the lines of the file in `data_dir` where they were archived.
///
/// # Errors
/// A query failed.
pub async fn audit(store: &Store, data_dir: &Path, id: CampaignId) -> Result<Books, StoreError> {
    let read = move |conn: &mut Conn| -> Result<Found, StoreError> {
        Ok((deliveries::audit(conn, id)?, campaigns::packing(conn, id)?, archives::find(conn, id)?))
    };
    let snapshot = move |conn: &mut Conn| conn.snapshot(read);
    let (mut counted, packing, archived) = store.run(Lane::Audit, "audit a campaign", snapshot).await?;
    let mut archive = None;
    if let Some(archived) = archived {
        let read = count(data_dir, &archived).await;
        counted.rows = read.as_ref().map(|counts| *counts).unwrap_or_default();
        counted.total = counted.rows.total();
        archive = Some(AuditedFile { problem: read.err().map(|error| told(&error, &archived)), archived });
    }
    let is_counted = archive.as_ref().is_none_or(|file| file.problem.is_none());
    let agrees =
        counted.rows == counted.pages && counted.rows.total() == counted.total && counted.page_sizes == counted.total;
    Ok(Books {
        consistent: is_counted && agrees,
        counted,
        expected: packing.as_ref().map(|packing| packing.expected),
        packed: packing.is_some_and(|packing| packing.done),
        archive,
    })
}

async fn count(data_dir: &Path, archived: &Archived) -> Result<Counts, FileError> {
    let (folder, sealed) = (ArchiveFolder::below(data_dir), archived.sealed.clone());
    let count = move || folder.count(&sealed.file, &sealed.sha256);
    let held =
        tokio::task::spawn_blocking(count).await.unwrap_or_else(|ended| Err(FileError::Io(io::Error::other(ended))))?;
    Ok(held.counts)
}

fn told(error: &FileError, archived: &Archived) -> String {
    let Archived { sealed, host, .. } = archived;
    match error {
        FileError::Missing => format!(
            "{} is not in the folder archive of this instance: it was written by the instance on {host}, so ask that one, or look for it there",
            sealed.file
        ),
        FileError::Io(_) | FileError::Damaged(_) => format!("{}: {error}", sealed.file),
    }
}
