//! What all doors share: reading bodies and queries, problem documents, pages of lists, idempotency, the edge.

pub(in crate::http) mod client;
pub(in crate::http) mod compression;
pub(in crate::http) mod cors;
pub(in crate::http) mod csv;
pub(in crate::http) mod cursor;
pub(in crate::http) mod edge;
pub(in crate::http) mod export;
pub mod extract;
pub(in crate::http) mod head;
pub(in crate::http) mod id_or_slug;
pub mod idempotency;
pub(in crate::http) mod list_path;
mod meter;
pub(in crate::http) mod origin;
pub mod paging;
pub mod problem;
pub(in crate::http) mod rate_limit;
pub(in crate::http) mod segment_path;
pub(in crate::http) mod sse;
pub(in crate::http) mod text;
