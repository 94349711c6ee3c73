//! What providers report: taken, read, and made true.

pub mod consequences;
mod hear;
pub mod prune_callbacks;
pub mod read_callbacks;
pub mod receive;
pub mod replay;
pub mod sns;
