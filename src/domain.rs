//! Types, parsers, state machines and arithmetic. No I/O, no async, no clock of its own.

pub mod abandoned;
pub mod backoff;
pub mod campaign;
pub mod certificate;
pub mod contact;
pub mod decision;
pub mod delivery;
pub mod dispatch;
pub mod email;
pub mod fingerprint;
pub mod host_name;
pub mod ids;
pub mod import;
pub mod instant;
pub mod locale;
pub mod message;
pub mod outcome;
pub mod page;
pub mod phone;
pub mod settlement;
pub mod span;
pub mod spelling;
pub mod template;
pub(crate) mod text_enum;
pub mod timezone;
pub mod wire;
