//! Clicks and opens: noted on this instance's disk before they are answered, and counted in the database soon after.

mod count;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::{Counter, counter, gauge};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use self::count::{Counted, count};
use crate::domain::dispatch::delivery::DeliveryId;
use crate::domain::ids::LinkNumber;
use crate::domain::instant::UtcInstant;
use crate::domain::reports::Reader;
use crate::runtime::tracking_spool::{Depth, Lines, Segment, TrackingSpool};
use crate::store::dispatch::reported;
use crate::store::{Conn, Lane, Store, StoreError};

/// How often what waits is counted.
const COUNTED_EVERY: Duration = Duration::from_millis(250);

/// How often what is left of a file is tried again before the next file's turn.
const TRIES: usize = 4;

/// Clicks and opens in one transaction: on SQLite more would hold its only writer for long.
const AT_ONCE: usize = 1_000;
const AT_ONCE_WITH_ONE_WRITER: usize = 200;

/// A click or an open, as it was requested. Its target may be personal data: never logged, so it has no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Noted {
    /// Its own: under it, it is counted once.
    id: String,
    /// When it was asked for, in milliseconds since 1970.
    at_ms: i64,
    #[serde(flatten)]
    delivery: Message,
    /// The link, and where it leads; none for an open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    click: Option<Click>,
    /// Whether the request was a machine's.
    #[serde(default)]
    machine: bool,
}

/// The message that was clicked or opened.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Message {
    campaign: crate::domain::ids::CampaignId,
    contact: crate::domain::ids::ContactId,
}

/// A click.
#[derive(Clone, Serialize, Deserialize)]
pub struct Click {
    /// Which link.
    pub link: LinkNumber,
    /// Where it leads.
    pub url: String,
}

impl Noted {
    /// A click, or without one an open, of this message at this moment.
    #[must_use]
    pub fn new(delivery: DeliveryId, click: Option<Click>, reader: Reader, at: UtcInstant) -> Self {
        let DeliveryId { campaign, contact } = delivery;
        Self {
            id: uuid::Uuid::new_v4().simple().to_string(),
            at_ms: at.0,
            delivery: Message { campaign, contact },
            click,
            machine: reader == Reader::Machine,
        }
    }

    fn delivery(&self) -> DeliveryId {
        let Message { campaign, contact } = self.delivery;
        DeliveryId { campaign, contact }
    }
}

/// The way to the spool. Cloning is cheap.
#[derive(Clone)]
pub struct TrackingDesk {
    spool: Arc<TrackingSpool>,
    /// Open for as long as the work behind it goes on.
    work: mpsc::Sender<()>,
    noted: Counter,
    lost: Counter,
    /// Whether the last one could not be noted, and the log says so.
    is_losing: Arc<AtomicBool>,
}

impl TrackingDesk {
    /// A desk, and the work behind it, which runs until the last desk is gone.
    pub fn new(
        store: Store,
        spool: Arc<TrackingSpool>,
        machine_within: Duration,
    ) -> (Self, impl Future<Output = ()> + use<>) {
        let (alive, ended) = mpsc::channel(1);
        let count = |what: &'static str| counter!("volley_tracked_requests_total", "noted" => what);
        let desk = Self {
            spool: Arc::clone(&spool),
            work: alive,
            noted: count("yes"),
            lost: count("no"),
            is_losing: Arc::default(),
        };
        let put_aside = counter!("volley_tracking_put_aside_total");
        (desk, Work { store, spool, machine_within, put_aside }.run(ended))
    }

    /// Notes a click or an open: it outlasts the process then. One that cannot be noted is counted as lost, and its request is
    /// answered all the same. The log tells of the first of several in a row.
    pub fn note(&self, noted: &Noted) {
        match self.spool.add(noted) {
            Ok(()) => {
                self.noted.increment(1);
                self.is_losing.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                self.lost.increment(1);
                if !self.is_losing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(event = "tracking.lost", error = %error, "clicks and opens cannot be noted");
                }
            }
        }
    }

    /// Whether its work goes on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.work.is_closed()
    }
}

struct Work {
    store: Store,
    spool: Arc<TrackingSpool>,
    machine_within: Duration,
    put_aside: Counter,
}

impl Work {
    async fn run(self, mut ended: mpsc::Receiver<()>) {
        tokio::select! {
            // Nothing is sent: it ends with the last desk.
            _ = ended.recv() => {}
            () = self.count_all() => {}
        }
    }

    async fn count_all(&self) {
        let mut is_away = false;
        loop {
            self.show_depth();
            match (self.count_what_waits(is_away).await, is_away) {
                (Ok(()), true) => {
                    tracing::info!(event = "tracking.counted_again", "clicks and opens are counted again");
                    is_away = false;
                }
                (Err(error), false) => {
                    tracing::warn!(
                        event = "tracking.waiting",
                        error = %error,
                        "clicks and opens cannot be counted; they wait on this machine's disk"
                    );
                    is_away = true;
                }
                (Ok(()), false) | (Err(_), true) => {}
            }
            tokio::time::sleep(COUNTED_EVERY).await;
        }
    }

    fn show_depth(&self) {
        let Depth { bytes, age } = self.spool.depth();
        gauge!("volley_tracking_spool_bytes").set(f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)));
        gauge!("volley_tracking_spool_age_seconds").set(age.as_secs_f64());
    }

    /// Counts the files that there are now, each once. While nothing can be counted, what comes makes no more files than it must.
    async fn count_what_waits(&self, is_away: bool) -> Result<(), String> {
        if !is_away {
            self.spool.close();
        }
        for segment in self.spool.closed() {
            self.count_file(segment).await?;
            self.show_depth();
        }
        Ok(())
    }

    /// Counts what a file has, and removes it; it stays if deliveries of it are still being moved. An error: the database is away, or the
    /// disk, and it is tried again.
    async fn count_file(&self, segment: Segment) -> Result<(), String> {
        let later = |error: io::Error| error.to_string();
        let spool = Arc::clone(&self.spool);
        let read = tokio::task::spawn_blocking(move || spool.read::<Noted>(segment)).await;
        let Lines { read: mut lines, unreadable } =
            read.unwrap_or_else(|ended| Err(io::Error::other(ended))).map_err(later)?;
        let most = if self.store.has_one_writer() { AT_ONCE_WITH_ONE_WRITER } else { AT_ONCE };
        for _ in 0..TRIES {
            let mut left = Vec::new();
            for part in lines.chunks(most) {
                left.extend(self.count_part(part).await.map_err(|error| error.to_string())?);
            }
            lines = left;
            if lines.is_empty() {
                break;
            }
            // Another transaction is moving these deliveries.
            tokio::time::sleep(COUNTED_EVERY).await;
        }
        if !lines.is_empty() {
            return Ok(());
        }
        for line in unreadable {
            self.put_aside(&line, "it cannot be read").map_err(later)?;
        }
        let spool = Arc::clone(&self.spool);
        let forgotten = tokio::task::spawn_blocking(move || spool.forget(segment)).await;
        forgotten.unwrap_or_else(|ended| Err(io::Error::other(ended))).map_err(later)
    }

    fn put_aside(&self, line: &[u8], why: &str) -> io::Result<()> {
        tracing::error!(
            event = "tracking.put_aside",
            error = why,
            "a click or an open cannot be counted; it is put aside beside the spool, for a person to look at"
        );
        self.spool.put_aside(line)?;
        self.put_aside.increment(1);
        Ok(())
    }

    /// Counts some. Those that have to be tried again are left.
    async fn count_part(&self, part: &[Noted]) -> Result<Vec<Noted>, StoreError> {
        match self.commit(part.to_vec()).await {
            Ok(left) => Ok(left),
            Err(error) if error.is_contention() => Ok(part.to_vec()),
            Err(error) if error.is_transient() => Err(error),
            // One that the database refuses keeps the others back no longer.
            Err(error) => match part {
                [] => Ok(Vec::new()),
                [one] => {
                    let line = serde_json::to_vec(one).map_err(io::Error::from);
                    let put_aside = line.and_then(|line| self.put_aside(&line, &error.to_string()));
                    put_aside.map(|()| Vec::new()).map_err(|_disk| error)
                }
                several => {
                    let mut all = Vec::new();
                    for one in several {
                        all.extend(Box::pin(self.count_part(std::slice::from_ref(one))).await?);
                    }
                    Ok(all)
                }
            },
        }
    }

    /// Counts some in one transaction. Those that have to be tried again are left.
    async fn commit(&self, part: Vec<Noted>) -> Result<Vec<Noted>, StoreError> {
        let within = self.machine_within;
        let work = move |conn: &mut Conn| count(conn, &part, within);
        let Counted { left, in_doubt } = self.store.transact(Lane::Write, "count clicks and opens", work).await?;
        let settle = move |conn: &mut Conn| reported::settle(conn, &in_doubt);
        self.store.transact(Lane::Write, "settle what was clicked or opened", settle).await?;
        Ok(left)
    }
}
