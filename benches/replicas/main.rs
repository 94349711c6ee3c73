//! What several instances on one PostgreSQL and one RabbitMQ are good for, and what they cost.
//!
//! `cargo bench --bench replicas` prints the tables of the section *Replicas* of `docs/performance.md`. Every instance is a
//! process of the real program with a folder and a port of its own, the provider another process, database and broker are
//! private servers. Everything ends with this process, however that ends. Arguments, all optional:
//!
//! * words choose what is measured: `scale` (1, 2, 3 instances), `overhead` (the broker beside in-process messages), `pause`
//!   (from the decision to the last hand-over), `takeover` (after `kill -9`);
//! * `--quick` a fraction of each, to see that it works: too short for figures.

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

#[path = "../dispatch/gauge.rs"]
mod gauge;

#[path = "../dispatch/listener.rs"]
mod listener;

mod clock;
mod figures;
mod fleet;
mod overhead;
mod pause;
mod provider;
mod scale;
mod takeover;

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use it::support;

/// How thorough a measurement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Long enough for figures.
    Full,
    /// Long enough to see that it works.
    Quick,
}

impl Depth {
    fn choose<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

/// A part: its name, how long it may take, and what it does.
type Part = (&'static str, Duration, fn(Depth));

const PARTS: [Part; 4] = [
    ("scale", Duration::from_secs(600), scale::measure),
    ("overhead", Duration::from_secs(900), overhead::measure),
    ("pause", Duration::from_secs(600), pause::measure),
    ("takeover", Duration::from_secs(600), takeover::measure),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [flag, latency_ms] = &arguments[..]
        && flag == provider::FLAG
    {
        return provider::serve(Duration::from_millis(latency_ms.parse().expect("milliseconds")));
    }
    let (flags, words): (Vec<_>, Vec<_>) = arguments.iter().partition(|word| word.starts_with("--"));
    assert!(flags.iter().all(|flag| *flag == "--quick"), "the only flag is --quick");
    let depth = if flags.is_empty() { Depth::Full } else { Depth::Quick };
    for word in &words {
        let names = PARTS.map(|(name, ..)| name);
        assert!(names.contains(&word.as_str()), "{word} is none of {}", names.join(", "));
    }
    for (name, limit, measure) in PARTS {
        if words.is_empty() || words.iter().any(|word| *word == name) {
            bounded(name, limit, || measure(depth));
        }
    }
}

/// Does a part, and ends this process, and with it everything it has started, when that takes longer than `limit`.
fn bounded(name: &'static str, limit: Duration, work: impl FnOnce()) {
    let (done, ended) = channel::<()>();
    std::thread::spawn(move || {
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{name} has not ended within {limit:?}");
            std::process::exit(1);
        }
    });
    work();
    drop(done);
}
