//! The door of programs: callers with an API key, JSON in and out, problem documents.

pub mod access;
pub(in crate::http) mod callbacks;
pub(in crate::http) mod campaigns;
pub mod content;
pub(in crate::http) mod criteria;
pub mod database_probe;
pub(in crate::http) mod deliverability;
pub mod events;
pub mod import;
mod known_acts;
mod known_pages;
pub(in crate::http) mod operations;
pub(in crate::http) mod overview;
pub mod people;
pub(in crate::http) mod problem_types;
pub(in crate::http) mod provider_logs;
pub(in crate::http) mod reactions;
pub mod readiness;
pub mod replicas;
pub(in crate::http) mod search;
pub(in crate::http) mod segments;
pub(in crate::http) mod settings;
pub(in crate::http) mod stats;
pub(in crate::http) mod stream;
pub(in crate::http) mod uncertain;
