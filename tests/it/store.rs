//! The store by itself, on both databases; each race of the delivery protocol is made as likely as it can be.

mod clocks;
mod contacts;
mod doubts;
mod durability;
mod fences;
mod freeze;
mod housekeeping;
mod idempotency;
mod late_outcomes;
mod late_starts;
mod ledger;
mod lost_leases;
mod migrations;
mod packed;
mod plans;
mod pooled;
mod races;
mod rewinds;
mod standstill;
mod unlaunched;
