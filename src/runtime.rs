//! What one process shares: clocks, caches, counters and health. Nothing here is an actor, and nothing here opens a transaction.

pub mod clock;
pub mod health;
pub mod status_cache;
pub mod traffic;
pub(crate) mod tray;
