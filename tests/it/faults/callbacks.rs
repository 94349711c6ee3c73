//! Callbacks while things break: what was answered is counted, and nothing counts twice.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use volley::domain::ids::CampaignId;
use volley::store::campaigns;

use crate::http::callbacks::{now, signed};
use crate::support::api::{Api, Campaign};
use crate::support::database::is_long;
use crate::support::stage::LONG;
use crate::support::turns::shared_turn;
use crate::support::volley::Volley;
use crate::support::waiting::{stays, wait_for, wait_until};
use crate::support::{Database, both_backends};

const SECRET: &str = "whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQh";

const POOL: &str = "[[pools]]\nname = \"main\"\nchannel = \"email\"\nprovider = \"sandbox\"\n\n[pools.callbacks]\n\
                    format = \"standard-webhooks\"\nsecret = \"whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQh\"\n";

/// No limit of requests is tested here.
const UNLIMITED: &str = "[limits]\nrequests_per_minute = 0\nwithout_key_per_minute = 0\n";

/// How many people the callbacks are about.
fn people() -> usize {
    if is_long() { 20_000 } else { 400 }
}

const SOURCES: usize = 4;

/// Sends a callback, signed now; the status of the answer, and its code. None: no answer came.
fn send(api: &Api, id: &str, body: &Value) -> Option<(u16, String)> {
    let body = body.to_string().into_bytes();
    let headers = signed(SECRET, id, now(), &body);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = api.request(Method::POST, "/v1/callbacks/main", "application/json", Some(body), &headers).ok()?;
    Some((answer.status, answer.body["code"].as_str().unwrap_or_default().to_owned()))
}

fn report(api: &Api, id: &str) -> (u16, String) {
    let body = json!({ "kind": "delivered", "delivery_key": "0123456789abcdef01234567:1" });
    send(api, id, &body).expect("the process itself lives")
}

both_backends! {
    fn callbacks_that_were_answered_outlast_kill_9_and_none_counts_twice(db: &Database) {
        let _turn = shared_turn();
        let people = people();
        let mut volley = Volley::on(db).settings(&format!("{UNLIMITED}{POOL}")).start();
        let api = volley.api();
        let campaign = api.create_campaign("email", "main", api.a_list_of(people), &json!({}));
        api.send(campaign);
        api.wait(campaign, "it ends", LONG, Campaign::is_ended);
        let key = campaigns::find(&mut db.connect(), CampaignId(campaign)).unwrap().unwrap().key.unwrap();
        let first = db.number("SELECT min(id) AS n FROM contacts");
        let (told, apis) = (AtomicUsize::new(0), (0..SOURCES).map(|_| volley.api()).collect::<Vec<_>>());
        std::thread::scope(|scope| {
            let (key, told) = (&key, &told);
            for (source, api) in apis.into_iter().enumerate() {
                scope.spawn(move || {
                    // Two sources report each contact, under the same ids, until that is answered well.
                    for n in (source % 2..people).step_by(2) {
                        for kind in ["opened", "delivered"] {
                            let delivery = format!("{key}:{}", first + i64::try_from(n).unwrap());
                            let body = json!({ "kind": kind, "delivery_key": delivery });
                            wait_until("the callback is taken", LONG, || {
                                send(&api, &format!("{n}-{kind}"), &body).is_some_and(|(status, _)| status == 200)
                            });
                            told.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
            for kill in 1..=4 {
                wait_until("some more are told", LONG, || told.load(Ordering::Relaxed) >= kill * people * 3 / 4);
                volley.kill_and_restart();
            }
        });
        let api = volley.api();
        let reports = wait_for("everything is read", LONG, || {
            let pending = db.number("SELECT count(*) AS n FROM callbacks WHERE state = 'pending'");
            (pending == 0).then(|| api.campaign(campaign).body["reports"].clone())
        });
        let once = json!({ "recipients": people, "total": people });
        assert_eq!((&reports["delivered"], &reports["opened"]), (&once, &once));
        volley.stop();
        let people = i64::try_from(people).unwrap();
        assert_eq!(db.number("SELECT count(*) AS n FROM events WHERE name = 'message.opened'"), people);
        assert_eq!(db.number("SELECT count(*) AS n FROM callbacks WHERE body IS NOT NULL"), 0);
    }
}

#[test]
fn while_the_database_is_away_a_callback_is_refused_honestly_and_taken_when_it_comes_again() {
    let _turn = shared_turn();
    let Some(db) = Database::own_postgres("while_the_database_is_away_a_callback_is_refused") else { return };
    let volley = Volley::on(&db).settings(POOL).start();
    let api = volley.api();
    wait_until("the first one is taken", LONG, || report(&api, "msg_1").0 == 200);
    db.server().stop_immediately();
    stays("none is taken", Duration::from_millis(500), || {
        report(&api, "msg_2") == (503, "database_unavailable".to_owned())
    });
    db.server().start_again();
    for id in ["msg_1", "msg_2", "msg_2"] {
        wait_until("they are taken", LONG, || report(&api, id).0 == 200);
    }
    wait_until("they are read", LONG, || {
        db.number("SELECT count(*) AS n FROM callbacks WHERE state = 'done' AND body IS NULL") == 2
    });
    volley.stop();
    assert_eq!(db.number("SELECT count(*) AS n FROM callbacks"), 2);
}

#[test]
fn no_line_of_the_log_has_what_somebody_wrote_or_who_it_was() {
    let _turn = shared_turn();
    let db = Database::sqlite();
    let texts = POOL.replace("\"email\"", "\"sms\"");
    let volley = Volley::on(&db).settings(&format!("[log]\nlevel = \"info,volley=trace\"\n{texts}")).start();
    let api = volley.api();
    let message = |from: &str, text: &str| {
        let data = json!({ "channel": "sms", "from": from, "text": text });
        json!({ "type": "message.received", "timestamp": "2026-03-01T09:00:00Z", "data": data })
    };
    for (id, body) in [
        ("msg_1", message("+14155552671", "STOP")),
        ("msg_2", message("+14155552671", "my secret is kumquat")),
        // These two are not understood.
        ("msg_3", message("0415 555 2671", "my secret is kumquat")),
        ("msg_4", message("a secret", "STOP")),
    ] {
        assert_eq!(send(&api, id, &body).map(|(status, _)| status), Some(200));
    }
    wait_until("all are read", LONG, || db.number("SELECT count(*) AS n FROM callbacks WHERE state = 'pending'") == 0);
    wait_until("two are reported", LONG, || volley.log().matches("callback.failed").count() == 2);
    let log = volley.log();
    // Words without digits alone: a short number stands in some time of day, too.
    for word in ["4155552671", "555 2671", "secret is", "a secret", "kumquat"] {
        assert!(!log.contains(word), "{word} is in the log: {log}");
    }
    volley.stop();
}
