//! What one process shares: clocks, caches, counters, health, where its actors are found and what they are told. Nothing here
//! is an actor, and nothing here opens a transaction.

pub mod archive_folder;
pub(crate) mod batcher;
pub mod clock;
pub mod directory;
pub mod health;
pub mod hints;
pub mod in_flight;
pub mod pool;
pub mod process;
pub mod refusal_spool;
pub mod status_cache;
pub mod suspensions;
pub mod tracking_spool;
pub(crate) mod trust;
