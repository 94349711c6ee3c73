//! Decisions that concern all instances.

pub mod switch_pool;
