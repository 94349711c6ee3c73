//! The REST API over real sockets.

mod api;
mod load;
mod public;
mod web;
