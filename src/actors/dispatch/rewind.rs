//! What an instance does when its database has gone back in time: it hands nothing over, pauses what is sending, compares
//! its journal with the rows, and only then works with the database again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::domain::dispatch::evidence::Known;
use crate::domain::ids::{CampaignId, ContactId, InstanceId};
use crate::journal::{Journal, JournalContents};
use crate::runtime::status_cache::StatusCache;
use crate::services::By;
use crate::services::people::restore_refusals::{RestoreError, restore_refusals};
use crate::store::dispatch::{packing, rewind};
use crate::store::engine::history::Lineage;
use crate::store::people::refusals::RefusalBook;
use crate::store::replicas::instances;
use crate::store::{Conn, Store, StoreError};

/// How often it is asked whether the database has another history.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long another try waits, while the database does not answer.
const RETRY: Duration = Duration::from_secs(1);

/// Contacts compared in one transaction.
const AT_ONCE: usize = 500;

/// What the comparison works with.
#[derive(Clone)]
pub struct Rewind {
    /// The database.
    pub store: Store,
    /// Recipients per page, for pages that have to be packed again.
    pub page_size: i64,
    /// The slot's folder: the history that was last worked with is noted there.
    pub folder: PathBuf,
    /// This incarnation.
    pub instance: InstanceId,
    /// Its slot.
    pub slot: String,
    /// The refusals that are filed on this machine.
    pub refusals: RefusalBook,
    /// Set when the database has lost this incarnation: another one may get its number, so the process has to end.
    pub orphaned: Arc<AtomicBool>,
}

/// Why a comparison did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RewindError {
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database does not know this incarnation any more.
    #[error("the database has lost the registration of this instance; it must be started again")]
    Orphaned,
    /// The journal or the filed refusals cannot be read, or the history not be noted.
    #[error("cannot read or write in the folders of the journal and of refusals")]
    Folder(#[from] std::io::Error),
}

impl From<RestoreError> for RewindError {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Unreadable(error) => Self::Folder(error),
            RestoreError::Store(error) => Self::Store(error),
        }
    }
}

impl Rewind {
    /// Watches the database's history for as long as the process lives. The gates are shut by the store itself, from the first
    /// connection on that sees another history until this has accepted it.
    pub async fn watch(self, journal: Arc<Journal>, status: Arc<StatusCache>) {
        // A file has one history.
        while !self.store.has_one_writer() {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(found) = self.store.history().found() else { continue };
            tracing::error!(
                event = "database.rewound",
                history = %found,
                "the database has another history than before, so nothing is handed over"
            );
            // What was believed has versions of a time that is gone.
            status.forget_all();
            let book = Arc::clone(&journal);
            let read = tokio::task::spawn_blocking(move || book.everything()).await;
            let settled = match read.map_err(std::io::Error::other).flatten() {
                Ok(journals) => self.settle_living(found, &journals).await,
                Err(error) => Err(error.into()),
            };
            match settled {
                Ok(()) if self.store.history().accept(found) => {
                    status.forget_all();
                    tracing::warn!(
                        event = "journal.compared",
                        history = %found,
                        "the journal was compared with the database, and work continues"
                    );
                }
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(
                        event = "journal.comparison_failed",
                        error = %error,
                        "the journal cannot be compared with the database; it is tried again"
                    );
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// At start: the same with the journals of former incarnations, if the database has another history than this slot has
    /// last worked with.
    ///
    /// # Errors
    /// The database does not answer, or the journals cannot be read; safe to repeat.
    pub async fn at_start(&self) -> Result<(), RewindError> {
        let Some(present) = self.store.history().accepted() else { return Ok(()) };
        let noted = std::fs::read_to_string(note_path(&self.folder)).unwrap_or_default();
        if noted.trim() == present.to_string() {
            return Ok(());
        }
        let journals =
            if noted.is_empty() { JournalContents::default() } else { JournalContents::of_everything(&self.folder)? };
        self.settle(present, &journals).await
    }

    /// The same for a process that goes on.
    async fn settle_living(&self, found: Lineage, journals: &JournalContents) -> Result<(), RewindError> {
        self.settle(found, journals).await?;
        let (me, slot) = (self.instance, self.slot.clone());
        let known = self.run("look for this instance", move |conn| instances::is_registered(conn, me, &slot)).await?;
        if !known {
            self.orphaned.store(true, Ordering::Release);
            return Err(RewindError::Orphaned);
        }
        // Before anything is sent. Who starts does so anyway.
        restore_refusals(&self.store, &self.refusals, &By::start()).await?;
        Ok(())
    }

    async fn settle(&self, found: Lineage, journals: &JournalContents) -> Result<(), RewindError> {
        let paused = self.run("pause all campaigns", move |conn| rewind::pause_all(conn, found)).await?;
        for campaign in paused {
            tracing::warn!(
                event = "campaign.paused",
                campaign.id = campaign.0,
                reason = "the database has gone back in time",
                "Volley has paused the campaign by itself"
            );
        }
        let (mut restored, mut lost) = (0, 0);
        for (campaign, known) in journals.by_campaign() {
            let mut known = known.into_iter().peekable();
            while known.peek().is_some() {
                let part: Known = known.by_ref().take(AT_ONCE).collect();
                let (some, missing) = self.replay(campaign, part).await?;
                restored += some;
                lost += missing;
            }
        }
        std::fs::write(note_path(&self.folder), found.to_string())?;
        if restored > 0 {
            tracing::warn!(
                event = "journal.restored",
                restored,
                "hand-overs that the database had lost were restored from the journal"
            );
        }
        if lost > 0 {
            tracing::error!(
                event = "journal.launch_lost",
                lost,
                "the journal has hand-overs of a campaign whose launch the database has lost"
            );
        }
        Ok(())
    }

    /// Compares a part of a campaign. Returns how many rows were changed, and how many people have none.
    async fn replay(&self, campaign: CampaignId, known: Known) -> Result<(usize, usize), StoreError> {
        let known = Arc::new(known);
        let compare = |known: Arc<Known>| {
            self.run("compare the journal with the database", move |conn| rewind::replay(conn, campaign, &known))
        };
        let first = compare(Arc::clone(&known)).await?;
        let Some(last) = first.missing.iter().max().copied() else { return Ok((first.restored, 0)) };
        // Their pages were packed in the lost time. Packed again, they have rows that can say what happened.
        self.pack(campaign, last).await?;
        let second = compare(known).await?;
        Ok((first.restored + second.restored, second.missing.len()))
    }

    async fn pack(&self, campaign: CampaignId, through: ContactId) -> Result<(), StoreError> {
        let size = self.page_size;
        let one = move |conn: &mut Conn| conn.write(|conn| packing::pack_towards(conn, campaign, size, through));
        while self.run("pack lost pages again", one).await? {}
        Ok(())
    }

    async fn run<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce(&mut Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.store.settle_history(action, work).await
    }
}

fn note_path(folder: &Path) -> PathBuf {
    folder.join("history")
}
