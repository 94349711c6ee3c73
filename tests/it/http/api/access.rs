//! API keys.

mod auth;
