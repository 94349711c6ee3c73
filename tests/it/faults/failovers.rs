//! The database is failed over to a standby that lags behind: it goes back in time, and nobody gets a second message for it.

use std::time::Instant;

use reqwest::Method;
use volley::domain::ids::{CampaignId, ContactId};
use volley::domain::people::link;
use volley::store::people::link_keys;
use volley::verify::plan::LinkTrouble;
use volley::verify::proxy::{Link, Proxy};

use crate::support::Database;
use crate::support::api::Api;
use crate::support::postgres::PrivatePostgres;
use crate::support::provider::Provider;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::stage::{LONG, Stage};
use crate::support::turns::shared_turn;

const LATENCY_MS: (u64, u64) = (5, 20);

/// A server, its standby, and the ways that a failover turns.
struct Pair {
    standby: PrivatePostgres,
    /// From clients to the server of the day.
    clients: Link,
    /// From the standby to the primary.
    replication: Link,
    _proxy: Proxy,
}

impl Pair {
    fn of(db: &Database) -> Self {
        let proxy = Proxy::start().unwrap();
        let primary = db.server().addr().to_string();
        let (clients, replication) = (proxy.link(&primary).unwrap(), proxy.link(&primary).unwrap());
        let standby = db.server().standby(replication.addr());
        Self { standby, clients, replication, _proxy: proxy }
    }

    /// From here on the primary commits what the standby never hears of.
    fn part(&self) {
        self.replication.begin(LinkTrouble::Refuse);
    }

    fn fail_over(&self, db: &Database) {
        db.server().stop_immediately();
        self.standby.promote();
        self.clients.point_at(&self.standby.addr().to_string());
    }
}

/// The first recipient, who has the message, says no by its link, and is answered.
fn refuse_as_the_first(db: &Database, stage: &Stage) {
    let key = link_keys::all(&mut db.connect()).unwrap().remove(0);
    let link = link::Link::Unsubscribe { campaign: CampaignId(stage.campaign), contact: ContactId(1) };
    let nobody = Api::new(&format!("http://127.0.0.1:{}", stage.volley.port()), "");
    let answer = nobody.request(Method::POST, &format!("/u/{}", key.sign(&link)), "", None, &[]).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(refused(stage), 1);
}

fn refused(stage: &Stage) -> i64 {
    stage.api.get("/v1/lists")["data"][0]["counts"]["unsubscribed"].as_i64().expect("a number")
}

/// Sends to everybody; in the middle the database loses what it acknowledged last, `lost` hand-overs at least.
fn fails_over(test: &str, provider: Provider, keyed: bool, lost: usize) {
    let _turn = shared_turn();
    let Some(db) = Database::own_postgres(test) else { return };
    let pair = Pair::of(&db);
    let stage = Stage::set(&db, provider, 5_000, |builder| {
        let builder = builder.settings("[sending]\npage_size = 200").database_at(pair.clients.addr());
        if keyed { builder } else { builder.amend("idempotent = true", "idempotent = false") }
    });
    stage.api.send(stage.campaign);
    stage.wait_reached(800);
    pair.part();
    refuse_as_the_first(&db, &stage);
    let before = stage.provider.ledger().reached();
    stage.wait_reached(before + lost);
    pair.fail_over(&db);
    let paused = stage.api.wait(stage.campaign, "it is paused", LONG, |campaign| campaign.status == "paused");
    assert_eq!(paused.attention.as_deref(), Some("database_rewound"), "{}", paused.body);
    let ready = || stage.api.try_get("/readyz").is_ok_and(|answer| answer.status == 200);
    crate::support::waiting::wait_until("the process is ready again", LONG, ready);
    stage.assert_silence(Instant::now());
    assert_eq!(refused(&stage), 1, "a refusal that the database had lost is there before anything is sent");
    stage.api.audit(stage.campaign);
    stage.api.resume(stage.campaign);
    // At most what was on the wire when the primary died.
    stage.assert_missing_are_uncertain(200);
    stage.api.audit(stage.campaign);
    stage.volley.stop();
}

#[test]
fn a_database_that_went_back_in_time_gets_nobody_a_second_mail() {
    let smtp = Provider::smtp(LATENCY_MS);
    fails_over("a_database_that_went_back_in_time_gets_nobody_a_second_mail", smtp, true, 1_000);
}

#[test]
fn a_database_that_went_back_in_time_gets_nobody_a_second_request() {
    let webhook = Provider::Webhook(ScriptedHttp::slow(LATENCY_MS, Keys::Ignored));
    fails_over("a_database_that_went_back_in_time_gets_nobody_a_second_request", webhook, false, 1_000);
}

#[test]
fn a_process_that_died_with_its_database_knows_at_its_start_what_was_lost() {
    let _turn = shared_turn();
    let Some(db) = Database::own_postgres("a_process_that_died_with_its_database") else { return };
    let pair = Pair::of(&db);
    let mut stage = Stage::set(&db, Provider::smtp(LATENCY_MS), 3_000, |builder| {
        builder.settings("[sending]\npage_size = 200").database_at(pair.clients.addr())
    });
    stage.api.send(stage.campaign);
    stage.wait_reached(500);
    pair.part();
    let before = stage.provider.ledger().reached();
    stage.wait_reached(before + 500);
    stage.volley.kill_9();
    pair.fail_over(&db);
    stage.volley.start();
    let paused = stage.api.campaign(stage.campaign);
    assert_eq!(
        (paused.status.as_str(), paused.attention.as_deref()),
        ("paused", Some("database_rewound")),
        "{}",
        paused.body
    );
    stage.api.resume(stage.campaign);
    stage.assert_missing_are_uncertain(200);
    stage.volley.stop();
}
