//! Processes and databases that stand still for longer than any call takes, in front of a provider without keys: many slow
//! campaigns, so that most pages have somebody under way and hardly one changes many times a second.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use volley::verify::plan::LinkTrouble;
use volley::verify::proxy::Proxy;

use crate::support::api::Api;
use crate::support::database::is_long;
use crate::support::fleet::metric;
use crate::support::people;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::stage::LONG;
use crate::support::turns::my_turn;
use crate::support::volley::{Builder, Pool, Volley};
use crate::support::waiting::{stays, wait_until};
use crate::support::{Database, both_backends};

const CAMPAIGNS: usize = 10;
const PLACES: usize = 3;
const LATENCY_MS: (u64, u64) = (300, 900);

/// Longer than a call may be under way: half a second until it begins, and a second.
const STANDSTILL: Duration = Duration::from_millis(2_300);

/// The same, and so long that the reaper knows of it.
const LONG_STANDSTILL: Duration = Duration::from_millis(3_500);

/// Ten campaigns to people of their own, through one provider that takes everything it is given.
struct Crowd {
    instances: Vec<Volley>,
    api: Api,
    provider: ScriptedHttp,
    campaigns: Vec<i64>,
    everyone: Vec<String>,
}

fn slow_pool(provider: &ScriptedHttp) -> Pool {
    let pool = Pool::webhook("main", provider);
    pool.set("concurrency", &PLACES.to_string()).set("timeout_seconds", "1")
}

fn instance(db: &Database, provider: &ScriptedHttp) -> Builder {
    // Pages of two people, so that there are some for every instance.
    let settings = "[timing]\ncall_margin_ms = 0\n[sending]\npage_size = 2";
    Volley::on(db).settings(settings).pool(slow_pool(provider))
}

impl Crowd {
    /// So many people each, launched.
    fn launched(people: usize, provider: ScriptedHttp, instances: Vec<Volley>) -> Self {
        let api = instances[0].api();
        let campaigns = (0..CAMPAIGNS).map(|n| {
            let list = api.create_list(&format!("list {n}"));
            api.import_csv(list, &people::csv_of(n * people + 1..=(n + 1) * people));
            api.create_campaign("http", "main", list, &json!({}))
        });
        let campaigns: Vec<i64> = campaigns.collect();
        campaigns.iter().for_each(|campaign| drop(api.send(*campaign)));
        Self { instances, api, provider, campaigns, everyone: people::addresses(CAMPAIGNS * people) }
    }

    #[track_caller]
    fn wait_reached(&self, people: usize) {
        wait_until(&format!("{people} are reached"), LONG, || self.provider.ledger().reached() >= people);
    }

    /// Waits for the end: nobody was reached twice, whoever was not reached is said to be in doubt, and no acceptance came too
    /// late for its delivery.
    #[track_caller]
    fn assert_nobody_twice(&self) {
        let mut in_doubt = BTreeSet::new();
        for campaign in &self.campaigns {
            let ended = self.api.wait_ended(*campaign, LONG);
            assert_eq!(ended.stats.sent + ended.stats.uncertain, ended.stats.total, "{}", ended.body);
            in_doubt.extend(self.api.deliveries(*campaign, "uncertain").iter().map(Api::address_of));
        }
        let ledger = self.provider.ledger();
        ledger.assert_nobody_twice();
        let missing = ledger.missing(&self.everyone);
        println!("{} are in doubt, {} of them were not reached", in_doubt.len(), missing.len());
        let untold: Vec<&String> = missing.difference(&in_doubt).collect();
        assert!(untold.is_empty(), "lost without a word: {untold:?}");
        // A second is hardly more than the slowest answer: with each standstill some calls run out of time.
        assert!(in_doubt.len() <= self.everyone.len() / 2, "{} are in doubt", in_doubt.len());
        let late: usize = self.instances.iter().map(Volley::late_acceptances).sum();
        assert_eq!(late, 0, "acceptances came too late for their deliveries");
    }

    fn lost_leases(&self) -> f64 {
        self.instances.iter().map(|instance| metric(&instance.api(), "volley_leases_lost_total", &[])).sum()
    }

    fn stop(self) {
        self.instances.into_iter().for_each(Volley::stop);
    }
}

both_backends! {
    fn a_process_that_stands_still_for_longer_than_any_call_reaches_nobody_twice(db: &Database) {
        let _turn = my_turn();
        let provider = ScriptedHttp::slow(LATENCY_MS, Keys::Ignored);
        let instance = instance(db, &provider).start();
        let crowd = Crowd::launched(3, provider, vec![instance]);
        for (reached, standstill) in [(3, STANDSTILL), (13, LONG_STANDSTILL)] {
            crowd.wait_reached(reached);
            crowd.instances[0].freeze();
            // Time itself is the fault here.
            std::thread::sleep(standstill);
            crowd.instances[0].thaw();
        }
        crowd.assert_nobody_twice();
        crowd.stop();
    }
}

/// How long PostgreSQL stands still: longer than a lease lasts; with `scripts/test --long`, than most things do.
fn standstill_of_the_database() -> Duration {
    Duration::from_secs(if is_long() { 40 } else { 12 })
}

#[test]
fn a_database_that_stands_still_costs_no_living_instance_its_leases() {
    let _turn = my_turn();
    let Some(db) = Database::own_postgres("a_database_that_stands_still_costs_no_lease") else { return };
    let provider = ScriptedHttp::slow(LATENCY_MS, Keys::Ignored);
    let start = |folder: &str| instance(&db, &provider).data_dir(&db.folder().join(folder)).start();
    let instances = vec![start("one"), start("two")];
    let crowd = Crowd::launched(4, provider, instances);
    crowd.wait_reached(10);
    db.server().freeze();
    std::thread::sleep(standstill_of_the_database());
    db.server().thaw();
    crowd.assert_nobody_twice();
    assert!(crowd.lost_leases() < 1.0, "{} leases were taken from living instances", crowd.lost_leases());
    crowd.stop();
}

#[test]
fn an_instance_that_comes_back_late_after_an_outage_is_not_taken_for_dead() {
    let _turn = my_turn();
    let Some(db) = Database::own_postgres("an_instance_that_comes_back_late_is_not_dead") else { return };
    let provider = ScriptedHttp::slow(LATENCY_MS, Keys::Ignored);
    let proxy = Proxy::start().unwrap();
    let (user, rest) = db.url().split_once('@').map(|(user, rest)| (user.to_owned(), rest.to_owned())).unwrap();
    let (server, name) = rest.split_once('/').unwrap();
    let link = proxy.link(server).unwrap();
    let behind_it = format!("{user}@{}/{name}", link.addr());
    let first = instance(&db, &provider).data_dir(&db.folder().join("one")).start();
    let second = instance(&db, &provider).data_dir(&db.folder().join("two")).database(&behind_it).start();
    let crowd = Crowd::launched(4, provider, vec![first, second]);
    crowd.wait_reached(6);
    let held = "SELECT count(*) AS n FROM pages WHERE state = 'leased' AND lease_instance_id = 2";
    wait_until("the second instance holds pages", LONG, || db.number(held) > 0);
    db.server().stop_immediately();
    link.begin(LinkTrouble::Refuse);
    wait_until("the outage is noticed", LONG, || crowd.api.try_get("/readyz").is_ok_and(|answer| answer.status == 503));
    db.server().start_again();
    wait_until("the first instance is back", LONG, || {
        crowd.api.try_get("/readyz").is_ok_and(|answer| answer.status == 200)
    });
    // Longer than one attempt of the second one to connect.
    let back = Instant::now();
    stays("nothing is taken from the second instance", Duration::from_millis(5_500), || {
        metric(&crowd.api, "volley_leases_lost_total", &[]) < 1.0
    });
    link.mend();
    println!("the second instance comes back {:?} after the first", back.elapsed());
    crowd.assert_nobody_twice();
    assert!(crowd.lost_leases() < 1.0, "{} leases were taken from living instances", crowd.lost_leases());
    crowd.stop();
}
