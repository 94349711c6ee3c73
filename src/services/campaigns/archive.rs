//! Deliveries of campaigns that ended long ago go into files.
//!
//! One campaign after the other: its rows are written to a file, the file is brought to the disk and read back, and only then are the rows
//! removed, in small transactions. The table `archives` says how far that is, so that it goes on after the process has died at any moment, and
//! only one instance archives a campaign at a time.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::reports::ReportKind;
use crate::domain::spreadsheet::cell;
use crate::runtime::archive_folder::{ArchiveFolder, Complete, FileError, Part};
use crate::store::campaigns::archives::{self, ArchiveLease, ArchiveState, Sealed};
use crate::store::dispatch::archiving::{self, Removed, Whole};
use crate::store::engine::fail_point::FailPoint;
use crate::store::engine::{self, CampaignLock};
use crate::store::{Conn, Lane, Store, StoreError, campaigns};

/// Deliveries that are read at once.
const READ_AT_ONCE: i64 = 1_000;

/// Deliveries that are removed in one transaction.
const REMOVED_AT_ONCE: i64 = 500;

/// How often the lease is renewed while a file is written.
const RENEWED_EVERY: Duration = Duration::from_secs(60);

/// Why a campaign is not archived now.
#[derive(Debug, thiserror::Error)]
enum ArchiveError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be written.
    #[error("the file cannot be written: {0}")]
    Io(#[from] io::Error),
    /// The file cannot be read back, or is not whole.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file and the statistics differ.
    #[error("the file has {file} deliveries, and the pages of the campaign have {pages}, or other states")]
    Unbalanced { file: i64, pages: i64 },
    /// Another instance has gone on with it, or the campaign was opened again.
    #[error("it was taken over, or the campaign was opened again")]
    LeaseLost,
    /// An instance of an older version has opened the campaign after its file was complete.
    #[error("the campaign was opened again after its file was complete")]
    OpenedAgain,
}

/// Archives deliveries for one instance.
#[derive(Clone)]
pub struct Archivist {
    store: Store,
    folder: ArchiveFolder,
    /// The instance's slot: its former incarnations share it.
    slot: String,
    host: String,
    keep_days: u32,
}

impl Archivist {
    /// For the instance in `slot` on the machine `host`. Deliveries are kept for so many days after the end of their campaign; 0 is for ever.
    #[must_use]
    pub fn new(store: Store, data_dir: &Path, slot: String, host: String, keep_days: u32) -> Self {
        Self { store, folder: ArchiveFolder::below(data_dir), slot, host, keep_days }
    }

    /// Goes on with what is not finished, and archives what is due. How many campaigns were finished. One that fails is told in the log, and
    /// tried again in the next round.
    ///
    /// # Errors
    /// The database cannot say what is due.
    pub async fn round(&self) -> Result<usize, StoreError> {
        let (slot, keep_ms) = (self.slot.clone(), i64::from(self.keep_days) * 86_400_000);
        let look = move |conn: &mut Conn| {
            let unfinished = archives::unfinished(conn, &slot)?;
            let due = if keep_ms > 0 {
                let before = engine::now(conn)?.plus_ms(-keep_ms);
                archiving::due(conn, before, None)?
            } else {
                Vec::new()
            };
            Ok((unfinished, due))
        };
        let (unfinished, due) = self.store.run(Lane::Read, "look for campaigns to archive", look).await?;
        let mut done = 0;
        for campaign in unfinished.into_iter().map(|(campaign, _)| campaign).chain(due) {
            match self.archive(campaign).await {
                Ok(true) => done += 1,
                Ok(false) => {}
                Err(ArchiveError::OpenedAgain) => tracing::error!(
                    event = "campaign.archive_reopened",
                    campaign.id = campaign.0,
                    "an older version of Volley has opened a campaign whose deliveries are in a file; its rows that are left are kept, and no more are removed"
                ),
                Err(error) => tracing::warn!(
                    event = "campaign.archive_failed",
                    campaign.id = campaign.0,
                    error = %error,
                    "the deliveries of a campaign cannot be archived now; no row was removed that is not in a complete file"
                ),
            }
        }
        Ok(done)
    }

    /// Archives one campaign, from where it stands. False: it is not its time, or another instance does it.
    async fn archive(&self, campaign: CampaignId) -> Result<bool, ArchiveError> {
        let this = self.clone();
        let take = move |conn: &mut Conn| this.take(conn, campaign);
        let taken = self.store.transact::<_, StoreError>(Lane::Write, "begin an archive", take).await?;
        let Some((lease, state)) = taken else { return Ok(false) };
        if state == ArchiveState::Writing {
            if let Err(error) = self.write(lease).await {
                // The rows are all there.
                let give_up = move |conn: &mut Conn| {
                    let is_own = archives::renew(conn, lease, ArchiveState::Writing)?;
                    if is_own { archives::give_up(conn, campaign) } else { Ok(()) }
                };
                self.store.transact::<_, StoreError>(Lane::Write, "give an archive up", give_up).await?;
                return Err(error);
            }
        } else {
            self.must_be_whole(campaign).await?;
        }
        self.remove(lease).await?;
        Ok(true)
    }

    /// Takes the right to archive, if it is still time for that. Under the campaign's lock.
    fn take(&self, conn: &mut Conn, campaign: CampaignId) -> Result<Option<(ArchiveLease, ArchiveState)>, StoreError> {
        engine::lock_campaign(conn, campaign, CampaignLock::Exclusive)?;
        let is_sealed = archives::find(conn, campaign)?.is_some();
        if !is_sealed && !self.is_due(conn, campaign)? {
            archives::give_up(conn, campaign)?;
            return Ok(None);
        }
        archives::take(conn, campaign, &self.slot, &self.host)
    }

    fn is_due(&self, conn: &mut Conn, campaign: CampaignId) -> Result<bool, StoreError> {
        let before = engine::now(conn)?.plus_ms(-i64::from(self.keep_days) * 86_400_000);
        Ok(self.keep_days > 0 && !archiving::due(conn, before, Some(campaign))?.is_empty())
    }

    /// Writes the file, reads it back, and notes it.
    async fn write(&self, lease: ArchiveLease) -> Result<(), ArchiveError> {
        let campaign = lease.campaign;
        let folder = self.folder.clone();
        let mut part = in_background(move || Ok(folder.begin(campaign)?)).await?;
        let (mut after, mut renewed) = (ContactId(0), Instant::now());
        loop {
            let rows = self.read(campaign, after).await?;
            let Some(last) = rows.last().map(|row| row.delivery.contact_id) else { break };
            after = last;
            part = in_background(move || write_lines(part, &rows)).await?;
            if renewed.elapsed() > RENEWED_EVERY {
                renewed = Instant::now();
                let renew = move |conn: &mut Conn| archives::renew(conn, lease, ArchiveState::Writing);
                if !self.store.transact::<_, StoreError>(Lane::Write, "keep the lease of an archive", renew).await? {
                    return Err(ArchiveError::LeaseLost);
                }
            }
        }
        let complete = in_background(move || Ok(part.complete()?)).await?;
        FailPoint::Filed.pass();
        let sealed = self.seal(lease, &complete).await;
        // A database that has not answered may have noted the file: then it holds the only copy soon.
        if let Err(error) = &sealed
            && !matches!(error, ArchiveError::Store(_))
        {
            self.folder.remove(&complete.name);
        }
        sealed
    }

    /// The next deliveries, with everything that was ever reported of them.
    async fn read(&self, campaign: CampaignId, after: ContactId) -> Result<Vec<Whole>, StoreError> {
        let wait = move |conn: &mut Conn| archiving::await_reports(conn, campaign, after, READ_AT_ONCE);
        self.store.transact::<_, StoreError>(Lane::Write, "wait for reports of deliveries to archive", wait).await?;
        let read = move |conn: &mut Conn| archiving::portion(conn, campaign, after, READ_AT_ONCE);
        self.store.run(Lane::Read, "read deliveries to archive", read).await
    }

    /// Notes a file that balances with the pages: from then on the rows may go.
    async fn seal(&self, lease: ArchiveLease, complete: &Complete) -> Result<(), ArchiveError> {
        let Complete { name, sha256, bytes } = complete.clone();
        let campaign = lease.campaign;
        let file = self.count(name.clone(), sha256.clone()).await?;
        let pages =
            self.store.run(Lane::Read, "read page counts", move |conn| campaigns::counts(conn, campaign)).await?;
        if file != pages {
            return Err(ArchiveError::Unbalanced { file: file.total(), pages: pages.total() });
        }
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let sealed = Sealed { file: name, sha256, bytes, deliveries: file.total() };
        let (this, noted) = (self.clone(), sealed.clone());
        let seal = move |conn: &mut Conn| {
            // No launch that asks for these recipients commits meanwhile: it holds the shared lock.
            engine::lock_campaign(conn, campaign, CampaignLock::Exclusive)?;
            Ok::<_, StoreError>(this.is_due(conn, campaign)? && archives::seal(conn, lease, &noted)?)
        };
        if !self.store.transact(Lane::Write, "note an archive", seal).await? {
            return Err(ArchiveError::LeaseLost);
        }
        tracing::info!(
            event = "campaign.archived",
            campaign.id = campaign.0,
            archive.file = sealed.file,
            archive.deliveries = sealed.deliveries,
            archive.bytes = sealed.bytes,
            "the deliveries of a campaign are in a file, and their rows are removed"
        );
        FailPoint::Sealed.pass();
        Ok(())
    }

    async fn count(&self, name: String, sha256: String) -> Result<Counts, ArchiveError> {
        let folder = self.folder.clone();
        Ok(in_background(move || Ok(folder.count(&name, &sha256)?)).await?.counts)
    }

    /// Before more rows go: the file that has them is still there.
    async fn must_be_whole(&self, campaign: CampaignId) -> Result<(), ArchiveError> {
        let find = move |conn: &mut Conn| archives::find(conn, campaign);
        let found = self.store.run(Lane::Read, "look for an archive", find).await?;
        let Sealed { file, sha256, .. } = found.ok_or(ArchiveError::LeaseLost)?.sealed;
        self.count(file, sha256).await.map(drop)
    }

    async fn remove(&self, lease: ArchiveLease) -> Result<(), ArchiveError> {
        let mut after = ContactId(0);
        loop {
            let remove = move |conn: &mut Conn| {
                let removed = archiving::remove(conn, lease, after, REMOVED_AT_ONCE)?;
                if removed == Removed::All {
                    archives::finish(conn, lease)?;
                }
                Ok::<_, StoreError>(removed)
            };
            let removed = self.store.transact(Lane::Write, "remove archived deliveries", remove).await?;
            FailPoint::Removed.pass();
            match removed {
                Removed::UpTo(last) => after = last,
                Removed::All => return Ok(()),
                Removed::LeaseLost => return Err(ArchiveError::LeaseLost),
                Removed::OpenedAgain => return Err(ArchiveError::OpenedAgain),
            }
        }
    }
}

/// Runs what waits for the disk beside the asynchronous work.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn write_lines(mut part: Part, rows: &[Whole]) -> Result<Part, ArchiveError> {
    let mut text = String::new();
    for row in rows {
        text.push_str(&line(row)?);
    }
    part.write(&text)?;
    Ok(part)
}

fn line(whole: &Whole) -> Result<String, ArchiveError> {
    let Whole { delivery, attempts, links } = whole;
    let text = |text: Option<&str>| cell(text.unwrap_or_default(), false);
    let [claimed, settled] =
        [delivery.claimed_at, delivery.settled_at].map(|at| at.map(|at| at.to_string()).unwrap_or_default());
    let reported: Vec<&str> =
        ReportKind::ALL.into_iter().filter(|kind| delivery.reported.has(*kind)).map(ReportKind::column).collect();
    let log =
        if attempts.is_empty() { String::new() } else { serde_json::to_string(attempts).map_err(io::Error::from)? };
    let links: Vec<String> =
        links.iter().map(|link| format!("{}{}", if link.machine { "machine " } else { "" }, link.link)).collect();
    Ok(format!(
        "{},{},{},{},{},{},{},{},{claimed},{settled},{},{},{}\r\n",
        delivery.contact_id,
        delivery.page_id,
        delivery.state,
        delivery.attempts,
        text(delivery.reason.as_deref()),
        delivery.category.map(|category| category.to_string()).unwrap_or_default(),
        delivery.answer_class.map(|class| class.to_string()).unwrap_or_default(),
        text(delivery.provider_id.as_deref()),
        reported.join(";"),
        text(Some(&log)),
        links.join(";"),
    ))
}
