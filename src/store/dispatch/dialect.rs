//! Where the delivery protocol differs between PostgreSQL and SQLite.

mod audience;
mod candidates;
mod deliveries;
mod locks;
mod packing;
mod pages;
mod sums;

pub use audience::count_audience;
pub(in crate::store) use audience::{audience_bound, insert_audience_contacts, insert_deliveries, missing_contacts};
pub(in crate::store::dispatch) use candidates::{Candidate, ContactColumns, due_recipients};
pub(in crate::store) use deliveries::{Taken, keep_content, mark_sending, write_outcomes};
pub(in crate::store) use locks::{ClaimGround, LockedPage, lock_claim_ground, lock_page, lock_pages, lock_ready_page};
pub(in crate::store) use packing::{fill_page, insert_page, move_cursor, number_next_page};
pub(in crate::store) use pages::{open_pages, pages_of_active, write_counts, write_progress};
pub(in crate::store) use sums::{sum_page_counts, waiting};
