//! Contacts, the lists that they are on, and the names of their attributes.

pub mod attributes;
pub mod contact_row;
pub mod contacts;
pub(in crate::store) mod dialect;
pub mod link_keys;
pub mod lists;
pub mod topics;
