//! Decisions that concern all instances.

pub mod change_pace;
mod known_pool;
pub mod switch_pool;
