//! Imports.

mod imports;
mod rejected;
