//! Contacts and their keys: how they are read, compared and written.

pub mod consent;
pub mod contact;
pub mod email;
pub mod fields;
pub mod held;
pub mod link;
pub mod locale;
pub mod phone;
pub mod slug;
pub mod spelling;
pub mod standing;
pub mod tag;
pub mod timezone;
