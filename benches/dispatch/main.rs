//! How fast the engine is beside a bare client loop, and what its promises cost.
//!
//! `cargo bench --bench dispatch` prints the tables of `docs/performance.md`. Providers run in a process of their own,
//! the engine is the real program in another. Arguments, all optional:
//!
//! * `--recipients N` recipients of each dispatch run, 100,000 unless given;
//! * `--big N` contacts of the large audience, 1,000,000 unless given; 0 leaves that part out;
//! * `--only WORD` only what carries the word in its name: `smtp`, `webhook`, `sqlite` or `postgres`.

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
    only: Option<String>,
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
        let after = |flag: &str| arguments.iter().skip_while(|word| *word != flag).nth(1).cloned();
        let number = |flag: &str, default| after(flag).map_or(default, |text| text.parse().expect("a number"));
        Self { recipients: number("--recipients", 100_000), big: number("--big", 1_000_000), only: after("--only") }
    }

    fn wants(&self, name: &str, others: &[&str]) -> bool {
        self.only.as_deref().is_none_or(|only| only == name || others.contains(&only))
    }
}

fn main() {
    if let Some(wire) = std::env::args().skip_while(|word| word != "--server").nth(1) {
        return server::serve(if wire == "smtp" { Wire::Smtp } else { Wire::Webhook });
    }
    let options = Options::read();
    let backends: Vec<Backend> = [Backend::Sqlite, Backend::Postgres]
        .into_iter()
        .filter(|backend| options.wants(backend.name(), &["smtp", "webhook"]))
        .collect();
    println!("{} recipients, 50 connections", options.recipients);
    println!("| provider | client | messages/s | CPU s per 100,000 | peak memory MB | ratio |");
    println!("|---|---|---:|---:|---:|---:|");
    for wire in [Wire::Smtp, Wire::Webhook] {
        if !options.wants(wire.name(), &["sqlite", "postgres"]) {
            continue;
        }
        let bare = bare::measure(wire, options.recipients);
        println!("| {} | bare loop | {bare:.0} | | | 1.00 |", wire.name());
        for backend in &backends {
            dispatch::measure(wire, *backend, options.recipients, bare);
        }
    }
    if options.big > 0 {
        for backend in backends {
            big::measure(backend, options.big, options.recipients);
        }
    }
}

/// So many a second.
fn per_second(count: u32, took: Duration) -> f64 {
    f64::from(count) / took.as_secs_f64()
}
