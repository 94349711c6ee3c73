//! What all doors share.

mod bad_input;
mod compression;
mod head;
mod idempotency;
mod problems;
