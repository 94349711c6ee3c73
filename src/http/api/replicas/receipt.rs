//! Stop receipts: which instances have followed a decision, and what was under way when they did.

use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::InstanceId;
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::{Action, Subject};
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params};
use crate::http::web::problem::ApiError;
use crate::store::replicas::decisions::{self, Reply};
use crate::store::{Lane, StoreError};

/// How long an answer waits for acknowledgements at most, in milliseconds, unless the request says otherwise.
const WAIT_MS: u64 = 1_000;

/// How often the acknowledgements are looked at, in the beginning and at most.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// How long to wait for acknowledgements.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Wait(Duration);

impl Wait {
    /// As long as a request waits that says nothing else.
    pub(in crate::http) const USUAL: Self = Self(Duration::from_millis(WAIT_MS));
}

impl FromQuery for Wait {
    const NAMES: &'static [&'static str] = &["wait_ms"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let ms = params.integer("wait_ms", 0..=30_000)?;
        Ok(Self(Duration::from_millis(ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(WAIT_MS))))
    }
}

/// What became of a decision, instance by instance.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Receipt {
    /// What was decided.
    pub(in crate::http) action: Action,
    /// The decision's version: the campaign's status version, or that of the pool's switch.
    pub(in crate::http) version: i64,
    /// When it was stored.
    pub(in crate::http) decided_at: UtcInstant,
    /// Whether every instance that was alive then has acted on it.
    pub(in crate::http) complete: bool,
    /// Instances that have acted on it: no hand-over begins there after that.
    pub(in crate::http) acknowledged: Vec<Acknowledged>,
    /// Instances that have not acted on it so far. What they had claimed may begin within `start_deadline_ms` of the claim; after that
    /// nothing does, because no claim succeeds.
    pub(in crate::http) missing: Vec<Missing>,
    /// When the last hand-over began anywhere, as far as that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) last_hand_over_at: Option<UtcInstant>,
    /// See `missing`. Milliseconds.
    pub(in crate::http) start_deadline_ms: u64,
}

/// An instance that has acted on a decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Acknowledged {
    pub(in crate::http) instance_id: InstanceId,
    pub(in crate::http) host: String,
    pub(in crate::http) acknowledged_at: UtcInstant,
    /// Hand-overs that were under way: they cannot be called back.
    pub(in crate::http) in_flight: i64,
    /// When the last one began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) last_hand_over_at: Option<UtcInstant>,
}

/// An instance that has not acknowledged a decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Missing {
    pub(in crate::http) instance_id: InstanceId,
    pub(in crate::http) host: String,
    /// When its last heartbeat was stored.
    pub(in crate::http) last_seen_at: UtcInstant,
}

impl Receipt {
    /// The receipt that replies come to. `None`: nothing was ever decided.
    pub(in crate::http) fn of(replies: Vec<Reply>, start_deadline_ms: u64) -> Option<Self> {
        let first = replies.first()?;
        let (action, version, decided_at) = (first.action, first.version, first.noted_at);
        let (mut acknowledged, mut missing) = (Vec::new(), Vec::new());
        for reply in replies {
            match reply.acknowledged_at {
                Some(acknowledged_at) => acknowledged.push(Acknowledged {
                    instance_id: reply.instance,
                    host: reply.host,
                    acknowledged_at,
                    in_flight: reply.in_flight.unwrap_or(0),
                    last_hand_over_at: reply.last_begun_at,
                }),
                // It has ended in order, and hands nothing over.
                None if reply.stopped_at.is_some() => {}
                None => missing.push(Missing {
                    instance_id: reply.instance,
                    host: reply.host,
                    last_seen_at: reply.last_seen_at,
                }),
            }
        }
        Some(Self {
            action,
            version,
            decided_at,
            complete: missing.is_empty(),
            last_hand_over_at: acknowledged.iter().filter_map(|one| one.last_hand_over_at).max(),
            acknowledged,
            missing,
            start_deadline_ms,
        })
    }
}

/// The receipt of the newest decision on a subject, as it stands. `None`: nothing was ever decided.
pub(in crate::http) async fn read(state: &AppState, subject: Subject) -> Result<Option<Receipt>, StoreError> {
    let replies =
        state.store.run(Lane::LookUp, "read a receipt", move |conn| decisions::replies(conn, &subject)).await?;
    Ok(Receipt::of(replies, state.settings.timing.start_deadline_ms))
}

/// The receipt, once it is complete or the time is up.
pub(in crate::http) async fn wait(
    state: &AppState,
    subject: Subject,
    Wait(limit): Wait,
) -> Result<Option<Receipt>, StoreError> {
    let (began, mut pause) = (Instant::now(), LOOK_EVERY.0);
    loop {
        let receipt = read(state, subject.clone()).await?;
        let left = limit.saturating_sub(began.elapsed());
        if left.is_zero() || receipt.as_ref().is_none_or(|receipt| receipt.complete) {
            return Ok(receipt);
        }
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(LOOK_EVERY.1);
    }
}
