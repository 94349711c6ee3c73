//! Events that programs send, while there are no segments, and while there are twenty.

use std::time::Instant;

use serde_json::{Value, json};

use crate::connection::{self, Pace};
use crate::figures::{number, percentile};
use crate::support::volley::{ROOT_KEY, Volley};
use crate::support::waiting::wait_until;
use crate::world::{LIMIT, World};

/// Events in one request, over how many connections, and which part of all events.
const FORMS: [(usize, usize, usize); 2] = [(1, 64, 10), (1_000, 4, 1)];

const NAMES: [&str; 4] = ["login", "order_placed", "page_viewed", "cart_left"];

/// Event number `n`: of a contact that follows no order.
fn event(world: &World, n: usize, key: &str) -> Value {
    json!({
        "name": NAMES[n % NAMES.len()],
        "external_id": format!("c-{}", 1 + n * 7_919 % world.contacts),
        "properties": { "total": n % 250, "currency": "EUR", "items": ["a", "b"] },
        "key": format!("{key}-{n}"),
    })
}

/// So many requests, each with so many events. The keys begin with `key`.
pub(crate) fn requests(world: &World, requests: usize, in_one: usize, key: &str) -> Vec<String> {
    let headers = format!("Authorization: Bearer {ROOT_KEY}\r\nContent-Type: application/json\r\n");
    let request = |n: usize| {
        if in_one == 1 {
            return connection::post("/v1/events", &headers, &event(world, n, key).to_string());
        }
        let events: Vec<Value> = (n * in_one..(n + 1) * in_one).map(|n| event(world, n, key)).collect();
        connection::post("/v1/events/batch", &headers, &json!({ "events": events }).to_string())
    };
    (0..requests).map(request).collect()
}

/// Fails where an answer is no success, or an event was refused.
pub(crate) fn check(status: u16, body: &[u8]) {
    assert!((200..300).contains(&status), "{status}");
    assert!(!body.windows(9).any(|part| part == b"\"problem\""), "an event was refused");
}

/// Measures and prints the rows.
pub(crate) fn measure(world: &World, events: usize) {
    println!("\n{events} events with keys; a tenth of that in single requests\n");
    println!(
        "| database | events in a request | connections | segments | events/s | p50 ms | p99 ms | ratio | target | evaluated/s |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    world.clear();
    let volley = world.start();
    let without = FORMS.map(|form| row(world, &volley, form, events, None));
    volley.stop();
    world.with_twenty();
    let volley = world.start();
    for (form, without) in FORMS.into_iter().zip(without) {
        row(world, &volley, form, events, Some(without));
    }
    volley.stop();
}

/// Measures one form and prints its row. Events a second. `without` is the same without segments.
fn row(
    world: &World,
    volley: &Volley,
    (in_one, connections, part): (usize, usize, usize),
    events: usize,
    without: Option<f64>,
) -> f64 {
    let segments = if without.is_some() { 20 } else { 0 };
    let events = events / part;
    let requests = requests(world, events / in_one, in_one, &format!("{segments}-{in_one}"));
    let began = Instant::now();
    let took = connection::send(volley.port(), &requests, Pace::Flat, connections, check);
    let rate = number(events) / began.elapsed().as_secs_f64();
    wait_until("all are evaluated", LIMIT, || world.waiting() == 0);
    let evaluated = number(events) / began.elapsed().as_secs_f64();
    let [p50, p99] = [50, 99].map(|percent| percentile(&took, percent));
    let ratio = without.map(|without| format!("{:.2}", rate / without)).unwrap_or_default();
    let target = if without.is_some() { "≥ 0.80" } else { "" };
    println!(
        "| {} | {in_one} | {connections} | {segments} | {rate:.0} | {p50:.1} | {p99:.1} | {ratio} | {target} | {evaluated:.0} |",
        world.name
    );
    rate
}
