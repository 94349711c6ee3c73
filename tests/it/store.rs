//! The store by itself: each race of the delivery protocol, made as likely as it can be, on both databases.

mod ledger;
mod packed;
mod races;
