//! Decisions on contacts and lists.

pub mod change_contact;
pub mod change_list;
pub mod change_members;
pub mod create_list;
pub mod delete_contact;
pub mod delete_list;
pub mod links;
pub mod rotate_links;
pub mod upsert_contact;
