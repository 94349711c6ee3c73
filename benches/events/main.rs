//! How many events Volley takes.
//!
//! `cargo bench --bench events` prints the table of `docs/performance.md`. The engine is the real program in a process of its own, with
//! fsync; each row stands beside a bare loop of the same run, which stores the same rows by hand over one connection. Arguments, all
//! optional:
//!
//! * words choose what is measured: a database (`sqlite`, `postgres`), a part (`single`: one event in a request, over 64 connections;
//!   `batch`: 1,000 events in a request, over four connections);
//! * `--events N` events of each row, 200,000 unless given; a tenth of that for single ones;
//! * `--quick` a tenth of all: too short for figures.

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
mod sender;

use std::time::Instant;

use it::support::{self, Database};
use serde_json::{Value, json};
use support::volley::Volley;

const DATABASES: [&str; 2] = ["sqlite", "postgres"];

const PARTS: [&str; 2] = ["single", "batch"];

/// Contacts that the events are about.
const PEOPLE: usize = 10_000;

/// Events in one request of the part `batch`, and in one transaction of its bare loop.
const BATCH: usize = 1_000;

fn event(n: usize) -> Value {
    json!({
        "name": "order_placed",
        "external_id": format!("c-{}", n * 7_919 % PEOPLE),
        "properties": { "total": n % 500, "currency": "EUR", "items": ["a", "b"] },
        "key": format!("order-{n}"),
    })
}

fn database(name: &str) -> Option<Database> {
    match name {
        "sqlite" => Some(Database::sqlite()),
        _ => Database::own_postgres("the measurements on PostgreSQL"),
    }
}

/// A count as a number to reckon with.
fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("a count"))
}

/// The smallest value that `percent` of all values do not exceed.
fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[(values.len() * percent).div_ceil(100).max(1) - 1]
}

/// Measures one part on one database and prints its row.
fn measure(database_name: &str, part: &str, events: usize) {
    let Some(db) = database(database_name) else { return };
    let volley = Volley::on(&db)
        .settings("[log]\nlevel = \"warn\"\n[limits]\ningest_items_per_minute = 0\nrequests_per_minute = 0\n")
        .start();
    // The contacts are there already, as they are of a system that runs.
    let first: Vec<Value> = (0..PEOPLE).map(|n| json!({ "name": "seen", "external_id": format!("c-{n}") })).collect();
    for chunk in first.chunks(BATCH) {
        volley.api().post("/v1/events/batch", &json!({ "events": chunk }));
    }
    let (path, per_request, connections) =
        if part == "single" { ("/v1/events", 1, 64) } else { ("/v1/events/batch", BATCH, 4) };
    let bodies: Vec<String> = (0..events / per_request)
        .map(|request| match per_request {
            1 => event(request).to_string(),
            _ => {
                let events: Vec<Value> = (request * BATCH..(request + 1) * BATCH).map(event).collect();
                json!({ "events": events }).to_string()
            }
        })
        .collect();
    let began = Instant::now();
    let mut took = sender::send(volley.port(), path, &bodies, connections);
    let rate = number(events) / began.elapsed().as_secs_f64();
    let stored = db.number("SELECT count(*) AS n FROM event_keys");
    assert_eq!(stored, i64::try_from(events).expect("a count"), "some were not stored");
    let bare = bare::rate(&db, events.min(50_000), per_request);
    let (p50, p99) = (percentile(&mut took, 50), percentile(&mut took, 99));
    println!(
        "| {database_name} | {part} | {connections} | {rate:.0} | {p50:.1} | {p99:.1} | {bare:.0} | {:.2} |",
        rate / bare
    );
    volley.stop();
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let is_quick = arguments.iter().any(|word| word == "--quick");
    let given = arguments.windows(2).rfind(|pair| pair[0] == "--events");
    let events: usize = given.map_or(200_000, |pair| pair[1].parse().expect("a number after --events"));
    let events = if is_quick { events / 10 } else { events };
    let words: Vec<&String> =
        arguments.iter().filter(|word| !word.starts_with("--") && word.parse::<usize>().is_err()).collect();
    let known = [&DATABASES[..], &PARTS[..]].concat();
    for word in &words {
        assert!(known.contains(&word.as_str()), "{word} is none of {}", known.join(", "));
    }
    let wants = |word: &str, kind: &[&str]| {
        words.iter().any(|named| named.as_str() == word) || !words.iter().any(|named| kind.contains(&named.as_str()))
    };
    println!("\n{events} events with keys, of {PEOPLE} contacts\n");
    println!("| database | request | connections | events/s | p50 ms | p99 ms | bare loop, rows/s | ratio |");
    println!("|---|---|---:|---:|---:|---:|---:|---:|");
    for name in DATABASES.into_iter().filter(|name| wants(name, &DATABASES)) {
        for part in PARTS.into_iter().filter(|part| wants(part, &PARTS)) {
            measure(name, part, if part == "single" { events / 10 } else { events });
        }
    }
}
