//! Contacts, lists, consent and suppressions.

pub(in crate::http) mod attributes;
pub(in crate::http) mod consent;
pub(in crate::http) mod contacts;
pub(in crate::http::api) mod drafts;
pub(in crate::http) mod exports;
pub(in crate::http) mod lists;
pub(in crate::http) mod of_contact;
mod refusals;
mod selection;
pub(in crate::http) mod subscriptions;
pub(in crate::http) mod suppressions;
pub(in crate::http) mod tags;
pub(in crate::http) mod undo_bounces;
