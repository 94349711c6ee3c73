//! Templates, and what emails have beside their words.

pub mod email_fields;
pub mod templates;
