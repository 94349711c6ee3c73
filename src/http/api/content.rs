//! Templates.

pub mod checks;
pub(in crate::http) mod templates;
