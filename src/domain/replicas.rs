//! What instances tell each other.

pub mod decision;
pub mod messages;
pub mod role;
