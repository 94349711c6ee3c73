//! Templates, what emails have beside their words, and files.

pub mod email_fields;
pub mod files;
pub mod stored_json;
pub mod templates;
