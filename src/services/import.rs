//! Decisions on imports.

pub mod start_import;
