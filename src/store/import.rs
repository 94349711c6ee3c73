//! Imports, their rows and their progress.

mod batch;
mod dropped;
pub mod imports;
pub mod reading;
pub mod rejections;
mod status;
mod target;
