//! Calls of targets, as the desk makes them: to whom, how often, and to whom not.

use std::time::Duration;

use serde_json::json;
use volley::config::Settings;
use volley::config::targets::TargetConfig;
use volley::domain::ids::ContactId;
use volley::domain::reactions::CampaignNews;
use volley::domain::span::Span;
use volley::services::reactions::call_desk::CallDesk;
use volley::services::reactions::targets::Targets;
use volley::store::people::contacts;
use volley::store::reactions::{calls, known_targets};
use volley::store::{Store, engine};

use super::reactions::{react, reacting, switch, tag, write};
use super::world::{contact, create, open, scribe};
use crate::support::both_backends;
use crate::support::scripted_http::{Answer, ScriptedHttp};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const WAITING: &str = "SELECT count(*) AS n FROM reactions_due WHERE state = 'waiting'";
const FAILED: &str = "SELECT count(*) AS n FROM reactions_due WHERE state = 'failed'";

fn calling(store: &Store, hooks: &ScriptedHttp) -> CallDesk {
    let delays = [60, 600, 3_600].map(Span::seconds);
    let target = TargetConfig {
        retry_delays: Some(delays.to_vec()),
        retry_for: Some(Span::seconds(7_200)),
        timeout_seconds: 1,
        ..TargetConfig::at("crm", &format!("http://127.0.0.1:{}/", hooks.port()), SECRET)
    };
    let settings = Settings { targets: vec![target], ..Settings::default() };
    CallDesk::new(store.clone(), Targets::of(&settings).unwrap())
}

/// Makes what is due now, and waits until it has ended.
async fn call(desk: &mut CallDesk) -> usize {
    let begun = desk.begin().await.unwrap();
    for _ in 0..begun {
        desk.ended().await;
    }
    begun
}

/// So many contacts whose entry calls.
async fn entered(store: &Store, count: usize) -> Vec<ContactId> {
    let people: Vec<ContactId> = write(store, move |conn| {
        create(
            conn,
            &reacting(
                "VIPs",
                json!({ "tag": "vip" }),
                json!([{ "on": "entered", "do": [{ "call": "crm" }] }, { "on": "left", "do": [{ "call": "crm" }] }]),
            ),
        );
        (0..count).map(|n| contact(conn, &format!("p{n}@example.com"), json!({}))).collect()
    })
    .await;
    react(store).await;
    let all = people.clone();
    write(store, move |conn| all.iter().for_each(|who| tag(conn, *who, "vip"))).await;
    react(store).await;
    people
}

both_backends! {
    async fn a_target_that_refuses_is_called_again_after_longer_and_longer_waits_and_then_listed(db: &Database) {
        let hooks = ScriptedHttp::always(Answer::Reply(500, Vec::new(), "no room for p0@example.com".to_owned()));
        let store = open(db).await;
        entered(&store, 1).await;
        let mut desk = calling(&store, &hooks);
        let mut waits = Vec::new();
        while db.number(FAILED) == 0 {
            assert_eq!(call(&mut desk).await, 1);
            let now = write(&store, |conn| engine::now(conn).unwrap().0).await;
            waits.push((db.number("SELECT due_at AS n FROM reactions_due") - now) / 1_000);
            assert_eq!(call(&mut desk).await, 0, "it waits");
            db.execute("UPDATE reactions_due SET due_at = 0");
        }
        // A wait is up to a quarter longer than in the settings; the last one is what is left of the two hours.
        let at_least = [59, 599, 3_599, 2_939];
        assert!(waits.len() == 5 && waits.iter().zip(at_least).all(|(wait, least)| (least..=least * 5 / 4 + 2).contains(wait)), "{waits:?}");
        assert_eq!(hooks.asked().len(), 5);
        assert_eq!(db.number("SELECT count(*) AS n FROM reactions_due WHERE error = 'HTTP 500' AND attempts = 5"), 1, "nothing that it says is kept");
        assert_eq!(call(&mut desk).await, 0);
    }

    async fn an_answer_counts_by_its_status_alone(db: &Database) {
        for (answer, is_taken) in [
            (Answer::CutInBody, true), (Answer::Words("HTTP/1.1 200 OK\r\n\r\n"), true), (Answer::Silence, false), (Answer::Cut, false),
            (Answer::status(404), false),
        ] {
            let hooks = ScriptedHttp::always(answer.clone());
            let store = open(db).await;
            entered(&store, 1).await;
            call(&mut calling(&store, &hooks)).await;
            assert_eq!(db.number(WAITING), i64::from(!is_taken), "{answer:?}");
            assert_eq!((hooks.asked().len(), db.number(FAILED)), (1, 0), "{answer:?}");
            for table in ["reactions_due", "segments", "contact_tags"] {
                db.execute(&format!("DELETE FROM {table}"));
            }
        }
    }

    async fn calls_of_a_segment_that_is_switched_off_keep_no_other_one_waiting(db: &Database) {
        let hooks = ScriptedHttp::always(Answer::status(200));
        let store = open(db).await;
        let people = entered(&store, 700).await;
        let off = db.number("SELECT max(id) AS n FROM segments");
        assert_eq!(db.number(WAITING), 700);
        write(&store, move |conn| {
            switch(conn, volley::domain::ids::SegmentId(off), false);
            create(conn, &reacting("Others", json!({ "tag": "other" }), json!([{ "on": "entered", "do": [{ "call": "crm" }] }])));
        }).await;
        react(&store).await;
        write(&store, move |conn| tag(conn, people[0], "other")).await;
        react(&store).await;
        let mut desk = calling(&store, &hooks);
        assert_eq!(call(&mut desk).await, 1);
        assert_eq!((hooks.asked().len(), db.number("SELECT count(*) AS n FROM reactions_due")), (1, 0));
    }

    async fn of_a_deleted_contact_only_its_leave_is_told(db: &Database) {
        let hooks = ScriptedHttp::always(Answer::status(200));
        let store = open(db).await;
        let ann = entered(&store, 1).await[0];
        write(&store, move |conn| contacts::delete(conn, &scribe(), ann).unwrap()).await;
        react(&store).await;
        let mut desk = calling(&store, &hooks);
        while call(&mut desk).await > 0 {}
        let told: Vec<String> = hooks.asked().into_iter().map(|asked| asked.body).collect();
        assert!(told.len() == 1 && told[0].contains("segment.left") && told[0].contains("deleted"), "{told:?}");
        assert_eq!(db.number(WAITING), 0);
    }

    async fn calls_fail_only_when_no_instance_has_had_their_target_for_long(db: &Database) {
        let store = open(db).await;
        entered(&store, 2).await;
        write(&store, |conn| known_targets::say(conn, &[("crm".to_owned(), vec![CampaignNews::Ended])]).unwrap()).await;
        db.execute("UPDATE reactions_due SET due_at = due_at - 660000");
        let fail = |store: Store| async move {
            write(&store, |conn| { let since = engine::now(conn).unwrap().plus_ms(-600_000); calls::fail_unknown(conn, since, "none").unwrap() }).await
        };
        assert_eq!(fail(store.clone()).await, (false, 0), "another instance has it, and much to do");
        db.execute("UPDATE known_targets SET seen_at = seen_at - 600001");
        db.execute("UPDATE reactions_due SET due_at = due_at + 660000 WHERE id = (SELECT max(id) FROM reactions_due)");
        assert_eq!(fail(store).await, (false, 1));
        assert_eq!((db.number(FAILED), db.number(WAITING)), (1, 1));
    }

    async fn a_target_that_hangs_holds_up_no_other_one(db: &Database) {
        let (dead, living) = (ScriptedHttp::always(Answer::Silence), ScriptedHttp::always(Answer::status(200)));
        let store = open(db).await;
        let at = |name: &str, hooks: &ScriptedHttp| TargetConfig {
            concurrency: 2,
            timeout_seconds: 30,
            ..TargetConfig::at(name, &format!("http://127.0.0.1:{}/", hooks.port()), SECRET)
        };
        let targets = vec![at("crm", &dead), at("chat", &living)];
        let ann = write(&store, |conn| {
            for (name, target) in [("a", "crm"), ("b", "crm"), ("c", "crm"), ("d", "chat")] {
                create(conn, &reacting(name, json!({ "tag": "vip" }), json!([{ "on": "entered", "do": [{ "call": target }] }])));
            }
            contact(conn, "ann@example.com", json!({}))
        }).await;
        react(&store).await;
        write(&store, move |conn| tag(conn, ann, "vip")).await;
        react(&store).await;
        let settings = Settings { targets, ..Settings::default() };
        let mut desk = CallDesk::new(store.clone(), Targets::of(&settings).unwrap());
        assert_eq!(desk.begin().await.unwrap(), 3, "two of the one, as many as it has places, and the other");
        tokio::time::timeout(Duration::from_secs(20), desk.ended()).await.unwrap();
        assert_eq!((living.asked().len(), db.number(WAITING)), (1, 3));
    }
}
