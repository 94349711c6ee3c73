//! Segments in bulk. PostgreSQL takes arrays and locks shards; SQLite takes JSON, and has one writer.

pub(super) mod holding;
pub(super) mod members;
pub(super) mod neighbours;
pub(super) mod queue;
