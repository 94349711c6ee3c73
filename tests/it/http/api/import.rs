//! Imports.

mod dry_runs;
mod imports;
mod rejected;
