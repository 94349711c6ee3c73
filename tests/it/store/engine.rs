//! What all tables share.

mod clocks;
mod durability;
mod idempotency;
mod migrations;
mod plans;
mod tls;
