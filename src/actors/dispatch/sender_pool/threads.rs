//! The threads that carry hand-overs, and a pool's places on each.
//!
//! A connection is driven by the thread that opened it, so each share that a pool has of a thread comes with a channel,
//! and so connections, of its own: hand-overs never wait for another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::{Arbiter, ArbiterHandle};
use tokio::sync::Semaphore;

use crate::channels::Channel;

/// More threads than this are not used for hand-overs: the database is the narrower place then.
const MOST_THREADS: usize = 4;

/// The threads that all pools share: one for each core, up to `MOST_THREADS`.
#[derive(Clone)]
pub struct Threads(Arc<[ArbiterHandle]>);

impl Threads {
    /// Starts them.
    #[must_use]
    pub fn start() -> Self {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        Self((0..count).map(|_| Arbiter::new().handle()).collect())
    }

    /// How many of them a pool of that many places uses.
    #[must_use]
    pub fn for_places(&self, places: usize) -> usize {
        self.0.len().min(places).max(1)
    }

    /// Whether all of them live. What was given to a dead one is lost to this process, and known to the journal.
    #[must_use]
    pub fn are_alive(&self) -> bool {
        self.0.iter().all(|thread| thread.spawn(std::future::ready(())))
    }
}

/// A pool's share of one thread: its places there.
#[derive(Clone)]
pub(super) struct Share {
    pub(super) channel: Arc<dyn Channel>,
    /// One for each call that may be under way; waiting is in order.
    pub(super) places: Arc<Semaphore>,
    thread: ArbiterHandle,
    size: Arc<AtomicUsize>,
    load: Arc<AtomicUsize>,
}

impl Share {
    /// Spreads `places` over a thread for each channel.
    pub(super) fn spread(threads: &Threads, channels: &[Arc<dyn Channel>], places: usize) -> Vec<Self> {
        let count = channels.len().max(1);
        let share = |(number, (channel, thread)): (usize, (&Arc<dyn Channel>, &ArbiterHandle))| {
            let size = places / count + usize::from(number < places % count);
            Self {
                channel: Arc::clone(channel),
                places: Arc::new(Semaphore::new(size)),
                thread: thread.clone(),
                size: Arc::new(AtomicUsize::new(size)),
                load: Arc::default(),
            }
        };
        channels.iter().zip(threads.0.iter()).enumerate().map(share).collect()
    }

    /// How many more than its places it has to carry; negative while some are free.
    pub(super) fn excess(&self) -> isize {
        let signed = |count: usize| isize::try_from(count).unwrap_or(isize::MAX);
        signed(self.load.load(Ordering::Acquire)) - signed(self.size.load(Ordering::Acquire))
    }

    /// The pool's pace leaves this share so many places: the hand-overs go elsewhere, and connections beyond are closed.
    pub(super) fn limit(&self, places: usize) {
        self.size.store(places, Ordering::Release);
        self.channel.limit(places);
    }

    /// Counts one hand-over in.
    pub(super) fn enter(&self) {
        self.load.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts one out.
    pub(super) fn leave(&self) {
        self.load.fetch_sub(1, Ordering::AcqRel);
    }

    /// Begins tasks on this thread, all in one go.
    pub(super) fn begin(&self, tasks: Vec<impl AsyncFnOnce() + Send + 'static>) {
        let begin = async move {
            for task in tasks {
                actix::spawn(task());
            }
        };
        if !self.thread.spawn(begin) {
            tracing::error!(
                event = "pool.thread_gone",
                "a thread for hand-overs is gone; the journal has what it began"
            );
        }
    }
}
