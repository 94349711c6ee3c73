//! Volley: a self-hosted campaign dispatch engine.
//!
//! Two promises decide every design question: nobody is lost, and nobody is messaged twice. `ARCHITECTURE.md` follows
//! one delivery through the rooms below; imports between them point one way:
//! `domain ← config ← store, channels ← journal, runtime ← services ← actors ← http ← app ← cli`; `verify` stands beside
//! `app`, on the store alone.

pub mod actors;
pub mod app;
pub mod channels;
pub mod cli;
pub mod config;
pub mod domain;
pub mod http;
pub mod journal;
pub mod runtime;
pub mod services;
pub mod store;
pub mod verify;
