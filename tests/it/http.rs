//! The REST API over real sockets, without sender pools.

mod auth;
mod bad_input;
mod contacts;
mod imports;
mod lists;
mod problems;
mod templates;
