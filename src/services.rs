//! Decisions: one in each file, made in one transaction, called by every door.

pub mod campaigns;
