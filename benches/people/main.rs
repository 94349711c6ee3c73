//! What it costs that people can say no.
//!
//! `cargo bench --bench people` prints the tables of `docs/performance.md`. The engine is the real program in a process of its own;
//! only the claim's look is run by this process, on connections as the program makes them. Arguments, all optional:
//!
//! * words choose what is measured: a database (`sqlite`, `postgres`), a part (`look`: the claim's look at consent; `refusals`:
//!   `POST /u/{token}` alone, beside a campaign and beside audits; `subscribe`: many contacts in one request; `import`: files with
//!   and without consent);
//! * `--suppressions N` refused addresses that the claim looks among, 1,000,000 unless given;
//! * `--people N` recipients of the campaign beside the refusals, 600,000 unless given;
//! * `--rows N` rows of each imported file, 200,000 unless given;
//! * `--quick` a tenth of all, once: too short for figures.

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

#[path = "../support/connection.rs"]
mod connection;
#[path = "../support/figures.rs"]
mod figures;
mod importing;
mod look;
mod mailbox;
mod refusals;
mod subscribing;

use it::support::{self, Database};

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

const DATABASES: [&str; 2] = ["sqlite", "postgres"];

const PARTS: [&str; 4] = ["look", "refusals", "subscribe", "import"];

/// What was asked for on the command line.
struct Options {
    suppressions: u32,
    people: u32,
    rows: u32,
    is_quick: bool,
    words: Vec<String>,
}

impl Options {
    fn read() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
        let is_quick = arguments.iter().any(|word| word == "--quick");
        let number = |flag: &str, usual: u32| {
            let given = arguments.windows(2).rfind(|pair| pair[0] == flag);
            let usual = if is_quick { usual / 10 } else { usual };
            given.map_or(usual, |pair| pair[1].parse().expect("a number after the flag"))
        };
        let (suppressions, people) = (number("--suppressions", 1_000_000), number("--people", 600_000));
        let rows = number("--rows", 200_000);
        let is_word = |word: &&String| !word.starts_with("--") && word.parse::<u32>().is_err();
        let words: Vec<String> = arguments.iter().filter(is_word).cloned().collect();
        let known = [&DATABASES[..], &PARTS[..]].concat();
        for word in &words {
            assert!(known.contains(&word.as_str()), "{word} is none of {}", known.join(", "));
        }
        Self { suppressions, people, rows, is_quick, words }
    }

    /// Whether `word` is asked for, or none of its kind.
    fn wants(&self, word: &str, kind: &[&str]) -> bool {
        let names = |word: &str| self.words.iter().any(|named| named == word);
        names(word) || !kind.iter().any(|other| names(other))
    }
}

fn main() {
    let options = Options::read();
    let (quick, rows) = (options.is_quick, usize::try_from(options.rows).expect("a count"));
    let backends = [Backend::Sqlite, Backend::Postgres];
    let backends: Vec<Backend> =
        backends.into_iter().filter(|backend| options.wants(backend.name(), &DATABASES)).collect();
    for part in PARTS.into_iter().filter(|part| options.wants(part, &PARTS)) {
        if part == "look" {
            look::head();
        }
        for backend in &backends {
            if part == "import" {
                importing::measure(*backend, rows, if quick { 1 } else { 3 });
                continue;
            }
            let Some(db) = backend.database() else { continue };
            match part {
                "look" => look::measure(backend.name(), &db, options.suppressions, quick),
                "refusals" => refusals::measure(backend.name(), &db, options.people, quick),
                _ => subscribing::measure(backend.name(), &db, if quick { 1 } else { 10 }),
            }
        }
    }
}
