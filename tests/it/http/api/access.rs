//! API keys.

mod auth;
mod scopes;
