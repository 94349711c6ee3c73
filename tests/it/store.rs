//! The store by itself, on both databases; each race of the delivery protocol is made as likely as it can be.

mod contacts;
mod idempotency;
mod ledger;
mod lost_leases;
mod migrations;
mod packed;
mod plans;
mod races;
mod standstill;
mod unlaunched;
