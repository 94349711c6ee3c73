//! Events while things break: what was answered is there, and nothing is there twice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::stage::LONG;
use crate::support::turns::shared_turn;
use crate::support::volley::Volley;
use crate::support::waiting::{stays, wait_for, wait_until};
use crate::support::{Database, both_backends};

const SENDERS: usize = 6;

/// Events that each sender tells of: half of them singly, half in batches of ten.
const EACH: usize = 400;

/// No limit of requests is tested here.
const UNLIMITED: &str = "[limits]\ningest_items_per_minute = 0\nrequests_per_minute = 0\n";

fn event(sender: usize, n: usize) -> Value {
    json!({ "name": "seen", "external_id": format!("c-{}", n % 50), "key": format!("{sender}-{n}"), "attributes": { "n": n } })
}

/// Repeats a request until it is answered well, as a careful client does: under the same keys.
fn until_taken(api: &Api, path: &str, body: &Value) -> Value {
    wait_for("the events are taken", LONG, || {
        api.try_post(path, body).ok().filter(|answer| answer.status < 300).map(|answer| answer.body)
    })
}

/// Tells of all events of one sender. `answered` counts those that were answered.
fn tell(api: &Api, sender: usize, answered: &AtomicUsize) {
    for first in (0..EACH).step_by(20) {
        for n in first..first + 10 {
            until_taken(api, "/v1/events", &event(sender, n));
            answered.fetch_add(1, Ordering::Relaxed);
        }
        let batch: Vec<Value> = (first + 10..first + 20).map(|n| event(sender, n)).collect();
        wait_until("the batch is taken", LONG, || {
            let results = until_taken(api, "/v1/events/batch", &json!({ "events": batch }));
            results["data"].as_array().unwrap().iter().all(|result| result["id"].is_number())
        });
        answered.fetch_add(10, Ordering::Relaxed);
    }
}

both_backends! {
    fn events_that_were_answered_outlast_kill_9_and_none_is_there_twice(db: &Database) {
        let _turn = shared_turn();
        let mut volley = Volley::on(db).settings(UNLIMITED).start();
        let (answered, apis) = (AtomicUsize::new(0), (0..SENDERS).map(|_| volley.api()).collect::<Vec<_>>());
        std::thread::scope(|scope| {
            let answered = &answered;
            for (sender, api) in apis.into_iter().enumerate() {
                scope.spawn(move || tell(&api, sender, answered));
            }
            for kill in 1..=4 {
                wait_until("some more are answered", LONG, || answered.load(Ordering::Relaxed) >= kill * SENDERS * EACH / 6);
                volley.kill_and_restart();
            }
        });
        volley.stop();
        let all = i64::try_from(SENDERS * EACH).unwrap();
        assert_eq!(db.number("SELECT count(*) AS n FROM event_keys"), all, "one was lost");
        assert_eq!(db.number("SELECT count(*) AS n FROM events"), all, "one is there twice");
        let known = "SELECT count(*) AS n FROM event_keys AS k JOIN events AS e ON e.id = k.event_id";
        assert_eq!(db.number(known), all);
        assert_eq!(db.number("SELECT count(*) AS n FROM contacts"), 50, "a contact was made twice");
    }
}

#[test]
fn while_the_database_is_away_an_event_is_refused_honestly_and_nothing_is_stored_by_halves() {
    let _turn = shared_turn();
    let Some(db) = Database::own_postgres("while_the_database_is_away_an_event_is_refused") else { return };
    let volley = Volley::on(&db).settings(UNLIMITED).start();
    let api = volley.api();
    until_taken(&api, "/v1/events", &event(0, 0));
    db.server().stop_immediately();
    for (path, body) in
        [("/v1/events", event(0, 1)), ("/v1/events/batch", json!({ "events": [event(0, 1), event(0, 2)] }))]
    {
        let answer = api.try_post(path, &body).expect("the process itself lives");
        assert_eq!((answer.status, &answer.body["code"]), (503, &json!("database_unavailable")), "{path}");
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let repeats = scope.spawn(|| {
            let results =
                until_taken(&api.another(), "/v1/events/batch", &json!({ "events": [event(0, 0), event(0, 1)] }));
            is_over.store(true, Ordering::Relaxed);
            results
        });
        stays("nothing is taken", Duration::from_millis(500), || !is_over.load(Ordering::Relaxed));
        db.server().start_again();
        let results = repeats.join().unwrap();
        assert_eq!((&results["data"][0]["stored"], &results["data"][1]["stored"]), (&json!(false), &json!(true)));
    });
    volley.stop();
    assert_eq!(db.number("SELECT count(*) AS n FROM events"), 2);
}
