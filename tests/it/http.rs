//! The REST API over real sockets.

mod api;
pub(crate) mod callbacks;
mod load;
pub(crate) mod public;
mod ui;
mod web;
