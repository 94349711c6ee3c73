//! Contacts and lists.

pub(in crate::http) mod contacts;
pub(in crate::http) mod lists;
mod refusals;
pub(in crate::http) mod subscriptions;
