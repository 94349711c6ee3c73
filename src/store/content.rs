//! Templates, what emails have beside their words, and files.

pub mod email_fields;
pub mod files;
pub mod templates;
