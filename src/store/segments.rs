//! Segments in the database.

pub mod facts;
