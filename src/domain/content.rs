//! What a message is made of.

pub mod message;
pub mod template;
