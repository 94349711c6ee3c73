//! Imports.

pub(in crate::http) mod imports;
