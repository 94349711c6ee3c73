//! What segments cost: those who store events, and the worker that turns changes into members.
//!
//! `cargo bench --bench segments` prints the tables of `docs/performance.md`. Each database is filled once, with contacts that have
//! events, and all parts are measured on it. What clients see is measured with the real program in a process of its own; what the
//! worker does, with the worker alone in this process, on connections as the program makes them. Arguments, all optional:
//!
//! * words choose what is measured: a database (`sqlite`, `postgres`), a part (`count`: the estimate of criteria; `memory`: of the
//!   program while everybody is evaluated; `backfill`: new segments beside SQL that was written by hand; `ingest`: storing events
//!   without segments and with twenty; `touched`: contacts that have changed; `timers`: a hundredth of all contacts is due; `latency`:
//!   from an answer to the transition);
//! * `--contacts N` contacts, 1,000,000 on PostgreSQL and 200,000 on SQLite unless given;
//! * `--events N` events of theirs, 10,000,000 and 1,000,000 unless given;
//! * `--quick` 20,000 contacts with 200,000 events, and shorter runs: too short for figures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed assumption of a measurement ends it, and its result is what it prints"
)]

#[allow(dead_code, unused_imports, unused_macros, reason = "shared with the tests, which use all of it")]
#[path = "../../tests/it"]
mod it {
    pub(crate) mod support;
}

mod backfill;
#[path = "../support/connection.rs"]
mod connection;
mod counting;
#[path = "../support/figures.rs"]
mod figures;
mod filling;
mod ingest;
mod latency;
#[path = "../support/memory.rs"]
mod memory;
mod remembering;
mod rules;
mod timers;
mod touched;
mod transactions;
mod world;

use it::support::{self, Database};
use world::World;

const DATABASES: [&str; 2] = ["sqlite", "postgres"];

/// Without segments first, then with few, then with twenty.
const PARTS: [&str; 7] = ["count", "memory", "backfill", "ingest", "touched", "timers", "latency"];

fn database(name: &str) -> Option<Database> {
    match name {
        "sqlite" => Some(Database::sqlite()),
        _ => Database::own_postgres("the measurements on PostgreSQL"),
    }
}

/// What was asked for on the command line.
struct Options {
    contacts: Option<usize>,
    events: Option<usize>,
    is_quick: bool,
    words: Vec<String>,
}

impl Options {
    fn read() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
        let is_quick = arguments.iter().any(|word| word == "--quick");
        let number = |flag: &str, quick: usize| {
            let given = arguments.windows(2).rfind(|pair| pair[0] == flag);
            let given = given.map(|pair| pair[1].parse().expect("a number after the flag"));
            given.or(is_quick.then_some(quick))
        };
        let (contacts, events) = (number("--contacts", 20_000), number("--events", 200_000));
        let is_word = |word: &&String| !word.starts_with("--") && word.parse::<usize>().is_err();
        let words: Vec<String> = arguments.iter().filter(is_word).cloned().collect();
        let known = [&DATABASES[..], &PARTS[..]].concat();
        for word in &words {
            assert!(known.contains(&word.as_str()), "{word} is none of {}", known.join(", "));
        }
        Self { contacts, events, is_quick, words }
    }

    /// Whether `word` is asked for, or none of its kind.
    fn wants(&self, word: &str, kind: &[&str]) -> bool {
        let names = |word: &str| self.words.iter().any(|named| named == word);
        names(word) || !kind.iter().any(|other| names(other))
    }
}

fn main() {
    let options = Options::read();
    transactions::listen();
    for name in DATABASES.into_iter().filter(|name| options.wants(name, &DATABASES)) {
        let Some(db) = database(name) else { continue };
        let (contacts, events) = if name == "sqlite" { (200_000, 1_000_000) } else { (1_000_000, 10_000_000) };
        let (contacts, events) = (options.contacts.unwrap_or(contacts), options.events.unwrap_or(events));
        let world = World::filled(name, db, contacts, events);
        for part in PARTS.into_iter().filter(|part| options.wants(part, &PARTS)) {
            match part {
                "count" => counting::measure(&world),
                "memory" => remembering::measure(&world),
                "backfill" => backfill::measure(&world),
                "ingest" => ingest::measure(&world, if options.is_quick { 10_000 } else { 100_000 }),
                "touched" => touched::measure(&world),
                "timers" => timers::measure(&world),
                _ => latency::measure(&world, options.is_quick),
            }
        }
    }
}
