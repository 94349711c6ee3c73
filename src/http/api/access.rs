//! API keys and the audit log.

pub(in crate::http) mod audit_log;
pub(in crate::http) mod keys;
pub(in crate::http) mod me;
