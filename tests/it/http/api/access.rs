//! API keys.

mod audit;
mod auth;
mod scopes;
