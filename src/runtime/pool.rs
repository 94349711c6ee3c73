//! What a sender pool is told and asked.

use std::time::Instant;

use actix::Message;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::domain::dispatch::lease::LeaseToken;
use crate::domain::ids::{CampaignId, PageId};

/// There may be work. A hint: a lost one costs one tick.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Wake;

/// Stops claiming, lets what is in flight end, settles every page. Answers when nothing is held any more.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Drain;

/// A lease of this pool was ended by the reaper. What is still in flight under it is waited for no longer: its
/// outcome, should one come, is recorded as evidence that came late. A hint: a lost one costs one renewal.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Forget {
    /// The page.
    pub page: PageId,
    /// The lease.
    pub token: LeaseToken,
}

/// Reports what the pool holds and what it waits for.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "PoolState")]
pub struct GetState;

/// What a pool holds and what it waits for.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PoolState {
    /// The pool's name.
    pub pool: String,
    /// How often it was rebuilt.
    pub generation: i64,
    /// Hand-overs under way.
    pub in_flight: usize,
    /// Hand-overs that may be under way at once.
    pub concurrency: usize,
    /// Claims under way.
    pub claims: usize,
    /// Leased pages.
    pub pages: Vec<HeldPage>,
    /// Announced pages that wait for room.
    pub offers: usize,
    /// Whether an operator has suspended it.
    pub suspended: bool,
    /// Whether its circuit is open.
    pub circuit_open: bool,
    /// How long until it may try again, in milliseconds.
    pub circuit_wait_ms: u64,
}

/// A leased page.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct HeldPage {
    /// The page.
    pub id: PageId,
    /// Its campaign.
    pub campaign_id: CampaignId,
    /// Its number.
    pub seq: i64,
    /// Claimed and not yet recorded.
    pub unrecorded: usize,
    /// `working`, `exhausted`, `closing`, `settling` or `resting`.
    pub phase: &'static str,
}

/// A page that may be leased: a message of the broker, unacknowledged until this is dropped.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Offer {
    /// The campaign.
    pub campaign: CampaignId,
    /// The page.
    pub page: PageId,
    /// When it came.
    pub since: Instant,
    /// Closed when the broker need not keep the message any longer.
    pub held: oneshot::Sender<()>,
}
