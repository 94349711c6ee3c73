//! Segments in the database.

pub mod facts;
pub mod matching;
pub mod names;
