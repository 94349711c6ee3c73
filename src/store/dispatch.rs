//! The delivery protocol: pages and their leases, claims, outcomes, and what becomes of a lease without its owner.

mod bounces;
pub mod claims;
pub mod counting;
pub mod deliveries;
pub mod dialect;
pub mod eligibility;
pub mod housekeeping;
pub mod inspection;
pub mod late_evidence;
pub mod looks;
pub mod lost_leases;
pub mod minutes;
pub mod of_contact;
pub mod open_work;
pub mod outcomes;
pub mod packing;
pub mod pages;
pub(in crate::store) mod plan;
pub mod preflight;
mod proofs;
pub mod reasons;
pub mod reported;
pub mod rewind;
pub mod sweeps;
pub mod uncertain;
pub mod watermark;
pub mod why;
