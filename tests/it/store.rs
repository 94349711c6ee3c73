//! The store by itself, on both databases; each race of the delivery protocol is made as likely as it can be.

mod callbacks;
mod campaigns;
mod deliverability;
mod dispatch;
mod engine;
mod events;
mod naming;
mod people;
mod reports;
mod segment_facts;
mod segments;
