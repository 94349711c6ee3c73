//! Decisions on campaigns.

pub mod launch;
