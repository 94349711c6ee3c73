//! Decisions on who may call. The command line makes them, too, beside no running instance: they take the store alone.

pub mod close_session;
pub mod create_key;
pub mod mint_first_key;
pub mod open_session;
pub mod revoke_key;
