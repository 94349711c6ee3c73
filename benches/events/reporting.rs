//! Reports of providers beside a campaign that sends. They come in the order in which the messages went out, as deliveries are reported.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use volley::domain::ids::ContactId;

use crate::connection::{self, Pace};
use crate::figures::{median, number, percentile};
use crate::sent::{LIMIT, POOL, Sent};
use crate::support::Database;
use crate::support::fleet::metric;
use crate::support::waiting::wait_until;

const SECRET: [u8; 32] = [7; 32];

/// Reports in one callback.
const IN_ONE: usize = 100;

/// Reports a second beside a campaign.
const BESIDE: [u32; 2] = [0, 10_000];

/// Clients at the same time.
const CONNECTIONS: usize = 16;

/// What one rate of reports came to.
#[derive(Default)]
struct Beside {
    /// Messages a second in each window.
    rates: Vec<f64>,
    /// To the window of the same campaign without reports.
    kept: Vec<f64>,
    /// How long each callback took, in milliseconds.
    times: Vec<f64>,
    /// Reports that were counted a second, up to the last one.
    counted: Vec<f64>,
    /// How long the slowest of a hundred batches of outcomes waited, in milliseconds.
    waited: Vec<f64>,
}

pub(crate) fn head(people: usize) {
    println!(
        "\nReports, {IN_ONE} in a callback, of a campaign to {people} that was sent, beside another one that is being sent\n"
    );
    println!(
        "| database | reports/s | counted/s | callback p50 ms | p99 ms | messages/s without | with | kept | target | \
         outcomes waited p99 ms, without | with |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
}

/// Measures on one database and prints its row. Each campaign has a window with reports, and one without.
pub(crate) fn measure(name: &str, db: &Database, people: usize, is_quick: bool) {
    let secret = format!("whsec_{}", STANDARD.encode(SECRET));
    let sent = Sent::to(db, people, "[limits]\nrequests_per_minute = 0\n", |pool| {
        pool.set("callbacks", &format!("{{ format = \"standard-webhooks\", secret = \"{secret}\" }}"))
    });
    let (campaigns, window) = if is_quick { (1, 2) } else { (5, 4) };
    let window = Duration::from_secs(window);
    let mut people = sent.in_order();
    let mut all = BTreeMap::<u32, Beside>::new();
    let mut reported = 0;
    for turn in 0..campaigns {
        let campaign = sent.api.create_campaign("email", POOL, sent.list, &json!({}));
        sent.api.send(campaign);
        sent.api.wait(campaign, "everybody is packed", LIMIT, |campaign| {
            campaign.body["packing"]["done"] == json!(true) && campaign.stats.sent > 0
        });
        let mut rates = BTreeMap::new();
        for n in 0..BESIDE.len() {
            let rate = BESIDE[(turn + n) % BESIDE.len()];
            let beside = all.entry(rate).or_default();
            let count = usize::try_from(rate).expect("a rate") * usize::try_from(window.as_secs()).expect("seconds");
            let requests = callbacks(&sent, &mut people, count);
            let (began, before) = (Instant::now(), sent.api.campaign(campaign).stats.sent);
            if requests.is_empty() {
                std::thread::sleep(window);
            } else {
                let per_second = rate / u32::try_from(IN_ONE).expect("a count");
                let pace = Pace::PerSecond(per_second);
                let check = |status: u16, _: &[u8]| assert!((200..300).contains(&status), "{status}");
                beside.times.extend(connection::send(sent.volley.port(), &requests, pace, CONNECTIONS, check));
            }
            let stats = sent.api.campaign(campaign).stats;
            let seconds = began.elapsed().as_secs_f64();
            assert!(stats.pending > 0, "the campaign is over: give more --people; {stats:?}");
            rates.insert(rate, f64::from(u32::try_from(stats.sent - before).expect("a count")) / seconds);
            beside.waited.push(1e3 * metric(&sent.api, "volley_recorder_lag_seconds", &["quantile=\"0.99\""]));
            reported += i64::try_from(count).expect("a count");
            wait_until("all reports are counted", LIMIT, || {
                db.number("SELECT CAST(coalesce(sum(delivered), 0) AS BIGINT) AS n FROM page_reports") >= reported
            });
            if count > 0 {
                beside.counted.push(number(count) / began.elapsed().as_secs_f64());
            }
        }
        for (rate, messages) in &rates {
            let beside = all.entry(*rate).or_default();
            beside.rates.push(*messages);
            beside.kept.push(messages / rates[&0]);
        }
        sent.api.stop(campaign);
        sent.api.wait(campaign, "the stop has swept up", LIMIT, |campaign| {
            campaign.stats.pending + campaign.stats.sending == 0
        });
    }
    row(name, &all);
    sent.volley.stop();
}

fn row(name: &str, all: &BTreeMap<u32, Beside>) {
    let without = &all[&0];
    for (rate, beside) in all.iter().filter(|(rate, _)| **rate > 0) {
        let [p50, p99] = [50, 99].map(|percent| percentile(&beside.times, percent));
        println!(
            "| {name} | {rate} | {:.0} | {p50:.1} | {p99:.1} | {:.0} | {:.0} | {:.2} | ≥ 0.70 | {:.0} | {:.0} |",
            median(&beside.counted),
            median(&without.rates),
            median(&beside.rates),
            median(&beside.kept),
            median(&without.waited),
            median(&beside.waited)
        );
    }
}

/// Signed callbacks, each report about another recipient.
fn callbacks(sent: &Sent, people: &mut impl Iterator<Item = ContactId>, reports: usize) -> Vec<String> {
    let report = |contact: ContactId| json!({ "kind": "delivered", "delivery_key": sent.delivery_key(contact) });
    let mut all = Vec::new();
    while all.len() < reports / IN_ONE {
        let several: Vec<Value> = people.by_ref().take(IN_ONE).map(report).collect();
        assert_eq!(several.len(), IN_ONE, "all were reported: give more --people");
        all.push(callback(&json!({ "reports": several }).to_string()));
    }
    all
}

/// A request that is signed after <https://www.standardwebhooks.com>.
fn callback(body: &str) -> String {
    let (id, at) = (uuid::Uuid::new_v4().simple(), jiff::Timestamp::now().as_second());
    let mut mac = Hmac::<Sha256>::new_from_slice(&SECRET).expect("a key");
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let headers = format!(
        "webhook-id: {id}\r\nwebhook-timestamp: {at}\r\nwebhook-signature: v1,{signature}\r\nContent-Type: application/json\r\n"
    );
    connection::post(&format!("/v1/callbacks/{POOL}"), &headers, body)
}
