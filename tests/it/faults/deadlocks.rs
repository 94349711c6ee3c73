//! PostgreSQL ends one of two transactions that wait for each other.

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use serde_json::json;
use volley::store::Conn;

use crate::support::database::number;
use crate::support::provider::{POOL, Provider};
use crate::support::stage::{LONG, Stage};
use crate::support::turns::my_turn;
use crate::support::volley::Volley;
use crate::support::waiting::wait_until;
use crate::support::{Database, people};

const WAITING: &str = "SELECT count(*) AS n FROM pg_stat_activity \
                       WHERE datname = current_database() AND application_name = 'volley' AND wait_event_type = 'Lock'";

/// Locks deliveries that the recorder is about to write, and then the pages that the recorder has locked before them: the
/// recorder, which looks for deadlocks first, is the one that is ended.
fn provoke(db: &Database, stage: &Stage) {
    let mut eye = db.connect();
    let Conn::Pg(mut conn) = db.connect() else { unreachable!("this is about PostgreSQL") };
    conn.batch_execute("SET deadlock_timeout = '10min'; BEGIN").unwrap();
    let lock = "SELECT page_id FROM deliveries WHERE state = 'sending' ORDER BY contact_id FOR UPDATE";
    assert_eq!(diesel::sql_query(lock).execute(&mut conn).unwrap(), PEOPLE, "they are in flight");
    stage.provider.recover();
    wait_until("the recorder waits for a delivery", LONG, || number(&mut eye, WAITING) > 0);
    // Returns only when the other one was ended.
    diesel::sql_query("SELECT id FROM pages ORDER BY id FOR UPDATE").execute(&mut conn).unwrap();
    conn.batch_execute("COMMIT").unwrap();
}

const PEOPLE: usize = 40;

#[test]
fn outcomes_that_were_caught_in_a_deadlock_are_recorded_again() {
    let _turn = my_turn();
    let Some(db) = Database::own_postgres("outcomes_that_were_caught_in_a_deadlock") else { return };
    let provider = Provider::webhook((1, 5));
    provider.hang();
    let volley = Volley::on(&db).pool(provider.pool().set("timeout_seconds", "60")).start();
    let api = volley.api();
    let list = api.a_list_of(PEOPLE);
    let campaign = api.create_campaign("http", POOL, list, &json!({}));
    let stage = Stage { volley, api, provider, campaign, everyone: people::addresses(PEOPLE) };
    stage.api.send(stage.campaign);
    wait_until("everyone is in flight", LONG, || stage.provider.ledger().begun() == PEOPLE);
    provoke(&db, &stage);
    assert!(db.server().log().contains("deadlock detected"), "{}", db.server().log());
    stage.assert_everyone_once();
    assert!(stage.volley.log().contains("outcomes.batch_failed"));
    stage.volley.stop();
}
