//! Where the delivery protocol differs between PostgreSQL and SQLite.

mod attempts;
mod audience;
mod audience_contacts;
mod candidates;
mod deliveries;
mod given;
mod locks;
mod minutes;
mod packing;
mod page_map;
mod pages;
mod pool_figures;
mod reasons;
mod skips;
mod sources;
mod sums;
mod walk;

use crate::store::dispatch::eligibility::Spelling;
pub(in crate::store) use attempts::note_attempts;
pub(in crate::store) use audience::{
    Filtered, People, count_audience, count_live_contacts, insert_deliveries, people_of,
};
pub(in crate::store) use audience_contacts::{insert_audience_contacts, missing_contacts};
pub(in crate::store) use candidates::look_at;
pub(in crate::store::dispatch) use candidates::{
    Candidate, ContactColumns, Looked, due_recipients, look_at_each, recently_sent,
};
pub(in crate::store) use deliveries::{Ending, Taken, end_recipients, keep_content, mark_sending, write_outcomes};
pub(in crate::store) use given::{Given, count_given, people_given};
pub(in crate::store::dispatch) use locks::wait_for_deliveries;
pub(in crate::store) use locks::{ClaimGround, LockedPage, lock_claim_ground, lock_page, lock_pages, lock_ready_page};
pub(in crate::store) use minutes::{Stretch, add_minute, list_minutes, sum_minutes};
pub(in crate::store) use packing::{fill_page, insert_page, move_cursor, number_next_page};
pub(in crate::store) use page_map::{Group, groups};
pub(in crate::store) use pages::{open_pages, pages_of_active, write_counts, write_progress};
pub(in crate::store) use pool_figures::{passed_by_pool, waiting_by_pool};
pub(in crate::store) use reasons::add_reason;
pub(in crate::store) use skips::{count_skips, sum_skips};
pub(in crate::store) use sources::in_several_sources;
pub(in crate::store) use sums::{sum_page_counts, waiting};
pub(in crate::store) use walk::Walk;

/// As PostgreSQL spells it.
const PG: Spelling = Spelling {
    bytewise: " COLLATE \"C\"",
    hashed: " || ''",
    domain: "substr(c.email, strpos(c.email, '@') + 1)",
    join: "string_agg",
};

/// As SQLite spells it.
const SQLITE: Spelling =
    Spelling { bytewise: "", hashed: "", domain: "substr(c.email, instr(c.email, '@') + 1)", join: "group_concat" };
