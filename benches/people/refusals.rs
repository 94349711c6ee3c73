//! Refusals by one click: alone, beside a campaign, beside audits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use volley::domain::ids::{CampaignId, ContactId};
use volley::domain::people::link::{Link, LinkKey};
use volley::store::people::link_keys;

use crate::connection::Pace;
use crate::figures::{median, number, percentile};
use crate::mailbox;
use crate::support::Database;
use crate::support::api::Api;
use crate::support::volley::{Pool, Volley};

const POOL: &str = "bench";

/// Refusals a second beside a campaign, over how many connections, and how much of its rate the campaign keeps at least.
const BESIDE: [(u32, usize, &str); 3] = [(0, 0, ""), (100, 8, "≥ 0.95"), (1_000, 64, "≥ 0.75")];

/// So many a second come one by one.
const SINGLE: u32 = 30;

/// Audits that are asked for at the same time.
const AUDITS: usize = 6;

/// How long anything of this size may take.
const LIMIT: Duration = Duration::from_secs(300);

/// An instance with an audience; the first ones of it refuse.
struct Site {
    name: &'static str,
    volley: Volley,
    api: Api,
    key: LinkKey,
    list: i64,
    people: u64,
    next: i64,
}

/// What one rate of refusals came to.
#[derive(Default)]
struct Beside {
    /// Messages a second in each window.
    rates: Vec<f64>,
    /// To the window of the same campaign without refusals.
    kept: Vec<f64>,
    /// How long each refusal took, in milliseconds.
    times: Vec<f64>,
}

/// Measures on one database and prints its rows. Each campaign has one window for each rate.
pub(crate) fn measure(name: &'static str, db: &Database, people: u32, is_quick: bool) {
    println!("\n`POST /u/{{token}}`, and a campaign to {people}\n");
    println!(
        "| database | beside | refusals/s | p50 ms | p99 ms | target | messages/s without | with | kept | target |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut site = Site::start(name, db, people);
    let (campaigns, window, singles, many) = if is_quick { (1, 1, 60, 1_000) } else { (7, 3, 600, 20_000) };
    let mut all: BTreeMap<u32, Beside> = BTreeMap::new();
    let mut last = 0;
    for turn in 0..campaigns {
        last = site.beside_a_campaign(turn, Duration::from_secs(window), &mut all);
    }
    let without = median(&all[&0].rates);
    for (rate, _, target) in BESIDE.into_iter().filter(|(rate, ..)| *rate > 0) {
        let Beside { rates, kept, times } = &all[&rate];
        let (with, kept) = (median(rates), median(kept));
        site.row("a campaign", f64::from(rate), times, &format!("{without:.0} | {with:.0} | {kept:.2} | {target}"));
    }
    site.alone(last, singles, Pace::PerSecond(SINGLE));
    site.alone(last, many, Pace::Flat);
    site.beside_audits(last, singles);
    site.volley.stop();
}

impl Site {
    fn start(name: &'static str, db: &Database, people: u32) -> Self {
        let pool = Pool::sandbox(POOL, "email").set("latency_ms", "[0, 0]").set("concurrency", "50");
        let volley = Volley::on(db).settings("[log]\nlevel = \"warn\"").pool(pool).start();
        let api = volley.api();
        let list = api.a_list_of(usize::try_from(people).expect("a count"));
        let first = db.number("SELECT min(id) AS n FROM contacts");
        let last = db.number("SELECT max(id) AS n FROM contacts");
        assert_eq!(last - first + 1, i64::from(people), "the ids have gaps");
        let key = link_keys::all(&mut db.connect()).expect("the keys").swap_remove(0);
        Self { name, volley, api, key, list, people: u64::from(people), next: first }
    }

    /// Links of people who have not refused yet.
    fn tokens(&mut self, campaign: i64, count: usize) -> Vec<String> {
        let first = self.next;
        self.next += i64::try_from(count).expect("a count");
        let link = |contact| Link::Unsubscribe { campaign: CampaignId(campaign), contact: ContactId(contact) };
        (first..self.next).map(|contact| self.key.sign(&link(contact))).collect()
    }

    /// A campaign, when everybody is packed: one window for each rate of refusals, in another order each turn.
    fn beside_a_campaign(&mut self, turn: usize, window: Duration, all: &mut BTreeMap<u32, Beside>) -> i64 {
        let campaign = self.api.create_campaign("email", POOL, self.list, &json!({}));
        self.api.send(campaign);
        self.api.wait(campaign, "everybody is packed", LIMIT, |campaign| {
            campaign.body["packing"]["done"] == json!(true) && campaign.stats.sent > 0
        });
        let mut rates = BTreeMap::new();
        for n in 0..BESIDE.len() {
            let (rate, connections, _) = BESIDE[(turn + n) % BESIDE.len()];
            let count = number_of(rate, window);
            let tokens = self.tokens(campaign, count);
            let (began, before) = (Instant::now(), self.api.campaign(campaign).stats.sent);
            if rate == 0 {
                std::thread::sleep(window);
            } else {
                let times = mailbox::refuse(self.volley.port(), &tokens, Pace::PerSecond(rate), connections);
                all.entry(rate).or_default().times.extend(times);
            }
            let stats = self.api.campaign(campaign).stats;
            assert!(stats.pending > 0, "the campaign is over: give more --people; {stats:?}");
            let sent = u32::try_from(stats.sent - before).expect("a count");
            rates.insert(rate, f64::from(sent) / began.elapsed().as_secs_f64());
        }
        let without = rates[&0];
        for (rate, messages) in rates {
            let beside = all.entry(rate).or_default();
            beside.rates.push(messages);
            beside.kept.push(messages / without);
        }
        self.api.stop(campaign);
        self.api.wait(campaign, "the stop has swept up", LIMIT, |campaign| {
            campaign.stats.pending + campaign.stats.sending == 0
        });
        campaign
    }

    /// With nothing else to do: single ones, or as fast as many connections are answered.
    fn alone(&mut self, campaign: i64, count: usize, pace: Pace) {
        let tokens = self.tokens(campaign, count);
        let began = Instant::now();
        let (what, connections) = match pace {
            Pace::PerSecond(_) => ("nothing", 4),
            Pace::Flat => ("nothing, 64 at the same time", 64),
        };
        let times = mailbox::refuse(self.volley.port(), &tokens, pace, connections);
        let rate = match pace {
            Pace::PerSecond(rate) => f64::from(rate),
            Pace::Flat => number(count) / began.elapsed().as_secs_f64(),
        };
        self.row(what, rate, &times, "| | |");
    }

    /// Single ones while the rows of a whole campaign are counted, again and again.
    fn beside_audits(&mut self, campaign: i64, count: usize) {
        let tokens = self.tokens(campaign, count);
        let (ended, done) = (AtomicBool::new(false), AtomicU32::new(0));
        let times = std::thread::scope(|scope| {
            for _ in 0..AUDITS {
                let api = self.api.another();
                let (ended, done) = (&ended, &done);
                scope.spawn(move || {
                    while !ended.load(Ordering::Acquire) {
                        api.audit(campaign);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let times = mailbox::refuse(self.volley.port(), &tokens, Pace::PerSecond(SINGLE), 4);
            ended.store(true, Ordering::Release);
            times
        });
        let done = done.load(Ordering::Relaxed);
        let what = format!("{AUDITS} audits of {} deliveries ({done} were answered)", self.people);
        self.row(&what, f64::from(SINGLE), &times, "| | |");
    }

    fn row(&self, beside: &str, rate: f64, times: &[f64], campaign: &str) {
        let [p50, p99] = [50, 99].map(|percent| percentile(times, percent));
        let target = if beside.starts_with("nothing") { "" } else { "≤ 50" };
        println!("| {} | {beside} | {rate:.0} | {p50:.1} | {p99:.1} | {target} | {campaign} |", self.name);
    }
}

/// How many refusals a window of this length has.
fn number_of(per_second: u32, window: Duration) -> usize {
    let seconds = usize::try_from(window.as_secs()).expect("seconds");
    usize::try_from(per_second).expect("a rate") * seconds
}
