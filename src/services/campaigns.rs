//! Decisions on campaigns.

pub mod audience_segments;
pub mod carried;
pub mod composed;
pub mod control;
pub mod count_audience;
pub mod create;
pub mod delete;
pub mod duplicate;
pub mod edit;
mod examine;
mod fingerprint;
pub mod incidents;
mod known_names;
pub mod launch;
pub mod launch_due;
pub mod preflight;
pub mod preview;
pub mod reach;
pub mod recipient_links;
pub mod render;
pub mod resolve;
pub mod retry;
pub mod schedule;
pub mod terms;
pub mod test_send;
pub mod why;
