//! Contacts and lists.

mod attributes;
mod consent;
mod contacts;
mod exports;
mod lists;
mod of_contact;
mod selections;
mod suppression_locks;
mod suppressions;
