//! Archiving beside what other transactions do at the same time: a launch that counts, a report that is stored, and a commit that is not answered.

use std::thread;

use serde_json::json;
use volley::config::pools::PoolConfig;
use volley::domain::channel::ChannelKind;
use volley::domain::dispatch::delivery::DeliveryId;
use volley::domain::ids::{CampaignId, ContactId};
use volley::domain::reports::ReportKind;
use volley::store::events::EventKey;
use volley::store::reports::{self, Fate, Line};

use super::archives::{archive, ended, file, files, rows, server, unpacked};
use super::{LONG, ask, assert_refused, draft, people};
use crate::support::Database;
use crate::support::both_backends;
use crate::support::server::{Server, sandbox};
use crate::support::waiting::wait_until;

/// How many of this database's connections wait for a lock.
fn waiting(db: &Database) -> i64 {
    db.number(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
}

both_backends! {
    fn a_campaign_is_not_archived_under_a_launch_that_counts_without_its_recipients(db: &Database) {
        let slow = PoolConfig { rate_per_second: 1.0, burst: Some(1), ..sandbox("slow", ChannelKind::Email, 0.0) };
        let server = Server::with_pools(db, vec![sandbox("fast", ChannelKind::Email, 0.0), slow]);
        let api = server.api();
        let ids = people(&api, 7);
        let first = ended(&server, &api, &json!({ "audience": { "contact_ids": ids[..3] } }));
        let others = json!({ "pool": "slow", "audience": { "all": true, "exclude": { "campaigns": [{ "id": first }] } } });
        let second = draft(&api, &others);
        let is_postgres = db.url().starts_with("postgres");
        let mut holder = db.connect();
        // The launch has counted, and cannot write it down yet. On SQLite nobody else writes anyway, and one of the two comes first.
        for statement in if is_postgres { &["BEGIN", "LOCK TABLE packings IN SHARE MODE"][..] } else { &["BEGIN IMMEDIATE"] } {
            diesel::RunQueryDsl::execute(diesel::sql_query(*statement), &mut holder).unwrap();
        }
        let (launched, archived) = thread::scope(|scope| {
            let launch = scope.spawn(|| ask(&server, "POST", &format!("/v1/campaigns/{second}/send"), &json!({})));
            if is_postgres {
                wait_until("the launch waits", LONG, || waiting(db) == 1);
            }
            let archive = scope.spawn(|| archive(&server, db, 5));
            if is_postgres {
                wait_until("the archivist waits for the launch", LONG, || waiting(db) == 2);
            }
            diesel::RunQueryDsl::execute(diesel::sql_query("ROLLBACK"), &mut holder).unwrap();
            (launch.join().unwrap(), archive.join().unwrap())
        });
        if !is_postgres && launched.status == 409 {
            assert_refused(&launched, 409, "deliveries_archived");
            assert_eq!((archived, api.campaign(second).status.as_str()), (1, "draft"));
            return;
        }
        assert!(launched.status < 300, "{launched:?}");
        assert_eq!((archived, rows(db, "archives", first), rows(db, "deliveries", first)), (0, 0, 3));
        api.pause(second);
        assert_eq!(archive(&server, db, 5), 0, "who is paused may go on, and asks again");
        api.resume(second);
        api.wait_ended(second, LONG);
        let got: Vec<i64> = api.deliveries(second, "sent").iter().map(|row| row["contact"]["id"].as_i64().unwrap()).collect();
        assert_eq!(got, ids[3..]);
    }

    fn a_launch_that_names_a_campaign_whose_file_is_being_written_keeps_its_rows(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("fast", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let ids = people(&api, 5);
        let first = ended(&server, &api, &json!({ "audience": { "contact_ids": ids[..3] } }));
        let second = draft(&api, &json!({ "audience": { "all": true, "exclude": { "campaigns": [{ "id": first }] } } }));
        // An instance has begun, and died.
        server.execute(format!(
            "INSERT INTO archives (campaign_id, state, token, slot, host, lease_until) VALUES ({first}, 'writing', 1, 'another slot', 'there', 1)"
        ));
        api.send(second);
        assert_eq!(archive(&server, db, 5), 0);
        assert_eq!((rows(db, "archives", first), rows(db, "deliveries", first)), (0, 3), "it is given up");
        assert_eq!(api.wait_ended(second, LONG).body["stats"]["total"], 2);
    }
}

/// Holds the next seal of an archive at its last step before the commit, until the lock 4711 is free.
const HELD_SEAL: [&str; 2] = [
    "CREATE FUNCTION wait_at_seal() RETURNS trigger LANGUAGE plpgsql AS \
     'BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END'",
    "CREATE TRIGGER wait_at_seal BEFORE UPDATE ON archives FOR EACH ROW WHEN (OLD.state = 'writing' AND NEW.state = 'deleting') \
     EXECUTE FUNCTION wait_at_seal()",
];

#[test]
fn a_seal_that_is_committed_and_not_answered_is_found_by_the_next_round() {
    let Some(db) = Database::own_postgres("a_seal_that_is_committed_and_not_answered") else { return };
    let server = server(&db);
    let api = server.api();
    people(&api, 30);
    let campaign = ended(&server, &api, &json!({}));
    for statement in HELD_SEAL {
        db.execute(statement);
    }
    let mut holder = db.connect();
    diesel::RunQueryDsl::execute(diesel::sql_query("SELECT pg_advisory_lock(4711)"), &mut holder).unwrap();
    let done = thread::scope(|scope| {
        let round = scope.spawn(|| archive(&server, &db, 5));
        let sealing = "FROM pg_stat_activity WHERE wait_event = 'advisory' AND query LIKE 'UPDATE \"archives\"%'";
        wait_until("the seal waits", LONG, || db.number(&format!("SELECT count(*) AS n {sealing}")) == 1);
        let pid = db.number(&format!("SELECT pid::BIGINT AS n {sealing}"));
        // A commit is stored, and answered only when this standby has it. There is none.
        db.server().set("synchronous_standby_names", "nobody");
        drop(holder);
        let is_stored =
            format!("SELECT count(*) AS n FROM pg_stat_activity WHERE pid = {pid} AND wait_event = 'SyncRep'");
        wait_until("the seal is stored", LONG, || db.number(&is_stored) == 1);
        db.execute(&format!("SELECT pg_terminate_backend({pid})"));
        db.server().set("synchronous_standby_names", "");
        round.join().unwrap()
    });
    assert_eq!((done, rows(&db, "deliveries", campaign)), (0, 30), "no row goes before the seal is known");
    let written = files(&db);
    assert_eq!((archive(&server, &db, 5), rows(&db, "deliveries", campaign)), (1, 0));
    let named = api.get(&format!("/v1/campaigns/{campaign}"))["archive"]["file"].as_str().unwrap().to_owned();
    assert_eq!((&files(&db), written), (&vec![named.clone()], vec![named]), "one file is enough");
    api.audit(campaign);
}

#[test]
fn a_report_that_is_being_stored_when_archiving_begins_is_in_the_file() {
    let Some(db) = Database::postgres("a_report_that_is_being_stored_when_archiving_begins") else { return };
    let server = Server::with_pools(&db, vec![sandbox("fast", ChannelKind::Email, 0.0)]);
    let api = server.api();
    let ids = people(&api, 3);
    let campaign = ended(&server, &api, &json!({}));
    let mut reporter = db.connect();
    diesel::RunQueryDsl::execute(diesel::sql_query("BEGIN"), &mut reporter).unwrap();
    let bounced = Line {
        key: EventKey { source: "mail".to_owned(), key: "1".to_owned() },
        delivery: DeliveryId { campaign: CampaignId(campaign), contact: ContactId(ids[1]) },
        kind: ReportKind::HardBounced,
        occurred_at: None,
        details: serde_json::Map::new(),
    };
    assert_eq!(reports::apply(&mut reporter, &[bounced]).unwrap().fates, [Fate::Counted]);
    let done = thread::scope(|scope| {
        let round = scope.spawn(|| archive(&server, &db, 5));
        wait_until("the archivist waits for the report", LONG, || waiting(&db) == 1);
        diesel::RunQueryDsl::execute(diesel::sql_query("COMMIT"), &mut reporter).unwrap();
        round.join().unwrap()
    });
    assert_eq!(done, 1);
    let shown = api.get(&format!("/v1/campaigns/{campaign}"));
    assert_eq!(shown["reports"]["hard_bounced"]["recipients"], 1, "{shown}");
    let text = unpacked(&file(&db, &shown));
    let bounced: Vec<&str> = text.lines().filter(|line| line.contains(",hard_bounced,")).collect();
    assert!(bounced.len() == 1 && bounced[0].starts_with(&format!("{},", ids[1])), "{text}");
}
