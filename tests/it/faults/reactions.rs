//! Reactions while instances are killed: each change happens once, and each target hears of each entry at least once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::support::api::{Api, id};
use crate::support::both_backends;
use crate::support::scripted_http::{Answer, ScriptedHttp};
use crate::support::stage::LONG;
use crate::support::turns::shared_turn;
use crate::support::volley::Volley;
use crate::support::waiting::wait_until;

const CONTACTS: usize = 400;
const IN_A_BATCH: usize = 20;

fn tell(api: &Api, answered: &AtomicUsize) {
    for batch in 0..CONTACTS / IN_A_BATCH {
        let events: Vec<_> = (0..IN_A_BATCH)
            .map(|n| batch * IN_A_BATCH + n)
            .map(|n| json!({ "name": "seen", "external_id": format!("c-{n}"), "key": format!("k-{n}") }))
            .collect();
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

both_backends! {
    fn each_change_happens_once_and_each_call_arrives_although_instances_are_killed(db: &Database) {
        let _turn = shared_turn();
        let hooks = ScriptedHttp::start(|asked| if asked.connection % 7 == 0 { Answer::status(503) } else { Answer::status(200) });
        let settings = format!(
            "[limits]\ningest_items_per_minute = 0\nrequests_per_minute = 0\n[[targets]]\nname = \"crm\"\nurl = \"http://127.0.0.1:{}/\"\n\
             secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\ntimeout_seconds = 1\nretry_delays = [\"100ms\"]\n",
            hooks.port()
        );
        let mut volley = Volley::on(db).settings(&settings).start();
        let list = volley.api().create_list("Seen");
        let segment = id(&volley.api().post("/v1/segments", &json!({
            "name": "Seen", "criteria": { "event": { "name": "seen" } },
            "reactions": [{ "on": "entered", "do": [
                { "add_tag": "seen" }, { "add_to_list": list }, { "record_event": { "name": "noted" } }, { "call": "crm" },
            ] }],
        })));
        wait_until("everybody is evaluated", LONG, || volley.api().get(&format!("/v1/segments/{segment}"))["state"] == "ready");
        let (answered, api) = (AtomicUsize::new(0), volley.api());
        std::thread::scope(|scope| {
            let answered = &answered;
            scope.spawn(move || tell(&api, answered));
            for kill in 1..=3 {
                wait_until("some more are answered", LONG, || answered.load(Ordering::Relaxed) >= kill * CONTACTS / IN_A_BATCH / 4);
                volley.kill_and_restart();
            }
        });
        let waits = "SELECT (SELECT count(*) FROM touches) + (SELECT count(*) FROM reactions_due WHERE kind <> 'call') AS n";
        wait_until("all changes are made", LONG, || db.number(waits) == 0);
        let all = i64::try_from(CONTACTS).unwrap();
        for what in ["contact_tags", "list_members", "events WHERE name = 'noted'"] {
            assert_eq!(db.number(&format!("SELECT count(*) AS n FROM {what}")), all, "{what}");
        }
        assert_eq!(db.number("SELECT count(DISTINCT contact_id) AS n FROM events WHERE name = 'noted'"), all);
        wait_until("all calls are made", LONG, || db.number("SELECT count(*) AS n FROM reactions_due") == 0);
        assert!(!volley.log().contains("MfKQ9r8GKYqr"), "the log has the secret");
        volley.stop();
        let heard: BTreeSet<String> = hooks.asked().iter().filter_map(|asked| asked.headers.get("webhook-id").cloned()).collect();
        assert_eq!(heard.len(), CONTACTS, "one id for each entry, however often it is called");
    }
}
