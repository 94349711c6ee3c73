//! Contacts and lists.

mod consent;
mod contacts;
mod lists;
mod selections;
mod suppression_locks;
mod suppressions;
