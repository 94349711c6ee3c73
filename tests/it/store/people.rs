//! Contacts.

mod contacts;
