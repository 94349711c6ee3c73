//! Decisions on contacts, lists, and what people agree to and refuse.

pub mod change_contact;
pub mod change_list;
pub mod change_members;
pub mod create_list;
pub mod delete_contact;
pub mod delete_list;
pub mod links;
pub mod restore_refusals;
pub mod rotate_links;
pub mod standings;
pub mod subscribe_members;
pub mod upsert_contact;
