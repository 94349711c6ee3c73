//! What all doors share.

mod bad_input;
mod compression;
mod cors;
mod head;
mod idempotency;
mod problems;
