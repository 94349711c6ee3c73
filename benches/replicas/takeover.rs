//! From `kill -9` of an instance until another goes on with what it held.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use diesel::sql_types::BigInt;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query};
use volley::verify::dice::Dice;

use crate::fleet::{LIMIT, Supply, broker, database, start_instance, wait_connected, wait_flowing};
use crate::provider::Provider;
use crate::support::api::{Api, id};
use crate::support::volley::Volley;
use crate::{Depth, clock, figures};

const INSTANCES: usize = 2;
/// What an answer takes.
const LATENCY_MS: u64 = 50;
const CONCURRENCY: u32 = 20;

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
    let (trials, people) = depth.choose((10, 50_000), (2, 20_000));
    let (db, broker) = (database(), broker());
    let mut provider = Provider::start(LATENCY_MS);
    let mut fleet: Vec<Volley> =
        (0..INSTANCES).map(|number| start_instance(&db, Some(&broker), &provider, number, CONCURRENCY)).collect();
    let mut connection = PgConnection::establish(&db.url()).expect("reach PostgreSQL");
    let mut supply = Supply::launch(&fleet[0].api(), people);
    let dice = Dice::new(4);
    let mut seen = Vec::new();
    for number in 0..trials {
        provider.forget();
        wait_flowing(&mut provider, INSTANCES, 20);
        // A moment like any other.
        std::thread::sleep(dice.millis(0, 1_000));
        let (victim, survivor) = (number % INSTANCES, (number + 1) % INSTANCES);
        seen.push(Trial::measure(&mut fleet[victim], survivor, &mut provider, &mut connection));
        fleet[victim].start();
        wait_connected(&fleet[victim]);
        supply.renew(&fleet[survivor].api());
    }
    let figures = |figure: fn(&Trial) -> f64| figures::spread(&seen.iter().map(figure).collect::<Vec<_>>());
    println!("\n{trials} times kill -9 of one of {INSTANCES} instances that work on a campaign\n");
    println!("| from the kill until, in ms | p50 | p99 | max | target |\n|---|---:|---:|---:|---:|");
    let goes_on = figures(|trial| trial.goes_on);
    println!("| the other hands over to somebody on a page that the dead one held | {goes_on} | 15000 |");
    let all_free = figures(|trial| trial.all_free);
    println!("| the dead one holds no page any more | {all_free} | 15000 |");
    supply.end(&fleet[0].api());
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
