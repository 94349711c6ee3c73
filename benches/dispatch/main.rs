//! How fast the engine is beside a bare client loop, and what its promises cost.
//!
//! `cargo bench --bench dispatch` prints the tables of `docs/performance.md`. Providers run in a process of their own,
//! the engine is the real program in another. Arguments, all optional:
//!
//! * words choose what is measured: a provider (`smtp`, `smtp-plain` without PIPELINING, `smtp-letter` with a letter of 5.2 KB,
//!   `webhook`), a database (`sqlite`, `postgres`), the large audience (`big`) or parts of it (`import`, `packing`, `launch`, `memory`), as in
//!   `-- webhook sqlite` or `-- packing launch`; only when asked for, what migrations cost others (`migrating`, PostgreSQL alone);
//! * `--recipients N` recipients of each dispatch run, 100,000 unless given;
//! * `--people N` contacts of the large audience, 1,000,000 unless given;
//! * `--rows N` deliveries that `migrating` finds, 20,000,000 unless given: some 6 GB of disk;
//! * `--quick` a tenth of all.

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
mod big;
mod dispatch;
mod gauge;
mod letter;
mod listener;
#[path = "../support/memory.rs"]
mod memory;
mod migrating;
mod server;
mod sinks;

use std::time::Duration;

use it::support::{self, Database};

/// What was asked for on the command line.
struct Options {
    recipients: u32,
    people: u32,
    rows: u32,
    words: Vec<String>,
}

/// The kinds of provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Smtp,
    /// A relay that does not offer PIPELINING.
    SmtpPlain,
    /// A relay, and a letter of 5.2 KB with HTML instead of a line of text.
    SmtpLetter,
    Webhook,
}

const EVERY_WIRE: [Wire; 4] = [Wire::Smtp, Wire::SmtpPlain, Wire::SmtpLetter, Wire::Webhook];

impl Wire {
    fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::SmtpPlain => "smtp-plain",
            Self::SmtpLetter => "smtp-letter",
            Self::Webhook => "webhook",
        }
    }

    fn channel(self) -> &'static str {
        match self {
            Self::Smtp | Self::SmtpPlain | Self::SmtpLetter => "email",
            Self::Webhook => "http",
        }
    }
}

/// The two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    fn database(self) -> Option<Database> {
        match self {
            Self::Sqlite => Some(Database::sqlite()),
            Self::Postgres => Database::own_postgres("the measurements on PostgreSQL"),
        }
    }
}

/// The words for what is measured, other than the databases.
const WIRES: [&str; 4] = ["smtp", "smtp-plain", "smtp-letter", "webhook"];

impl Options {
    fn read() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
        let part = if arguments.iter().any(|word| word == "--quick") { 10 } else { 1 };
        let number = |flag: &str, usual: u32| {
            let given = arguments.windows(2).rfind(|pair| pair[0] == flag);
            given.map_or(usual / part, |pair| pair[1].parse().expect("a number after the flag"))
        };
        let (recipients, people) = (number("--recipients", 100_000), number("--people", 1_000_000));
        let rows = number("--rows", 20_000_000);
        let is_word = |word: &&String| !word.starts_with("--") && word.parse::<u32>().is_err();
        let words: Vec<String> = arguments.iter().filter(is_word).cloned().collect();
        let known = [&WIRES[..], &["sqlite", "postgres", "big", "migrating"], &big::PARTS[..]].concat();
        for word in &words {
            assert!(known.contains(&word.as_str()), "{word} is none of {}", known.join(", "));
        }
        Self { recipients, people, rows, words }
    }

    fn names(&self, word: &str) -> bool {
        self.words.iter().any(|named| named == word)
    }

    /// Whether `word` is asked for, or none of its kind.
    fn wants(&self, word: &str, kind: &[&str]) -> bool {
        self.names(word) || !kind.iter().any(|other| self.names(other))
    }
}

fn main() {
    if let Some(name) = std::env::args().skip_while(|word| word != "--server").nth(1) {
        let wire = EVERY_WIRE.into_iter().find(|wire| wire.name() == name);
        return server::serve(wire.expect("a kind of provider"));
    }
    let options = Options::read();
    if options.names("migrating") {
        return migrating::measure(options.rows);
    }
    let backends: Vec<Backend> = [Backend::Sqlite, Backend::Postgres]
        .into_iter()
        .filter(|backend| options.wants(backend.name(), &["sqlite", "postgres"]))
        .collect();
    let kinds = [&WIRES[..], &["big"], &big::PARTS[..]].concat();
    let wires: Vec<Wire> = EVERY_WIRE.into_iter().filter(|wire| options.wants(wire.name(), &kinds)).collect();
    if !wires.is_empty() {
        println!("{} recipients, 50 connections", options.recipients);
        println!("| provider | database | messages/s | bare loop/s | ratio | CPU µs a message | peak memory MB |");
        println!("|---|---|---:|---:|---:|---:|---:|");
    }
    for wire in wires {
        for backend in &backends {
            dispatch::measure(wire, *backend, options.recipients);
        }
    }
    let parts = |part: &str| options.wants(part, &big::PARTS);
    if options.wants("big", &kinds) || big::PARTS.iter().any(|part| options.names(part)) {
        for backend in backends {
            big::measure(backend, options.people, options.recipients, parts);
        }
    }
}

/// So many a second.
fn per_second(count: u32, took: Duration) -> f64 {
    f64::from(count) / took.as_secs_f64()
}
