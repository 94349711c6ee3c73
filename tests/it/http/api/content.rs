//! Templates.

mod templates;
