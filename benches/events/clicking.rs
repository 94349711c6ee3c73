//! Links that are followed: how fast they lead on, and how fast they are counted.

use std::time::Instant;

use volley::domain::ids::LinkNumber;
use volley::domain::people::link::tracked::Target;

use crate::connection::{self, Pace};
use crate::figures::{number, percentile};
use crate::sent::Sent;
use crate::support::Database;
use crate::support::waiting::wait_until;

/// So many a second come one by one.
const SINGLE: u32 = 500;

/// Clients at the same time.
const MANY: usize = 64;

/// What a person's browser calls itself.
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

pub(crate) fn head() {
    println!("\nClicks. The bare loop is `GET /healthz` of the same process, over the same connections\n");
    println!(
        "| database | clicks | connections | clicks/s | p50 ms | p99 ms | target p50 | bare loop/s | ratio | counted/s |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
}

/// Measures on one database and prints its rows.
pub(crate) fn measure(name: &str, db: &Database, clicks: usize) {
    let people = (clicks / 10).max(1_000);
    let sent = Sent::to(db, people, "[tracking]\nmachine_within_ms = 0\n", |pool| pool);
    let target = Target::new(&"https://shop.example.com/offers/42?utm_source=mail".parse().expect("a URL"));
    let target = target.expect("a target");
    let links: Vec<String> =
        sent.in_no_order().map(|contact| sent.tracker(contact).click(LinkNumber(1), &target)).collect();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {BROWSER}\r\n\r\n");
    let mut counted = 0;
    for (pace, connections, clicks) in [(Pace::PerSecond(SINGLE), 4, clicks / 20), (Pace::Flat, MANY, clicks)] {
        let requests: Vec<String> = links.iter().cycle().take(clicks).map(|link| get(link)).collect();
        let bare: Vec<String> = (0..clicks).map(|_| get("/healthz")).collect();
        let rate = |requests: &[String], status: u16| {
            let began = Instant::now();
            let took = connection::send(sent.volley.port(), requests, pace, connections, move |answered, _| {
                assert_eq!(answered, status)
            });
            (number(requests.len()) / began.elapsed().as_secs_f64(), took)
        };
        let (bare, _) = rate(&bare, 200);
        let began = Instant::now();
        let (measured, took) = rate(&requests, 302);
        counted += i64::try_from(clicks).expect("a count");
        wait_until("all clicks are counted", crate::sent::LIMIT, || {
            db.number("SELECT count(*) AS n FROM events WHERE name = 'message.clicked'") >= counted
        });
        let counting = number(clicks) / began.elapsed().as_secs_f64();
        let [p50, p99] = [50, 99].map(|percent| percentile(&took, percent));
        let target = if connections == MANY { "" } else { "≤ 1" };
        println!(
            "| {name} | {clicks} | {connections} | {measured:.0} | {p50:.2} | {p99:.2} | {target} | {bare:.0} | {:.2} | {counting:.0} |",
            measured / bare
        );
    }
    sent.volley.stop();
}
