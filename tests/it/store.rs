//! The store alone, on both databases.

mod contacts;
mod idempotency;
