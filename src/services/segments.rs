//! Criteria and segments.

pub mod estimate;
pub mod named;
