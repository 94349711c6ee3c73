//! API keys, sessions, and the log of what was done.

pub mod api_keys;
pub mod audit_log;
pub mod sessions;
