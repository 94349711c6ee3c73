//! Templates, files and previews.

mod files;
mod previews;
mod templates;
