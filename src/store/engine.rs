//! What all tables share: connections, errors, the schema, pages of lists, and what the two databases do differently.

pub(in crate::store) mod contact_fields;
pub mod dialect;
pub(in crate::store) mod error;
pub mod fail_point;
pub mod history;
pub mod idempotency;
pub(in crate::store) mod like;
pub mod listing;
pub(in crate::store) mod page_states;
pub mod private_files;
#[allow(missing_docs, reason = "diesel writes items without docs")]
pub(crate) mod schema;
pub(in crate::store) mod sql;
pub mod tls;
pub(in crate::store) mod touches;

pub use dialect::{CampaignLock, lock_campaign, now};
pub(in crate::store) use dialect::{has_table, keep_to_indexes};
