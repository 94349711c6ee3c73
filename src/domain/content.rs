//! What a message is made of.

pub mod advice;
pub mod attachment;
pub mod category;
pub mod check;
pub mod email_fields;
pub mod literal;
pub mod mailbox;
pub mod message;
pub mod props;
pub mod sms;
pub mod template;
pub mod tracking;
