//! Segments while instances are killed: members are right in the end, and each entry is told once.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::api::{Api, id};
use crate::support::both_backends;
use crate::support::stage::LONG;
use crate::support::turns::shared_turn;
use crate::support::volley::Volley;
use crate::support::waiting::wait_until;

const SENDERS: usize = 4;

/// Batches that each sender tells of, and events in each.
const BATCHES: usize = 30;
const IN_A_BATCH: usize = 40;

const CONTACTS: usize = 300;

/// No limit of requests is tested here.
const UNLIMITED: &str = "[limits]\ningest_items_per_minute = 0\nrequests_per_minute = 0\n";

fn event(sender: usize, n: usize) -> Value {
    let contact = (sender * 97 + n * n) % CONTACTS;
    json!({ "name": "seen", "external_id": format!("c-{contact}"), "key": format!("{sender}-{n}") })
}

fn tell(api: &Api, sender: usize, answered: &AtomicUsize) {
    for batch in 0..BATCHES {
        let events: Vec<Value> = (0..IN_A_BATCH).map(|n| event(sender, batch * IN_A_BATCH + n)).collect();
        let body = json!({ "events": events });
        wait_until("the batch is taken", LONG, || {
            let answer = api.try_post("/v1/events/batch", &body).ok().filter(|answer| answer.status < 300);
            answer.is_some_and(|answer| {
                answer.body["data"].as_array().unwrap().iter().all(|result| result["id"].is_number())
            })
        });
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

fn create(api: &Api, name: &str, at_least: usize) -> i64 {
    let criteria = json!({ "event": { "name": "seen", "count": { "op": "gte", "n": at_least } } });
    id(&api.post("/v1/segments", &json!({ "name": name, "criteria": criteria })))
}

both_backends! {
    fn members_are_right_and_told_once_although_instances_are_killed(db: &Database) {
        let _turn = shared_turn();
        let mut volley = Volley::on(db).settings(UNLIMITED).start();
        let mut segments = vec![(create(&volley.api(), "Ten", 10), 10)];
        let (answered, apis) = (AtomicUsize::new(0), (0..SENDERS).map(|_| volley.api()).collect::<Vec<_>>());
        std::thread::scope(|scope| {
            let answered = &answered;
            for (sender, api) in apis.into_iter().enumerate() {
                scope.spawn(move || tell(&api, sender, answered));
            }
            for kill in 1..=4 {
                wait_until("some more are answered", LONG, || answered.load(Ordering::Relaxed) >= kill * SENDERS * BATCHES / 5);
                // Everybody is evaluated for it while the process is killed.
                segments.push((create(&volley.api(), &format!("Segment {kill}"), 10 + kill), 10 + kill));
                volley.kill_and_restart();
            }
        });
        let waits = "SELECT (SELECT count(*) FROM touches) + (SELECT count(*) FROM segments WHERE state <> 'ready') AS n";
        wait_until("everybody is evaluated", LONG, || db.number(waits) == 0);
        volley.stop();
        for (segment, at_least) in segments {
            let wrong = format!(
                "SELECT count(*) AS n FROM contacts AS c WHERE \
                 ((SELECT count(*) FROM events AS e WHERE e.contact_id = c.id AND e.name = 'seen') >= {at_least}) \
                 <> EXISTS (SELECT 1 FROM segment_members AS m WHERE m.segment_id = {segment} AND m.contact_id = c.id \
                 AND m.left_at IS NULL)"
            );
            assert_eq!(db.number(&wrong), 0, "segment {segment}");
            let members = db.number(&format!("SELECT count(*) AS n FROM segment_members WHERE segment_id = {segment}"));
            let told = db.number(&format!("SELECT count(*) AS n FROM segment_transitions WHERE segment_id = {segment}"));
            assert_eq!(members, told, "each entry is told once, and nobody has left");
            assert!(members > 10, "{members}");
        }
    }
}
