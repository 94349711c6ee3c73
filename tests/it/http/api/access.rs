//! API keys.

mod audit;
mod auth;
mod limits;
mod scopes;
