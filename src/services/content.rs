//! Decisions on templates, and on what a message may contain.

pub mod change_template;
pub mod check;
pub mod check_email;
pub mod create_template;
pub mod delete_template;
pub mod files;
pub mod preview_content;
pub mod preview_template;
