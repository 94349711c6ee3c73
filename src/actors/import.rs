//! The actor that imports files.

pub mod importer;
