//! Templates.

pub mod pointers;
mod refusals;
pub(in crate::http) mod templates;
