//! Campaigns before and at their launch.

mod freeze;
mod unions;
mod unlaunched;
