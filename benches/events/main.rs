//! What happens around a sending: how many events, clicks and reports Volley takes, and what tracking costs a message.
//!
//! `cargo bench --bench events` prints the tables of `docs/performance.md`. The engine is the real program in a process of its own, with
//! fsync; each row stands beside something bare of the same run. Arguments, all optional:
//!
//! * words choose what is measured: a database (`sqlite`, `postgres`), a part (`single`: one event in a request, over 64 connections;
//!   `batch`: 1,000 events in a request, over four connections; `clicks`; `reports`: beside a campaign; `tracking`: rendering, without a
//!   database);
//! * `--events N` events of each row, 200,000 unless given, a tenth of that for single ones; half as many clicks;
//! * `--people N` recipients of the campaigns of `reports`, 600,000 unless given;
//! * `--quick` a small part of all: too short for figures.

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

mod bare;
mod clicking;
#[path = "../support/connection.rs"]
mod connection;
#[path = "../support/figures.rs"]
mod figures;
mod reporting;
mod sent;
mod storing;
mod tracking;

use it::support::{self, Database};

const DATABASES: [&str; 2] = ["sqlite", "postgres"];

const PARTS: [&str; 5] = ["single", "batch", "clicks", "reports", "tracking"];

/// Contacts that the events are about.
const PEOPLE: usize = 10_000;

/// Events in one request of the part `batch`, and in one transaction of its bare loop.
const BATCH: usize = 1_000;

fn database(name: &str) -> Option<Database> {
    match name {
        "sqlite" => Some(Database::sqlite()),
        _ => Database::own_postgres("the measurements on PostgreSQL"),
    }
}

/// What was asked for on the command line.
struct Options {
    events: usize,
    people: usize,
    is_quick: bool,
    words: Vec<String>,
}

impl Options {
    fn read() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
        let is_quick = arguments.iter().any(|word| word == "--quick");
        let number = |flag: &str, usual: usize, quick: usize| {
            let given = arguments.windows(2).rfind(|pair| pair[0] == flag);
            let usual = if is_quick { quick } else { usual };
            given.map_or(usual, |pair| pair[1].parse().expect("a number after the flag"))
        };
        let (events, people) = (number("--events", 200_000, 20_000), number("--people", 600_000, 200_000));
        let is_word = |word: &&String| !word.starts_with("--") && word.parse::<usize>().is_err();
        let words: Vec<String> = arguments.iter().filter(is_word).cloned().collect();
        let known = [&DATABASES[..], &PARTS[..]].concat();
        for word in &words {
            assert!(known.contains(&word.as_str()), "{word} is none of {}", known.join(", "));
        }
        Self { events, people, is_quick, words }
    }

    /// Whether `word` is asked for, or none of its kind.
    fn wants(&self, word: &str, kind: &[&str]) -> bool {
        let names = |word: &str| self.words.iter().any(|named| named == word);
        names(word) || !kind.iter().any(|other| names(other))
    }
}

fn main() {
    let options = Options::read();
    for part in PARTS.into_iter().filter(|part| options.wants(part, &PARTS)) {
        match part {
            "clicks" => clicking::head(),
            "reports" => reporting::head(options.people),
            "tracking" => {
                tracking::measure(if options.is_quick { 200 } else { 2_000 });
                continue;
            }
            _ => storing::head(options.events),
        }
        for name in DATABASES.into_iter().filter(|name| options.wants(name, &DATABASES)) {
            let Some(db) = database(name) else { continue };
            match part {
                "clicks" => clicking::measure(name, &db, options.events / 2),
                "reports" => reporting::measure(name, &db, options.people, options.is_quick),
                "single" => storing::measure(name, &db, storing::Form::Single, options.events),
                _ => storing::measure(name, &db, storing::Form::Batch, options.events),
            }
        }
    }
}
