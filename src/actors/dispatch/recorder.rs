//! Outcomes become rows and counts here, in batches; no outcome is ever dropped.

mod queue;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix::prelude::*;
use serde::Serialize;

use self::queue::{Queue, Waiting};
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::claim::ClaimKey;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use crate::domain::dispatch::lease::LeaseToken;
use crate::domain::dispatch::settlement::Settlement;
use crate::domain::ids::PageId;
use crate::journal::{Begun, Journal};
use crate::runtime::batcher::Batcher;
use crate::runtime::health::Health;
use crate::store::dispatch::outcomes;
use crate::store::engine::fail_point::FailPoint;
use crate::store::{Lane, Store, StoreError};

/// How long a batch waits before it is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(250);

/// How often the inbox is looked into without being told.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// An outcome to be recorded. It stands in the journal already, and is recorded and then acknowledged through `ack`,
/// however long the database is away.
pub struct Record {
    /// The outcome.
    pub settlement: Settlement,
    /// Its begin-line, if the hand-over had begun.
    pub begun: Option<Begun>,
    /// Where to say that it is recorded. Never holds more than was claimed.
    pub(in crate::actors) ack: Arc<Batcher<Acknowledged>>,
}

/// One outcome of a page is recorded that was claimed under this lease.
#[derive(Debug, Clone, Copy)]
pub(in crate::actors) struct Acknowledged {
    /// The page.
    pub(in crate::actors) page: PageId,
    /// The lease.
    pub(in crate::actors) token: LeaseToken,
}

/// Where hand-overs leave their outcomes. They lie in one place under a lock, and the recorder gets a hint for the first and
/// of a full batch only: a message for each would wake its thread for each.
#[derive(Clone)]
pub struct Inbox {
    outcomes: Outcomes,
    /// One address for all hand-overs: every clone would add a place to the mailbox.
    recorder: Arc<Addr<OutcomeRecorder>>,
    batch: usize,
}

type Outcomes = Arc<Mutex<Vec<Waiting>>>;

impl Inbox {
    /// Takes an outcome. Never waits, and never holds more than the pools have claimed on the few pages they hold.
    pub fn take(&self, record: Record) {
        let count = {
            let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            outcomes.push((record, Instant::now()));
            outcomes.len()
        };
        if (count == 1 || count == self.batch) && !self.recorder.connected() {
            tracing::error!(event = "recorder.gone", "the recorder is gone; the journal holds the outcomes");
        } else if count == 1 || count == self.batch {
            // A hint: a full mailbox costs one look.
            let _ = self.recorder.try_send(Collect);
        }
    }
}

/// There are outcomes in the inbox.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
struct Collect;

/// Reports what the recorder holds.
#[derive(Message)]
#[rtype(result = "RecorderState")]
pub struct GetState;

/// What the recorder holds.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RecorderState {
    /// Outcomes that wait for a flush.
    pub waiting: usize,
    /// Whether a flush is under way.
    pub flushing: bool,
    /// How long the oldest waiting outcome has waited, in milliseconds.
    pub oldest_ms: u64,
    /// Outcomes recorded since the start.
    pub recorded: u64,
    /// Why the last flush failed, if it failed.
    pub trouble: Option<String>,
}

/// The recorder.
pub struct OutcomeRecorder {
    store: Store,
    journal: Arc<Journal>,
    health: Health,
    flush_after: Duration,
    batch: usize,
    inbox: Outcomes,
    queue: Queue,
    /// One flush at a time, of all pages together: it costs as many statements as a flush of one page, and one commit.
    flushing: bool,
    timer: bool,
    recorded: u64,
    trouble: Option<String>,
}

impl OutcomeRecorder {
    /// A recorder that flushes after `flush_after` or at `batch` outcomes.
    #[must_use]
    pub fn new(store: Store, journal: Arc<Journal>, health: Health, flush_after: Duration, batch: usize) -> Self {
        Self {
            store,
            journal,
            health,
            flush_after,
            batch: batch.max(1),
            inbox: Outcomes::default(),
            queue: Queue::default(),
            flushing: false,
            timer: false,
            recorded: 0,
            trouble: None,
        }
    }

    /// Starts it on a thread of its own.
    #[must_use]
    pub fn begin(self) -> (Addr<Self>, Inbox) {
        let (outcomes, batch) = (Arc::clone(&self.inbox), self.batch);
        let addr = Self::start_in_arbiter(&Arbiter::new().handle(), move |_| self);
        (addr.clone(), Inbox { outcomes, recorder: Arc::new(addr), batch })
    }

    fn collect(&mut self, ctx: &mut Context<Self>) {
        self.queue.append(&mut self.inbox.lock().unwrap_or_else(PoisonError::into_inner));
        if self.queue.waiting().len() >= self.batch {
            self.flush(ctx);
        }
        self.arm(ctx);
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        if !self.queue.waiting().is_empty() {
            self.start_timer(ctx);
        }
    }

    fn start_timer(&mut self, ctx: &mut Context<Self>) {
        if !self.timer {
            self.timer = true;
            ctx.run_later(self.flush_after, |recorder, ctx| {
                recorder.timer = false;
                recorder.collect(ctx);
                recorder.flush(ctx);
                recorder.arm(ctx);
            });
        }
    }

    fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.flushing {
            return;
        }
        let batch = self.queue.take(Instant::now(), self.batch);
        let Some(lag) = batch.iter().map(|(_, at)| at.elapsed()).max() else { return };
        self.flushing = true;
        metrics::histogram!("volley_recorder_batch_size").record(f64::from(u32::try_from(batch.len()).unwrap_or(0)));
        metrics::histogram!("volley_recorder_lag_seconds").record(lag.as_secs_f64());
        self.journal.flush();
        let work = write(self.store.clone(), batch);
        ctx.spawn(work.into_actor(self).map(|(batch, result), recorder, ctx| recorder.flushed(batch, result, ctx)));
    }

    fn flushed(&mut self, batch: Vec<Waiting>, result: Result<(), StoreError>, ctx: &mut Context<Self>) {
        self.flushing = false;
        match result {
            Ok(()) => {
                if self.health.note_store(Ok(())) {
                    tracing::info!(event = "outcomes.recovered", "outcomes are recorded again");
                }
                self.queue.recorded(&batch);
                self.trouble = self.trouble.take().filter(|_| self.queue.is_resisted());
                self.recorded += u64::try_from(batch.len()).unwrap_or(0);
                self.journal.recorded(batch.iter().filter_map(|(record, _)| record.begun));
                for (record, _) in batch {
                    // The pool is gone: then its guardian has replaced it, and nobody waits for this.
                    let Settlement { page, key, .. } = record.settlement;
                    record.ack.leave(Acknowledged { page, token: key.token });
                }
                if self.queue.waiting().len() >= self.batch || self.queue.is_resisted() {
                    self.flush(ctx);
                }
                self.arm(ctx);
            }
            Err(error @ (StoreError::Unavailable { .. } | StoreError::DiskFull { .. } | StoreError::Closed)) => {
                if self.health.note_store(Err(&error)) {
                    tracing::error!(
                        event = "outcomes.unrecorded",
                        error = %error,
                        "outcomes cannot be recorded; they stay in the journal"
                    );
                }
                self.trouble = Some(error.to_string());
                self.queue.put_back(batch);
                ctx.run_later(RETRY_EVERY, |recorder, ctx| recorder.flush(ctx));
            }
            Err(error) => {
                let page = batch.first().map(|(record, _)| record.settlement.page.0);
                tracing::error!(
                    event = "outcomes.batch_failed",
                    page.id = page,
                    outcomes = batch.len(),
                    error = %error,
                    "a batch of outcomes cannot be recorded; it is tried again page by page"
                );
                self.trouble = Some(error.to_string());
                self.queue.resisted(batch, Instant::now());
                // The others go on at once.
                self.flush(ctx);
                ctx.run_later(RETRY_EVERY, |recorder, ctx| recorder.flush(ctx));
            }
        }
    }
}

async fn write(store: Store, batch: Vec<Waiting>) -> (Vec<Waiting>, Result<(), StoreError>) {
    let settlements: Vec<Settlement> = batch.iter().map(|(record, _)| record.settlement.clone()).collect();
    let result = store
        .run(Lane::Hot, "record outcomes", move |conn| {
            let recorded = conn.write(|conn| {
                let recorded = outcomes::record(conn, &settlements)?;
                FailPoint::Record.pass();
                Ok(recorded)
            });
            FailPoint::Recorded.pass();
            recorded
        })
        .await
        .map(|recorded| {
            report(&recorded.unmatched);
            tell_failed(&batch, &recorded.unmatched);
        });
    (batch, result)
}

/// Says which outcomes came too late to be written down. One that was accepted may be a second message: its delivery was
/// given to somebody else in the meantime.
fn report(unmatched: &[(ClaimKey, DeliveryState)]) {
    for (key, state) in unmatched {
        metrics::counter!("volley_outcomes_unmatched_total", "outcome" => state.as_str()).increment(1);
        if *state == DeliveryState::Sent {
            tracing::warn!(
                event = "delivery.accepted_late",
                campaign.id = key.campaign.0,
                contact.id = key.contact.0,
                claim_no = key.claim_no,
                "an acceptance came too late for its delivery"
            );
        }
    }
}

/// Says who has failed, and why. What the provider said stands with the delivery alone: it may repeat what it was sent.
fn tell_failed(batch: &[Waiting], unmatched: &[(ClaimKey, DeliveryState)]) {
    let settlements = batch.iter().map(|(record, _)| &record.settlement);
    for Settlement { key, verdict, .. } in settlements.filter(|one| one.verdict.state == DeliveryState::Failed) {
        if unmatched.iter().any(|(late, _)| late == key) {
            continue;
        }
        tracing::info!(
            event = "delivery.failed",
            campaign.id = key.campaign.0,
            contact.id = key.contact.0,
            category = verdict.category.map(ErrorCategory::as_str),
            class = verdict.class.map(AnswerClass::as_str),
            "a campaign contact failed: the recipient gets no message"
        );
    }
}

impl Actor for OutcomeRecorder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Hints and questions only.
        ctx.set_mailbox_capacity(64);
        ctx.run_interval(LOOK_EVERY, |recorder, ctx| recorder.collect(ctx));
    }
}

impl Handler<Collect> for OutcomeRecorder {
    type Result = ();

    fn handle(&mut self, _: Collect, ctx: &mut Self::Context) {
        // The first outcome waits for others where it lies: an inbox that is emptied too early calls again at once.
        if self.inbox.lock().unwrap_or_else(PoisonError::into_inner).len() >= self.batch {
            self.collect(ctx);
        } else {
            self.start_timer(ctx);
        }
    }
}

impl Handler<GetState> for OutcomeRecorder {
    type Result = MessageResult<GetState>;

    fn handle(&mut self, _: GetState, ctx: &mut Self::Context) -> Self::Result {
        self.collect(ctx);
        let waiting = self.queue.waiting();
        let oldest = waiting.iter().map(|(_, at)| at.elapsed()).max().unwrap_or_default();
        MessageResult(RecorderState {
            waiting: waiting.len(),
            flushing: self.flushing,
            oldest_ms: u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX),
            recorded: self.recorded,
            trouble: self.trouble.clone(),
        })
    }
}
