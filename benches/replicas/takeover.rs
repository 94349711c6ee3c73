//! From `kill -9` of an instance until another goes on with what it held.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use diesel::sql_types::BigInt;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query};
use volley::verify::rng::Rng;

use crate::fleet::{LIMIT, Outfit, broker, database, is_flowing, launch, wait_connected};
use crate::provider::Provider;
use crate::support::api::{Api, id};
use crate::support::volley::Volley;
use crate::{Depth, clock, figures};

const INSTANCES: usize = 2;
/// What an answer takes.
const LATENCY_MS: u64 = 50;
const CONCURRENCY: u32 = 20;
/// So many pages an instance works on at once. The campaign has no more: whatever the one instance held, the other has room
/// for, and nothing else is due before it.
const PAGES: u32 = 4;
/// Enough to be at work for half a minute.
const PAGE_SIZE: u32 = 5_000;

/// A page that somebody has leased.
#[derive(QueryableByName)]
struct Held {
    #[diesel(sql_type = BigInt)]
    first_contact_id: i64,
    #[diesel(sql_type = BigInt)]
    last_contact_id: i64,
}

/// What one kill came to, in milliseconds since.
struct Trial {
    /// The survivor hands over to somebody on a page that the dead instance held.
    goes_on: f64,
    /// The dead instance holds no page any more.
    all_free: f64,
}

/// Kills the one and the other instance in turn while both work on a campaign, and prints what that delayed.
pub(crate) fn measure(depth: Depth) {
    let trials = depth.choose(10, 2);
    let (db, broker) = (database(), broker());
    let mut provider = Provider::start(LATENCY_MS);
    let outfit = Outfit { db: &db, broker: Some(&broker), concurrency: CONCURRENCY, page_size: PAGE_SIZE };
    let mut fleet = outfit.start_all(&provider, INSTANCES);
    let list = fleet[0].api().a_list_of(usize::try_from(PAGES * PAGE_SIZE).expect("a count"));
    let mut connection = PgConnection::establish(&db.url()).expect("reach PostgreSQL");
    let rng = Rng::new(4);
    let mut seen = Vec::new();
    for number in 0..trials {
        let (victim, survivor) = (number % INSTANCES, (number + 1) % INSTANCES);
        let api = fleet[survivor].api();
        let campaign = launch_shared(&api, &mut provider, list);
        // A moment like any other.
        std::thread::sleep(rng.millis(0, 1_000));
        seen.push(Trial::measure(&mut fleet[victim], survivor, &mut provider, &mut connection));
        api.stop(campaign);
        fleet[victim].start();
        wait_connected(&fleet[victim]);
    }
    let figures = |figure: fn(&Trial) -> f64| figures::spread(&seen.iter().map(figure).collect::<Vec<_>>());
    println!("\n{trials} times kill -9 of one of {INSTANCES} instances that work on a campaign\n");
    println!("| from the kill until, in ms | p50 | p99 | max | target |\n|---|---:|---:|---:|---:|");
    let goes_on = figures(|trial| trial.goes_on);
    println!("| the other hands over to somebody on a page that the dead one held | {goes_on} | 15000 |");
    let all_free = figures(|trial| trial.all_free);
    println!("| the dead one holds no page any more | {all_free} | 15000 |");
    fleet.into_iter().for_each(Volley::stop);
}

impl Trial {
    fn measure(victim: &mut Volley, survivor: usize, provider: &mut Provider, connection: &mut PgConnection) -> Self {
        let dead = answering(&victim.api());
        let killed = clock::now();
        victim.kill_9();
        // Nobody takes a page from an instance that was heard of just now.
        let held = held_by(connection, dead);
        let contacts: Vec<RangeInclusive<i64>> =
            held.iter().map(|page| page.first_contact_id..=page.last_contact_id).collect();
        assert!(!contacts.is_empty(), "the killed instance held no page");
        let began = Instant::now();
        let (mut goes_on, mut all_free) = (None, None);
        loop {
            goes_on = goes_on.or_else(|| provider.first_of(survivor, killed, &contacts));
            if all_free.is_none() && held_by(connection, dead).is_empty() {
                all_free = Some(clock::now());
            }
            if let (Some(goes_on), Some(all_free)) = (goes_on, all_free) {
                let since = |moment| clock::millis_between(killed, moment);
                return Self { goes_on: since(goes_on), all_free: since(all_free) };
            }
            assert!(began.elapsed() < LIMIT, "nobody goes on with the pages of the killed instance");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Launches a campaign that both instances work on. One may have taken all pages before the other looked.
fn launch_shared(api: &Api, provider: &mut Provider, list: i64) -> i64 {
    for _ in 0..10 {
        provider.forget();
        let campaign = launch(api, list);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5) {
            if is_flowing(provider, INSTANCES, 20) {
                return campaign;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        api.stop(campaign);
    }
    panic!("one instance always takes all pages");
}

/// The id of the instance that answers.
fn answering(api: &Api) -> i64 {
    let instances = api.get("/v1/instances");
    let instances = instances["data"].as_array().expect("a list of instances");
    id(instances.iter().find(|instance| instance["answering"] == true).expect("the one that answers"))
}

/// The pages that an instance has leased.
fn held_by(connection: &mut PgConnection, instance: i64) -> Vec<Held> {
    sql_query("SELECT first_contact_id, last_contact_id FROM pages WHERE state = 'leased' AND lease_instance_id = $1")
        .bind::<BigInt, _>(instance)
        .load(connection)
        .expect("ask the database")
}
