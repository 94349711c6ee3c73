//! Where refusals by links are taken: gathered into few transactions while the database answers, spooled while it does not.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::runtime::refusal_spool::RefusalSpool;
use crate::services::people::say_no::{SaidNo, say_no};
use crate::services::people::standings::Refused;
use crate::store::people::refusals::RefusalBook;
use crate::store::{Conn, Lane, Store, StoreError};

/// Refusals in one transaction at most.
const MOST_AT_ONCE: usize = 200;

/// From the beginning of one transaction to that of the next one at least. One that comes alone is stored at once. Many share a
/// transaction: each one takes its turn among those of the campaigns, and waits for the disk.
const APART: Duration = Duration::from_millis(10);

/// Refusals that may wait for their turn: more wait at the door.
const WAITING: usize = 4_096;

/// How long a transaction may take before its refusals are spooled. It may be stored all the same: storing them again changes
/// nothing.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How often a spool with something in it is tried.
const APPLIED_EVERY: Duration = Duration::from_millis(200);

/// Spooled refusals in one transaction.
const APPLIED_AT_ONCE: usize = 500;

/// How a refusal was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The database has it.
    Stored(Refused),
    /// It is on this instance's disk, and nothing is handed over here before the database has it.
    Spooled,
}

/// Nobody has the refusal: neither the database nor the disk.
#[derive(Debug, thiserror::Error)]
#[error("neither the database nor the disk takes the refusal")]
pub struct NotTaken;

/// A refusal that waits, and who is told.
struct Waiting {
    no: SaidNo,
    told: oneshot::Sender<Result<Taken, NotTaken>>,
}

/// The way to the desk. Cloning is cheap.
#[derive(Clone)]
pub struct RefusalDesk {
    sender: mpsc::Sender<Waiting>,
    spool: Arc<RefusalSpool>,
}

impl RefusalDesk {
    /// A desk, and the work behind it, which runs until the last desk is gone.
    pub fn new(store: Store, book: RefusalBook, spool: Arc<RefusalSpool>) -> (Self, impl Future<Output = ()> + use<>) {
        let (sender, waiting) = mpsc::channel(WAITING);
        let count = |how: &'static str| counter!("volley_refusals_total", "taken" => how);
        let work = Work {
            store,
            book,
            spool: Arc::clone(&spool),
            stored: count("stored"),
            spooled: count("spooled"),
            lost: count("not"),
        };
        (Self { sender, spool }, work.run(waiting))
    }

    /// Takes a refusal. When this returns well, the refusal outlasts a crash.
    ///
    /// # Errors
    /// [`NotTaken`]: it must not be answered as done.
    pub async fn refuse(&self, no: SaidNo) -> Result<Taken, NotTaken> {
        let (told, answer) = oneshot::channel();
        self.sender.send(Waiting { no, told }).await.map_err(|_gone| NotTaken)?;
        answer.await.map_err(|_gone| NotTaken)?
    }

    /// Whether its work goes on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Whether refusals wait for the database. A request that would undo one waits, too.
    #[must_use]
    pub fn is_spooling(&self) -> bool {
        self.spool.has_lines()
    }
}

struct Work {
    store: Store,
    book: RefusalBook,
    spool: Arc<RefusalSpool>,
    stored: Counter,
    spooled: Counter,
    lost: Counter,
}

impl Work {
    async fn run(self, waiting: mpsc::Receiver<Waiting>) {
        // Side by side: who refuses while the database is away does not wait for its next try.
        tokio::select! {
            () = self.take_all(waiting) => {}
            () = self.apply_all() => {}
        }
    }

    async fn take_all(&self, mut waiting: mpsc::Receiver<Waiting>) {
        let mut next = Instant::now();
        while let Some(first) = waiting.recv().await {
            tokio::time::sleep_until(next).await;
            next = Instant::now() + APART;
            let mut batch = vec![first];
            while batch.len() < MOST_AT_ONCE
                && let Ok(next) = waiting.try_recv()
            {
                batch.push(next);
            }
            self.take(batch).await;
        }
    }

    async fn apply_all(&self) {
        loop {
            if self.spool.has_lines() {
                self.apply().await;
            }
            tokio::time::sleep(APPLIED_EVERY).await;
        }
    }

    /// What came since the last transaction began is the next one.
    async fn take(&self, batch: Vec<Waiting>) {
        let said: Vec<SaidNo> = batch.iter().map(|waiting| waiting.no.clone()).collect();
        // What waits is stored first, and soon.
        if !self.spool.has_lines() {
            match self.store(said.clone()).await {
                Ok(refused) => return self.tell(batch, refused),
                Err(error) => tracing::warn!(
                    event = "refusals.spooled",
                    refusals = said.len(),
                    error = %error,
                    "the database does not take refusals; they are kept on this machine's disk, and nothing is sent from here \
                     until the database has them"
                ),
            }
        }
        let spool = Arc::clone(&self.spool);
        let added = tokio::task::spawn_blocking(move || spool.add(&said)).await;
        let is_kept = match added {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(
                    event = "refusals.lost",
                    refusals = batch.len(),
                    error = %error,
                    "refusals can be kept neither in the database nor on the disk; they were answered with an error"
                );
                false
            }
            Err(_ended) => false,
        };
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        if is_kept {
            self.spooled.increment(count)
        } else {
            self.lost.increment(count)
        }
        for waiting in batch {
            // Who hung up meanwhile has refused all the same.
            let _ = waiting.told.send(if is_kept { Ok(Taken::Spooled) } else { Err(NotTaken) });
        }
    }

    fn tell(&self, batch: Vec<Waiting>, refused: Vec<Refused>) {
        self.stored.increment(u64::try_from(batch.len()).unwrap_or(u64::MAX));
        for (waiting, refused) in batch.into_iter().zip(refused) {
            let _ = waiting.told.send(Ok(Taken::Stored(refused)));
        }
    }

    async fn store(&self, said: Vec<SaidNo>) -> Result<Vec<Refused>, StoreError> {
        let book = self.book.clone();
        let work = move |conn: &mut Conn| conn.write_along_indexes(|conn| say_no(conn, &book, &said));
        let stored = self.store.run(Lane::Control, "store refusals", work);
        let seconds = PATIENCE.as_secs();
        let unanswered = StoreError::Unanswered { action: "store refusals", seconds };
        tokio::time::timeout(PATIENCE, stored).await.unwrap_or(Err(unanswered))
    }

    /// Stores what is spooled. The database may still be away: it is tried again soon.
    async fn apply(&self) {
        let spool = Arc::clone(&self.spool);
        let read = tokio::task::spawn_blocking(move || spool.read::<SaidNo>()).await;
        let (lines, read_to) = match read {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return unreadable(&error),
            Err(_ended) => return,
        };
        for chunk in lines.chunks(APPLIED_AT_ONCE) {
            match self.store(chunk.to_vec()).await {
                Ok(_) => {}
                Err(error) if error.is_absence() => return,
                Err(_) => {
                    if !self.apply_each(chunk).await {
                        return;
                    }
                }
            }
        }
        let spool = Arc::clone(&self.spool);
        match tokio::task::spawn_blocking(move || spool.clear(read_to)).await {
            Ok(Ok(true)) => tracing::info!(
                event = "refusals.applied",
                refusals = lines.len(),
                "the database has the refusals that were kept on the disk; messages are sent again"
            ),
            // Others came meanwhile: they are next.
            Ok(Ok(false)) | Err(_) => {}
            Ok(Err(error)) => unreadable(&error),
        }
    }

    /// One that the database refuses keeps the others back no longer. Whether all are stored or put aside.
    async fn apply_each(&self, chunk: &[SaidNo]) -> bool {
        for no in chunk {
            match self.store(vec![no.clone()]).await {
                Ok(_) => {}
                Err(error) if error.is_transient() => return false,
                Err(error) => {
                    tracing::error!(
                        event = "refusals.put_aside",
                        contact.id = no.contact.0,
                        error = %error,
                        "a refusal cannot be stored; it is put aside beside the spool, for a person to look at"
                    );
                    let (spool, no) = (Arc::clone(&self.spool), no.clone());
                    if !matches!(tokio::task::spawn_blocking(move || spool.put_aside(&no)).await, Ok(Ok(()))) {
                        return false;
                    }
                }
            }
        }
        true
    }
}

fn unreadable(error: &std::io::Error) {
    tracing::error!(
        event = "refusals.unreadable",
        error = %error,
        "the spool of refusals cannot be read or emptied; nothing is sent from here until it can"
    );
}
