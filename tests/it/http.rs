//! The REST API over real sockets.

mod api;
mod load;
pub(crate) mod public;
mod web;
