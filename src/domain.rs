//! Types, parsers, state machines and arithmetic. No I/O, no async, no clock of its own.

pub mod backoff;
pub mod campaign;
pub mod contact;
pub mod delivery;
pub mod ids;
pub mod instant;
pub mod message;
pub mod outcome;
pub mod page;
pub mod settlement;
pub(crate) mod text_enum;
