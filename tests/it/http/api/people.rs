//! Contacts and lists.

mod consent;
mod contacts;
mod lists;
mod selections;
mod suppressions;
