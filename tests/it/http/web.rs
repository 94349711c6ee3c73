//! What all doors share.

mod bad_input;
mod head;
mod idempotency;
mod problems;
