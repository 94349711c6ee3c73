//! What all doors share.

mod bad_input;
mod idempotency;
mod problems;
