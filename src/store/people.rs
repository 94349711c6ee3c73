//! Contacts, how they stand on lists, the addresses that are not written to, and the names of attributes.

pub mod addresses;
pub mod attributes;
pub mod consent;
pub mod consent_feed;
mod consent_line;
pub mod contact_filter;
pub mod contact_row;
pub mod contacts;
pub(in crate::store) mod dialect;
pub mod exports;
pub mod ground;
mod introduced;
pub mod link_keys;
pub mod lists;
pub mod refusals;
pub mod standings;
pub mod suppression_row;
pub mod suppressions;
pub mod tags;
pub mod topics;
