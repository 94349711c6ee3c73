//! `[timing]`: every delay, batch size and limit that carries the delivery protocol.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often things happen and how long they may take. All in milliseconds, as the names say.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// How long a page lease lasts. 10,000.
    pub lease_ms: u64,
    /// How often a lease is renewed. 2,000.
    pub lease_renew_ms: u64,
    /// How long after asking for it a lease is trusted; past that nothing is handed over. 8,000.
    pub lease_trust_ms: u64,
    /// How often the campaign driver looks for campaigns that nobody drives. 1,000.
    pub driver_tick_ms: u64,
    /// How often a pool looks for pages that came due. 250.
    pub due_tick_ms: u64,
    /// A claimed delivery whose hand-over has not begun this long after asking for the claim is not begun. 500.
    pub start_deadline_ms: u64,
    /// Most deliveries per claim. 64.
    pub claim_chunk: usize,
    /// How long a pool with few free slots waits for more of them before it claims. 2.
    pub claim_linger_ms: u64,
    /// How long an outcome waits for others before it is recorded. 8.
    pub flush_ms: u64,
    /// Most outcomes per recording transaction. 1,000.
    pub flush_batch: usize,
    /// How long a cached campaign status is believed. 5,000.
    pub status_ttl_ms: u64,
    /// How often the reaper looks for ended leases. 1,000.
    pub reaper_tick_ms: u64,
    /// How often the scheduler looks for due campaigns. 1,000.
    pub scheduler_tick_ms: u64,
    /// Added to a call's timeout before an ambiguous attempt may be repeated or a silent page is taken away. 2,000.
    pub call_margin_ms: u64,
    /// How long a pool whose provider cannot be reached waits before it tries again: first wait. 500.
    pub circuit_first_ms: u64,
    /// The longest such wait. 15,000.
    pub circuit_max_ms: u64,
    /// How long after an unclear refusal the pool looks a second time at how the others fare, before the refusal counts.
    /// 5,000. Shorter ones are for tests: they mistake a provider's trouble for a recipient's.
    pub second_look_ms: u64,
    /// How long a delivery waits after an unclear refusal that does not count, the first time. 30,000. Shorter ones are for
    /// tests: they come back within the time that greylisting wants.
    pub put_off_ms: u64,
    /// How long a delivery waits that a provider in trouble refused, the first time. 1,000.
    pub step_back_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease_ms: 10_000,
            lease_renew_ms: 2_000,
            lease_trust_ms: 8_000,
            driver_tick_ms: 1_000,
            due_tick_ms: 250,
            start_deadline_ms: 500,
            claim_chunk: 64,
            claim_linger_ms: 2,
            flush_ms: 8,
            flush_batch: 1_000,
            status_ttl_ms: 5_000,
            reaper_tick_ms: 1_000,
            scheduler_tick_ms: 1_000,
            call_margin_ms: 2_000,
            circuit_first_ms: 500,
            circuit_max_ms: 15_000,
            second_look_ms: 5_000,
            put_off_ms: 30_000,
            step_back_ms: 1_000,
        }
    }
}

impl Timing {
    /// How long after its claim an attempt may still be under way, given the longest call of its channel. Whatever makes an
    /// outcome known later than that belongs into this sum, and nowhere else.
    #[must_use]
    pub fn on_the_wire(&self, call: Duration) -> Duration {
        self.start_deadline() + call + self.second_look() + self.call_margin()
    }
}

macro_rules! durations {
    ($($(#[$doc:meta])* $name:ident = $field:ident;)*) => {
        impl Timing {$(
            $(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> Duration {
                Duration::from_millis(self.$field)
            }
        )*}
    };
}

durations! {
    /// How long a page lease lasts.
    lease = lease_ms;
    /// How often a lease is renewed.
    lease_renew = lease_renew_ms;
    /// How long after asking for it a lease is trusted.
    lease_trust = lease_trust_ms;
    /// The campaign driver's tick.
    driver_tick = driver_tick_ms;
    /// The pools' tick.
    due_tick = due_tick_ms;
    /// The start deadline.
    start_deadline = start_deadline_ms;
    /// How long a claim waits for more free slots.
    claim_linger = claim_linger_ms;
    /// How long an outcome waits for company.
    flush = flush_ms;
    /// How long a cached status is believed.
    status_ttl = status_ttl_ms;
    /// The reaper's tick.
    reaper_tick = reaper_tick_ms;
    /// The scheduler's tick.
    scheduler_tick = scheduler_tick_ms;
    /// The margin on a call's timeout.
    call_margin = call_margin_ms;
    /// The first wait of an open circuit.
    circuit_first = circuit_first_ms;
    /// The longest wait of an open circuit.
    circuit_max = circuit_max_ms;
    /// When an unclear refusal is looked at a second time.
    second_look = second_look_ms;
    /// The first wait after an unclear refusal that does not count.
    put_off = put_off_ms;
    /// The first wait after a provider in trouble refused.
    step_back = step_back_ms;
}
