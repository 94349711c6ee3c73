//! Decisions that concern all instances.

pub mod change_pace;
pub mod check_pool;
mod known_pool;
pub mod prune_replicas;
pub mod switch_pool;
