//! Contacts and lists.

mod contacts;
mod lists;
