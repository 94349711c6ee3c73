//! Imports.

mod dry_runs;
mod imports;
mod json_lines;
mod rejected;
