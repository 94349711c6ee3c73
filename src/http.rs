//! The REST API: the route table, a folder for each door and one for what they share, authentication, OpenAPI.
//!
//! **Invariants.** Every error leaves as RFC 9457 problem+json with a stable `code`, or as a page that has the same in it. A handler parses at the edge,
//! reads from the store or calls a service, and answers. It holds no rule of the domain.

mod access;
pub mod api;
pub mod auth;
pub mod codes;
mod doors;
pub mod limits;
mod machinery;
pub mod openapi;
pub mod public;
pub mod pulse;
pub mod routes;
pub mod server;
pub mod sessions;
mod speeds;
pub mod state;
pub mod ui;
mod verb;
pub mod web;

pub use state::AppState;
pub use web::problem::ApiError;
