//! Templates.

pub mod templates;
