//! Events that programs tell of.

pub mod event_desk;
pub mod prune_events;
mod record;
pub mod store_events;
pub mod told;
