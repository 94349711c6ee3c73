//! The delivery protocol.

mod attempts;
mod bounces;
mod doubts;
mod eligibility;
mod fences;
mod housekeeping;
mod late_outcomes;
mod late_starts;
mod ledger;
mod looks;
mod lost_leases;
mod minutes;
mod moved;
pub(in crate::store) mod packed;
mod pooled;
mod races;
mod reasons;
mod rewinds;
mod side_rows;
mod standstill;
