//! Templates.

pub mod pointers;
pub(in crate::http) mod previews;
mod refusals;
pub(in crate::http) mod templates;
