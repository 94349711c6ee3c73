//! Imports, their rows and their progress.

pub mod imports;
pub mod rejections;
mod status;
mod target;
