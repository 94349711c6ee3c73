//! How fast the engine is beside a bare client loop, and what its promises cost.
//!
//! `cargo bench --bench dispatch` prints the tables of `docs/performance.md`. Providers run in a process of their own,
//! the engine is the real program in another. Arguments, all optional:
//!
//! * `--recipients N` recipients of each dispatch run, 100,000 unless given;
//! * `--big N` contacts of the large audience, 1,000,000 unless given; 0 leaves that part out;
//! * `--quick` a tenth of both;
//! * `--only WORD` only what carries the word in its name: `smtp`, `webhook`, `sqlite`, `postgres`, or `big` for the large
//!   audience alone; may be given more than once, as in `--only smtp --only sqlite`.

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
mod server;

use std::time::Duration;

use it::support::{self, Database};

/// What was asked for on the command line.
struct Options {
    recipients: u32,
    big: u32,
    only: Vec<String>,
}

/// The two kinds of provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Smtp,
    Webhook,
}

impl Wire {
    fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Webhook => "webhook",
        }
    }

    fn channel(self) -> &'static str {
        match self {
            Self::Smtp => "email",
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

impl Options {
    fn read() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let all_after = |flag: &str| -> Vec<String> {
            arguments.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1].clone()).collect()
        };
        let part = if arguments.iter().any(|word| word == "--quick") { 10 } else { 1 };
        let number = |flag: &str, usual: u32| {
            all_after(flag).last().map_or(usual / part, |text| text.parse().expect("a number after the flag"))
        };
        Self { recipients: number("--recipients", 100_000), big: number("--big", 1_000_000), only: all_after("--only") }
    }

    /// Whether `name`, one of `kind`, is asked for: nobody named another of its kind.
    fn wants(&self, name: &str, kind: &[&str]) -> bool {
        let mut named = self.only.iter().filter(|only| kind.contains(&only.as_str())).peekable();
        named.peek().is_none() || named.any(|only| only == name)
    }
}

fn main() {
    if let Some(wire) = std::env::args().skip_while(|word| word != "--server").nth(1) {
        return server::serve(if wire == "smtp" { Wire::Smtp } else { Wire::Webhook });
    }
    let options = Options::read();
    let backends: Vec<Backend> = [Backend::Sqlite, Backend::Postgres]
        .into_iter()
        .filter(|backend| options.wants(backend.name(), &["sqlite", "postgres"]))
        .collect();
    let wires: Vec<Wire> = [Wire::Smtp, Wire::Webhook]
        .into_iter()
        .filter(|wire| options.wants(wire.name(), &["smtp", "webhook", "big"]))
        .collect();
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
    if options.big > 0 && options.wants("big", &["smtp", "webhook", "big"]) {
        for backend in backends {
            big::measure(backend, options.big, options.recipients);
        }
    }
}

/// So many a second.
fn per_second(count: u32, took: Duration) -> f64 {
    f64::from(count) / took.as_secs_f64()
}
