//! What the tests stand on.

pub(crate) mod scripted_http;
pub(crate) mod scripted_smtp;
