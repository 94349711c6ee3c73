//! Imports, their rows and their progress.

pub mod imports;
mod target;
