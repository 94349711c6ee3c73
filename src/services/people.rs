//! Decisions on contacts, lists, and what people agree to and refuse.

pub mod attribute_coverage;
pub mod change_contact;
pub mod change_list;
pub mod change_members;
pub mod confirm;
pub mod create_list;
pub mod delete_contact;
pub mod delete_list;
pub mod import_refusals;
pub mod import_suppressions;
pub mod links;
pub mod preferences;
pub mod prune_attributes;
pub mod prune_unconfirmed;
pub mod refusal_desk;
pub mod restore_refusals;
pub mod rotate_links;
pub mod say_no;
pub mod selection;
pub mod standings;
pub mod subscribe_members;
pub mod suppress;
pub mod tag_contacts;
pub mod undo_bounces;
pub mod upsert_contact;
