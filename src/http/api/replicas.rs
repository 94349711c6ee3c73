//! Instances, pools and dead letters.

mod known_pools;
pub(in crate::http) mod paces;
pub(in crate::http) mod pools;
pub(in crate::http) mod receipt;
