//! Types, parsers, state machines and arithmetic. No I/O, no async, no clock of its own.

pub mod access;
pub mod bounce;
pub mod callbacks;
pub mod campaigns;
pub mod certificate;
pub mod channel;
pub mod content;
pub mod day;
pub mod deliverability;
pub mod dispatch;
pub mod events;
pub mod host_name;
pub mod ids;
pub mod import;
pub mod instant;
pub mod people;
pub mod reactions;
pub mod readers;
pub mod replicas;
pub mod reports;
pub mod segments;
pub mod sender_dns;
pub mod shown;
pub mod span;
pub(crate) mod text_enum;
