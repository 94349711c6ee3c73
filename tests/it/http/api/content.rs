//! Templates and previews.

mod previews;
mod templates;
