//! The door of programs.

mod access;
mod campaigns;
mod content;
mod criteria;
mod deliverability;
mod events;
mod generated;
mod import;
mod operations;
mod people;
mod reactions;
mod replicas;
mod search;
mod segments;
mod settings;
mod stats;
mod stream;

use volley::http::routes::{Entry, Verb};

/// Whether a route changes something. Some take a body and only look.
fn changes(entry: &Entry) -> bool {
    let looks = ["preview", "estimate", "count", "match", "preflight"].iter().any(|end| entry.path.ends_with(end));
    entry.method != Verb::Get && !looks
}
