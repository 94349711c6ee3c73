//! The actors that speak with other instances.

pub mod broker_link;
pub mod decision_follower;
