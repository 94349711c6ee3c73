//! From the answer to an event until its transition can be read.

use std::time::{Duration, Instant};

use serde_json::json;
use volley::store::Conn;

use crate::connection::{self, Pace};
use crate::figures::{median, percentile};
use crate::ingest::{check, requests};
use crate::rules::PROBE;
use crate::support::api::Api;
use crate::support::database::number;
use crate::world::{LIMIT, World};

/// Events in one request beside, and how many requests a second: 2,000 events.
const BESIDE: (usize, u32) = (20, 100);

/// Tells of events that make a contact a member, one after the other.
struct Probes<'a> {
    world: &'a World,
    api: Api,
    conn: Conn,
    segment: i64,
    next: usize,
}

impl Probes<'_> {
    /// How long the next one takes, in milliseconds.
    fn next(&mut self) -> f64 {
        let contact = self.world.contacts - self.next;
        self.next += 1;
        self.api.post("/v1/events", &json!({ "name": PROBE, "external_id": format!("c-{contact}") }));
        let answered = Instant::now();
        let entered = format!(
            "SELECT count(*) AS n FROM segment_transitions WHERE segment_id = {} AND contact_id = {contact}",
            self.segment
        );
        while number(&mut self.conn, &entered) == 0 {
            assert!(answered.elapsed() < LIMIT, "it has not entered");
            std::thread::sleep(Duration::from_millis(1));
        }
        answered.elapsed().as_secs_f64() * 1e3
    }
}

/// Measures and prints the rows.
pub(crate) fn measure(world: &World, is_quick: bool) {
    world.with_twenty();
    println!("\nFrom the answer to an event until its transition can be read, with twenty segments\n");
    println!("| database | events/s beside | probes | p50 ms | p99 ms | longest | target p99 | waiting at the end |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let volley = world.start();
    let mut probes =
        Probes { world, api: volley.api(), conn: world.db.connect(), segment: world.segment("other 14"), next: 0 };
    let (count, seconds) = if is_quick { (20, 5) } else { (300, 60) };
    let idle: Vec<f64> = (0..count)
        .map(|n: u64| {
            // At another moment of the worker's round each time.
            std::thread::sleep(Duration::from_millis(n * 37 % 200));
            probes.next()
        })
        .collect();
    row(world, 0, &idle, 300);
    let (in_one, per_second) = BESIDE;
    let beside = requests(world, usize::try_from(per_second * seconds).expect("a count"), in_one, "beside");
    let port = volley.port();
    let busy: Vec<f64> = std::thread::scope(|scope| {
        let load = scope.spawn(|| connection::send(port, &beside, Pace::PerSecond(per_second), 4, check));
        let mut busy = Vec::new();
        while !load.is_finished() {
            std::thread::sleep(Duration::from_millis(100));
            busy.push(probes.next());
        }
        busy
    });
    row(world, in_one * usize::try_from(per_second).expect("a rate"), &busy, 2_000);
    volley.stop();
}

fn row(world: &World, beside: usize, took: &[f64], target: u32) {
    let [p99, longest] = [99, 100].map(|percent| percentile(took, percent));
    println!(
        "| {} | {beside} | {} | {:.0} | {p99:.0} | {longest:.0} | ≤ {target} | {} |",
        world.name,
        took.len(),
        median(took),
        world.waiting()
    );
}
