//! The REST API over real sockets.

mod auth;
mod bad_input;
mod campaigns;
mod contacts;
mod idempotency;
mod imports;
mod lists;
mod load;
mod operations;
mod paces;
mod problems;
mod templates;
