//! Imports.

pub(in crate::http) mod destination;
pub(in crate::http) mod dry_runs;
pub(in crate::http) mod heads;
pub(in crate::http) mod imports;
pub(in crate::http) mod receiving;
pub(in crate::http) mod rejected_rows;
pub(in crate::http) mod suppression_imports;
