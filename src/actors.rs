//! The actors: whoever does something by itself.

pub mod importer;
