//! Decisions on imports.

pub mod prune_rejections;
pub mod start_import;
