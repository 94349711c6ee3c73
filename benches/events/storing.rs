//! Events that programs send: single ones and batches.

use std::time::Instant;

use serde_json::{Value, json};

use crate::connection::{self, Pace};
use crate::figures::{number, percentile};
use crate::support::Database;
use crate::support::volley::{ROOT_KEY, Volley};
use crate::{BATCH, PEOPLE, bare};

/// How many events one request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Single,
    Batch,
}

impl Form {
    fn events(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Batch => BATCH,
        }
    }

    fn request(self, n: usize) -> String {
        let (path, body) = match self {
            Self::Single => ("/v1/events", event(n)),
            Self::Batch => {
                let events: Vec<Value> = (n * BATCH..(n + 1) * BATCH).map(event).collect();
                ("/v1/events/batch", json!({ "events": events }))
            }
        };
        let headers = format!("Authorization: Bearer {ROOT_KEY}\r\nContent-Type: application/json\r\n");
        connection::post(path, &headers, &body.to_string())
    }
}

fn event(n: usize) -> Value {
    json!({
        "name": "order_placed",
        "external_id": format!("c-{}", n * 7_919 % PEOPLE),
        "properties": { "total": n % 500, "currency": "EUR", "items": ["a", "b"] },
        "key": format!("order-{n}"),
    })
}

pub(crate) fn head(events: usize) {
    println!("\n{events} events with keys, of {PEOPLE} contacts; a tenth of that in single requests\n");
    println!(
        "| database | events in a request | connections | events/s | p50 ms | p99 ms | bare loop, rows/s | ratio |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
}

/// Measures one form on one database and prints its row.
pub(crate) fn measure(name: &str, db: &Database, form: Form, events: usize) {
    let volley = Volley::on(db)
        .settings("[log]\nlevel = \"warn\"\n[limits]\ningest_items_per_minute = 0\nrequests_per_minute = 0\n")
        .start();
    // The contacts are there already, as they are of a system that runs.
    let first: Vec<Value> = (0..PEOPLE).map(|n| json!({ "name": "seen", "external_id": format!("c-{n}") })).collect();
    for chunk in first.chunks(BATCH) {
        volley.api().post("/v1/events/batch", &json!({ "events": chunk }));
    }
    let (events, connections) = match form {
        Form::Single => (events / 10, 64),
        Form::Batch => (events, 4),
    };
    let requests: Vec<String> = (0..events / form.events()).map(|n| form.request(n)).collect();
    let began = Instant::now();
    let took = connection::send(volley.port(), &requests, Pace::Flat, connections, |status, body| {
        assert!((200..300).contains(&status), "{status}");
        assert!(!body.windows(9).any(|part| part == b"\"problem\""), "an event was refused");
    });
    let rate = number(events) / began.elapsed().as_secs_f64();
    let stored = db.number("SELECT count(*) AS n FROM event_keys");
    assert_eq!(stored, i64::try_from(events).expect("a count"), "some were not stored");
    let bare = bare::rate(db, events.min(50_000), form.events());
    let [p50, p99] = [50, 99].map(|percent| percentile(&took, percent));
    println!(
        "| {name} | {} | {connections} | {rate:.0} | {p50:.1} | {p99:.1} | {bare:.0} | {:.2} |",
        form.events(),
        rate / bare
    );
    volley.stop();
}
