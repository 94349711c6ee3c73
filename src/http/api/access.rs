//! API keys.

pub(in crate::http) mod keys;
