//! What waits to be published. Leaving something never waits: what cannot be published is dropped, for it is a hint.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use tokio::sync::{Notify, oneshot};

use super::session::Publication;
use super::topology;
use crate::domain::replicas::messages::{Control, Tracked};

/// Messages that wait at most. Beyond it the oldest goes.
const CAPACITY: usize = 1_000;

/// Leaves messages for the broker, if there is one.
#[derive(Clone, Default)]
pub struct Announcer {
    outbox: Option<Arc<Outbox>>,
}

#[derive(Default)]
struct Outbox {
    queue: Mutex<VecDeque<Waiting>>,
    left: Notify,
    pages: Notify,
}

/// A message that waits, and who is told that the broker has it.
pub(super) struct Waiting {
    pub(super) publication: Publication,
    pub(super) taken: Option<oneshot::Sender<()>>,
}

impl Announcer {
    /// One that a link empties.
    #[must_use]
    pub fn with_broker() -> Self {
        Self { outbox: Some(Arc::default()) }
    }

    /// A page or a campaign is done.
    pub fn tracked(&self, message: &Tracked) {
        if self.outbox.is_some() {
            tracing::info!(
                event = "campaign.tracked.published",
                campaign.id = message.campaign_id.0,
                page.seq = message.page,
                sent = message.sent_count,
                failed = message.failed_count,
                skipped = message.skipped_count,
                uncertain = message.uncertain_count,
                completed = message.completed,
                "the counts of a page, or of the whole campaign as page 0, are published"
            );
        }
        let key = message.campaign_id.to_string();
        self.leave(|| serde_json::to_vec(message).ok().map(|body| Publication::lasting(topology::TRACKED, &key, body)));
    }

    /// An operator has decided, by a request of this id.
    pub fn control(&self, message: &Control, request: Option<&str>) {
        self.leave(|| {
            let publication = Publication::plain(topology::CONTROL, "", serde_json::to_vec(message).ok()?);
            let Some(request) = request else { return Some(publication) };
            let mut headers = FieldTable::default();
            let value = AMQPValue::LongString(LongString::from(request.to_owned()));
            headers.insert(ShortString::from("x-request-id"), value);
            Some(publication.with_headers(headers))
        });
    }

    /// There may be pages to announce.
    pub fn pages(&self) {
        if let Some(outbox) = &self.outbox {
            outbox.pages.notify_one();
        }
    }

    fn leave(&self, publication: impl FnOnce() -> Option<Publication>) {
        if let Some(outbox) = &self.outbox
            && let Some(publication) = publication()
        {
            outbox.push(Waiting { publication, taken: None });
        }
    }

    /// Leaves a letter; resolves when the broker has it.
    pub(super) fn hand_in(&self, publication: Publication) -> oneshot::Receiver<()> {
        let (taken, wait) = oneshot::channel();
        if let Some(outbox) = &self.outbox {
            outbox.push(Waiting { publication, taken: Some(taken) });
        }
        wait
    }

    /// Everything that waits.
    pub(super) fn waiting(&self) -> Vec<Waiting> {
        self.outbox.as_ref().map(|outbox| outbox.lock().drain(..).collect()).unwrap_or_default()
    }

    /// Resolves when something was left.
    pub(super) async fn left(&self) {
        match &self.outbox {
            Some(outbox) => outbox.left.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Resolves when there may be pages to announce.
    pub(super) async fn pages_left(&self) {
        match &self.outbox {
            Some(outbox) => outbox.pages.notified().await,
            None => std::future::pending().await,
        }
    }
}

impl Outbox {
    fn push(&self, waiting: Waiting) {
        {
            let mut queue = self.lock();
            if queue.len() >= CAPACITY {
                queue.pop_front();
                metrics::counter!("volley_broker_messages_total", "exchange" => waiting.publication.exchange, "result" => "dropped")
                    .increment(1);
            }
            queue.push_back(waiting);
        }
        self.left.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
