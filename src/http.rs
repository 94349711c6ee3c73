//! The REST API: the route table, a file per resource, authentication, problem documents, OpenAPI.
//!
//! **Invariants.** Every error leaves as RFC 9457 problem+json with a stable `code`. A handler parses at the edge, calls
//! the store, and answers; it holds no rule of the domain.

pub mod auth;
mod campaigns;
mod contacts;
pub mod content;
mod edge;
pub mod extract;
pub mod idempotency;
mod imports;
mod keys;
mod lists;
mod openapi;
mod operations;
mod paces;
pub mod paging;
pub mod problem;
pub mod readiness;
mod receipt;
mod replicas;
mod routes;
pub mod server;
pub mod state;
mod templates;
mod text;

pub use problem::ApiError;
pub use routes::routes;
pub use state::AppState;
