//! Instances, pools and dead letters.

pub(in crate::http) mod checks;
pub(in crate::http) mod dead_letters;
pub(in crate::http) mod instances;
pub(in crate::http) mod paces;
pub(in crate::http) mod pools;
pub(in crate::http) mod receipt;
