//! Templates, and files.

pub(in crate::http) mod files;
pub mod pointers;
pub(in crate::http) mod previews;
mod refusals;
pub(in crate::http) mod templates;
