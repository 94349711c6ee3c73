//! The door of operators: pages in a browser, signed in with an API key.
//!
//! **Invariants.** A page knows nothing that another client could not know: it calls what the handlers of the API call, and never the
//! store. Every page works without a script. A change needs a session, a page of this origin, and a key of its own in its form.
//! An error below `/ui` is a page, with the same `code`, `detail` and request id as a problem document.

pub(super) mod acts;
pub(super) mod api_keys;
mod asked;
pub(super) mod assets;
pub(super) mod audit;
pub(super) mod campaign;
mod campaign_users;
pub(super) mod campaigns;
pub(super) mod choices;
pub(super) mod compose;
pub(super) mod composer;
mod composer_beside;
mod composer_fields;
mod composer_parts;
pub(super) mod contact;
pub(super) mod contacts;
mod cookies;
pub(super) mod copy;
mod course;
pub(super) mod decisions;
pub mod door;
pub(super) mod downloads;
mod email_form;
pub(super) mod enter;
pub(super) mod errors;
pub(super) mod form;
mod frame;
mod funnel_view;
mod header_lines;
pub(super) mod import;
mod import_look;
pub(super) mod imports;
pub(super) mod instances;
pub(super) mod keys;
pub(super) mod lift;
mod lines;
pub(super) mod lists;
mod literal_lines;
pub(super) mod live;
pub(super) mod mail;
pub(super) mod now;
pub(super) mod pace;
pub(super) mod page_map;
pub(super) mod people;
mod plot;
pub(super) mod pool_acts;
pub(super) mod pool_check;
pub(super) mod pools;
pub(super) mod preflight;
mod preflight_view;
mod reasons;
mod receipt;
mod refused;
pub(super) mod search;
pub(super) mod segment_acts;
mod segment_tree;
pub(super) mod segments;
pub(super) mod settings;
mod suppressed;
pub(super) mod suppressions;
pub(super) mod template_diff;
pub(super) mod template_edit;
pub(super) mod template_preview;
pub(super) mod template_versions;
pub(super) mod templates;
pub(super) mod uncertain;
pub(super) mod uncertain_acts;
mod upload;
pub(super) mod way;
pub(super) mod why;
mod words;

/// What the paths of the pages begin with.
pub const UI: &str = "/ui";
