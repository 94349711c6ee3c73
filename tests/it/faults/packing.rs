//! What is seen of an audience that cannot be packed or has nobody in it, of recipients that fail, and of rates that are waited for.

use diesel::connection::SimpleConnection as _;
use serde_json::json;
use volley::store::Conn;

use crate::support::both_backends;
use crate::support::database::Database;
use crate::support::fleet::metric;
use crate::support::provider::{POOL, Provider};
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::stage::{LONG, Stage};
use crate::support::turns::shared_turn;
use crate::support::waiting::wait_until;

/// Makes the database refuse every delivery, until the answer is run.
fn refuse_deliveries(db: &Database) -> &'static str {
    let mut conn = db.connect();
    let (refuse, undo) = match &conn {
        Conn::Pg(_) => (
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'a rule of this database'; END $$; \
             CREATE TRIGGER refuse BEFORE INSERT ON deliveries FOR EACH ROW EXECUTE FUNCTION refuse()",
            "DROP TRIGGER refuse ON deliveries",
        ),
        Conn::Sqlite(_) => (
            "CREATE TRIGGER refuse BEFORE INSERT ON deliveries BEGIN SELECT RAISE(ABORT, 'a rule of this database'); END",
            "DROP TRIGGER refuse",
        ),
    };
    match &mut conn {
        Conn::Pg(conn) => conn.batch_execute(refuse),
        Conn::Sqlite(conn) => conn.batch_execute(refuse),
    }
    .expect("make the rule");
    undo
}

both_backends! {
    fn an_audience_that_the_database_refuses_says_why_and_is_packed_when_it_no_longer_does(db: &Database) {
        let _turn = shared_turn();
        let stage = Stage::set(db, Provider::webhook((0, 2)), 50, |builder| builder);
        let undo = refuse_deliveries(db);
        stage.api.send(stage.campaign);
        let held = stage.api.wait(stage.campaign, "packing_failed is shown", LONG, |campaign| {
            campaign.attention.as_deref() == Some("packing_failed")
        });
        let detail = held.body["attention"]["detail"].as_str().unwrap();
        assert!(detail.contains("a rule of this database"), "{detail}");
        db.execute(undo);
        stage.api.wait(stage.campaign, "the trouble is over", LONG, |campaign| campaign.attention.is_none());
        stage.assert_everyone_once();
        let log = stage.volley.log();
        assert_eq!(log.matches("campaign.packing_stuck").count(), 1, "it is said once");
        stage.volley.stop();
    }

    fn who_fails_and_an_audience_without_anybody_are_in_the_log(db: &Database) {
        let _turn = shared_turn();
        let sink = ScriptedHttp::slow((0, 2), Keys::Honoured);
        let stage = Stage::set(db, Provider::Webhook(sink), 20, |builder| builder);
        let Provider::Webhook(sink) = &stage.provider else { unreachable!("it was made so") };
        let unlucky = &stage.everyone[7];
        sink.reject(unlucky);
        stage.api.send(stage.campaign);
        let ended = stage.wait_ended();
        assert_eq!((ended.stats.sent, ended.stats.failed), (19, 1), "{}", ended.body);
        wait_until("the failure is in the log", LONG, || stage.volley.log().contains("delivery.failed"));
        let log = stage.volley.log();
        let line = log.lines().find(|line| line.contains("delivery.failed")).unwrap();
        assert!(line.contains("campaign contact failed") && line.contains("category="), "{line}");
        assert!(line.contains(&format!("campaign.id={}", stage.campaign)) && !log.contains(unlucky.as_str()), "{line}");

        let nobody = stage.api.create_campaign("http", POOL, stage.api.create_list("nobody"), &json!({}));
        stage.api.send(nobody);
        stage.api.wait_ended(nobody, LONG);
        let log = stage.volley.log();
        let line = log.lines().find(|line| line.contains("campaign.audience_empty")).unwrap_or_else(|| panic!("{log}"));
        assert!(line.contains("the campaign has no contacts"), "{line}");
        stage.volley.stop();
    }

    fn a_campaigns_rate_is_seen_in_the_metrics(db: &Database) {
        let _turn = shared_turn();
        let paced = json!({ "rate_per_second": 30.0 });
        let stage = Stage::with(db, Provider::webhook((0, 2)), 60, |builder| builder, &paced);
        stage.api.send(stage.campaign);
        stage.assert_everyone_once();
        let own = format!("campaign=\"{}\"", stage.campaign);
        let pool = format!("pool=\"{POOL}\"");
        let waited = metric(&stage.api, "volley_rate_waits_total", &["limit=\"campaign\"", &own, &pool]);
        assert!((1.0..=60.0).contains(&waited), "{waited} have waited");
        assert!(metric(&stage.api, "volley_rate_waits_total", &["limit=\"pool\""]) < 0.5, "the pool has no rate");
        stage.volley.stop();
    }
}
