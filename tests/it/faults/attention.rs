//! What a campaign says when it cannot go on, fault by fault, and that it says so no longer when the fault is over.

use std::process::Command;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use serde_json::json;
use volley::store::Conn;

use crate::support::database::say;
use crate::support::provider::{POOL, Provider};
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::stage::{LONG, Stage};
use crate::support::turns::shared_turn;
use crate::support::volley::{Pool, Volley};
use crate::support::waiting::{stays, wait_until};
use crate::support::{Database, both_backends};

/// Waits until the campaign shows this trouble.
#[track_caller]
fn wait_shown(stage: &Stage, code: &str) {
    let shown = stage.api.wait(stage.campaign, &format!("{code} is shown"), LONG, |campaign| {
        campaign.attention.as_deref() == Some(code)
    });
    let attention = &shown.body["attention"];
    assert!(attention["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{attention}");
    assert_eq!((shown.status.as_str(), shown.stats.failed), ("sending", 0), "{}", shown.body);
}

/// Waits until the campaign shows no trouble any more, sends to everyone once, and leaves nothing behind in `/readyz`.
#[track_caller]
fn assert_cleared(stage: &Stage) {
    stage.api.wait(stage.campaign, "the trouble is over", LONG, |campaign| campaign.attention.is_none());
    stage.assert_everyone_once();
    wait_until("nothing is degraded", LONG, || {
        stage.api.try_get("/readyz").is_ok_and(|ready| (ready.status, &ready.body["status"]) == (200, &json!("ready")))
    });
}

/// Makes whatever changes a page slow, a claim above all, until the answer is run.
fn slow_down(db: &Database) -> &'static str {
    let mut conn = db.connect();
    let (slow, undo) = match &conn {
        Conn::Pg(_) => (
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_sleep(0.25); RETURN NULL; END $$; \
             CREATE TRIGGER slow BEFORE UPDATE ON pages FOR EACH STATEMENT EXECUTE FUNCTION slow()",
            "DROP TRIGGER slow ON pages",
        ),
        Conn::Sqlite(_) => (
            "CREATE VIEW slow AS WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 600000) \
             SELECT count(*) AS n FROM n; \
             CREATE TRIGGER slow BEFORE UPDATE ON pages BEGIN SELECT n FROM slow; END",
            "DROP TRIGGER slow",
        ),
    };
    match &mut conn {
        Conn::Pg(conn) => conn.batch_execute(slow),
        Conn::Sqlite(conn) => conn.batch_execute(slow),
    }
    .expect("slow the database down");
    undo
}

/// A file that nobody can write to, whoever has it open; for as long as this lives.
struct Sealed(std::path::PathBuf);

impl Sealed {
    /// `None` when this user, or this file system, cannot do that.
    fn seal(file: std::path::PathBuf) -> Option<Self> {
        chattr("+i", &file).then_some(Self(file))
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        chattr("-i", &self.0);
    }
}

fn chattr(change: &str, file: &std::path::Path) -> bool {
    Command::new("chattr").arg(change).arg(file).output().is_ok_and(|output| output.status.success())
}

both_backends! {
    fn a_campaign_whose_pool_is_configured_no_more_says_so_until_it_is_again(db: &Database) {
        let _turn = shared_turn();
        let provider = Provider::webhook((0, 2));
        provider.refuse_connections();
        let mut stage = Stage::launched(db, provider, 200);
        stage.api.wait(stage.campaign, "it is packed", LONG, |campaign| campaign.stats.total == 200);
        stage.volley.kill_9();
        let other = Volley::on(db).pool(Pool::sandbox("another", "sms")).start();
        let missing = Stage { api: other.api(), volley: other, ..stage };
        wait_shown(&missing, "pool_missing");
        let Stage { volley: without, provider, campaign, everyone, .. } = missing;
        without.stop();
        provider.recover();
        let volley = Volley::on(db).pool(provider.pool()).start();
        let stage = Stage { api: volley.api(), volley, provider, campaign, everyone };
        assert_cleared(&stage);
        stage.volley.stop();
    }

    fn a_campaign_says_that_its_provider_asked_for_quiet(db: &Database) {
        let _turn = shared_turn();
        let sink = ScriptedHttp::slow((1, 5), Keys::Honoured);
        sink.play("request: 429 {Retry-After: 1}");
        let stage = Stage::launched(db, Provider::Webhook(sink), 500);
        wait_shown(&stage, "provider_throttling");
        stage.provider.recover();
        assert_cleared(&stage);
        stage.volley.stop();
    }

    fn a_campaign_whose_content_cannot_be_read_says_so_until_it_can(db: &Database) {
        let _turn = shared_turn();
        let mut stage = Stage::set(db, Provider::webhook((0, 2)), 200, |builder| builder);
        stage.provider.refuse_connections();
        stage.api.send(stage.campaign);
        stage.api.wait(stage.campaign, "it is packed", LONG, |campaign| campaign.stats.total == 200);
        stage.api.pause(stage.campaign);
        stage.volley.kill_9();
        db.execute("UPDATE template_versions SET body_text = '{{ nonsense(' || body_text");
        stage.volley.start();
        stage.provider.recover();
        stage.api.resume(stage.campaign);
        wait_shown(&stage, "content_unusable");
        assert_eq!(stage.provider.ledger().begun(), 0);
        db.execute("UPDATE template_versions SET body_text = replace(body_text, '{{ nonsense(', '')");
        assert_cleared(&stage);
        stage.volley.stop();
    }

    fn a_campaign_says_that_the_journal_takes_no_lines(db: &Database) {
        let _turn = shared_turn();
        let stage = Stage::launched(db, Provider::smtp((2, 8)), 3_000);
        stage.wait_reached(300);
        let Some(sealed) = Sealed::seal(db.folder().join("data/instances/1/journal-00000001.log")) else {
            return say("left out: a_campaign_says_that_the_journal_takes_no_lines (chattr +i is not possible here)");
        };
        wait_shown(&stage, "journal_unavailable");
        let unready = stage.api.try_get("/readyz").unwrap();
        assert_eq!((unready.status, &unready.body["code"]), (503, &json!("journal_unavailable")), "{}", unready.body);
        let begun = stage.provider.ledger().begun();
        stays("nothing is handed over without a line", Duration::from_millis(500), || {
            stage.provider.ledger().begun() == begun
        });
        drop(sealed);
        assert_cleared(&stage);
        stage.volley.stop();
    }

    fn a_campaign_says_that_claims_take_too_long(db: &Database) {
        let _turn = shared_turn();
        let stage = Stage::set(db, Provider::webhook((1, 5)), 10_000, |builder| {
            builder.settings("[timing]\nstart_deadline_ms = 100")
        });
        stage.api.send(stage.campaign);
        stage.wait_reached(200);
        let undo = slow_down(db);
        wait_shown(&stage, "database_slow");
        let ready = stage.api.try_get("/readyz").unwrap();
        assert_eq!(ready.body["pools"][POOL]["code"], "database_slow", "{}", ready.body);
        db.execute(undo);
        assert_cleared(&stage);
        stage.volley.stop();
    }
}
