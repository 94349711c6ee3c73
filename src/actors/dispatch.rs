//! The actors that pack, hand over, record and recover.

pub mod campaign_driver;
pub mod open_work;
pub mod paginator;
pub mod reaper;
pub mod recorder;
pub mod rewind;
pub mod scheduler;
pub mod sender_pool;
