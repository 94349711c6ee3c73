//! Who becomes a member, who stays, and who goes.

use serde_json::json;
use volley::domain::ids::ContactId;
use volley::domain::segments::stay::{EntryLimit, Mark, Rules};
use volley::domain::span::Span;
use volley::services::events::prune_events::prune_events;
use volley::store::people::{contacts, tags};
use volley::store::segments::{self, NewSegment};
use volley::store::{Conn, Lane, Store, StoreError};

use super::super::dispatch::packed;
use super::world::{
    check, contact, create, edit, event, members, new_segment, open, scribe, segment, settle, transitions, worker,
};
use crate::support::both_backends;

async fn write<T: Send + 'static>(store: &Store, work: impl FnOnce(&mut Conn) -> T + Send + 'static) -> T {
    store.run(Lane::Write, "test", |conn| Ok(work(conn))).await.unwrap()
}

/// Lets so much time pass for a database that goes by its own clock: everything that was written happened earlier.
fn pass(conn: &mut Conn, ms: i64) {
    for (table, columns) in [
        ("events", "occurred_at = occurred_at - ?"),
        (
            "segment_members",
            "entered_at = entered_at - ?, dwell_from = dwell_from - ?, dwell_done = dwell_done - ?, left_at = left_at - ?",
        ),
        ("contact_timers", "due_at = due_at - ?"),
        ("segments", "marks_since = marks_since - ?"),
    ] {
        let columns = columns.replace('?', &ms.to_string());
        packed::execute(conn, &format!("UPDATE {table} SET {columns}"));
    }
}

const DAY: i64 = 86_400_000;

both_backends! {
    async fn somebody_enters_by_an_event_and_leaves_by_time_alone(db: &Database) {
        let store = open(db).await;
        let (id, ann) = write(&store, |conn| {
            let id = segment(conn, "Buyers", json!({ "event": { "name": "paid", "within": "30d" } }));
            (id, contact(conn, "ann@example.com", json!({})))
        }).await;
        settle(&store).await;
        write(&store, move |conn| assert_eq!(members(conn, id), [])).await;
        write(&store, move |conn| event(conn, ann, "paid", DAY)).await;
        settle(&store).await;
        write(&store, move |conn| {
            assert_eq!(members(conn, id), [ann]);
            pass(conn, 29 * DAY - 60_000);
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            assert_eq!(members(conn, id), [ann], "a minute is left");
            pass(conn, 60_000);
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            check(conn, &[id]).unwrap();
            assert_eq!(transitions(conn, id, ann), ["entered 1 change", "left 1 time"]);
            event(conn, ann, "paid", 0);
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            assert_eq!(transitions(conn, id, ann), ["entered 1 change", "left 1 time", "entered 2 change"]);
        }).await;
    }

    async fn a_timer_of_one_segment_is_not_lost_when_another_one_is_evaluated(db: &Database) {
        let store = open(db).await;
        let (buyers, vips, ann) = write(&store, |conn| {
            let buyers = segment(conn, "Buyers", json!({ "event": { "name": "paid", "within": "1d" } }));
            let vips = segment(conn, "Visitors", json!({ "event": { "name": "seen", "within": "10d" } }));
            let ann = contact(conn, "ann@example.com", json!({}));
            event(conn, ann, "paid", 0);
            (buyers, vips, ann)
        }).await;
        settle(&store).await;
        write(&store, move |conn| event(conn, ann, "seen", 0)).await;
        settle(&store).await;
        write(&store, move |conn| {
            assert_eq!((members(conn, buyers), members(conn, vips)), (vec![ann], vec![ann]));
            pass(conn, DAY);
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            assert_eq!((members(conn, buyers), members(conn, vips)), (vec![], vec![ann]));
            check(conn, &[buyers, vips]).unwrap();
        }).await;
    }

    async fn the_first_evaluation_of_everybody_is_silent_and_a_changed_rule_tells_who_left(db: &Database) {
        let store = open(db).await;
        let (id, ann, ben) = write(&store, |conn| {
            let ann = contact(conn, "ann@example.com", json!({ "plan": "pro" }));
            let ben = contact(conn, "ben@example.com", json!({ "plan": "free" }));
            let id = segment(conn, "Pro", json!({ "attribute": { "name": "plan", "op": "eq", "value": "pro" } }));
            (id, ann, ben)
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            assert_eq!(transitions(conn, id, ann), ["entered 1 evaluation silent"]);
            edit(conn, id, json!({ "attribute": { "name": "plan", "op": "eq", "value": "free" } }));
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            assert_eq!(transitions(conn, id, ann), ["entered 1 evaluation silent", "left 1 evaluation"]);
            assert_eq!(transitions(conn, id, ben), ["entered 1 evaluation silent"]);
            check(conn, &[id]).unwrap();
        }).await;
    }

    async fn a_segment_of_segments_follows_them_in_the_same_transaction(db: &Database) {
        let store = open(db).await;
        let (order, ann) = write(&store, |conn| {
            let pro = segment(conn, "Pro", json!({ "attribute": { "name": "plan", "op": "eq", "value": "pro" } }));
            let buyers = segment(conn, "Buyers", json!({ "event": { "name": "paid" } }));
            let both = segment(conn, "Both", json!({ "all": [{ "segment": pro.0 }, { "segment": buyers.0 }] }));
            let rest = segment(conn, "Rest", json!({ "all": [{ "segment": pro.0 }, { "not": { "segment": both.0 } }] }));
            ([pro, buyers, both, rest], contact(conn, "ann@example.com", json!({ "plan": "pro" })))
        }).await;
        settle(&store).await;
        let [_, _, both, rest] = order;
        write(&store, move |conn| {
            assert_eq!((members(conn, both), members(conn, rest)), (vec![], vec![ann]));
            event(conn, ann, "paid", 0);
        }).await;
        let mut worker = worker(&store);
        worker.keep_up().await.unwrap().unwrap();
        write(&store, move |conn| {
            assert_eq!((members(conn, both), members(conn, rest)), (vec![ann], vec![]));
            check(conn, &order).unwrap();
        }).await;
    }

    async fn a_contact_that_is_deleted_leaves_every_segment(db: &Database) {
        let store = open(db).await;
        let (id, ann) = write(&store, |conn| {
            let id = segment(conn, "All", json!({ "reachable": "email" }));
            (id, contact(conn, "ann@example.com", json!({})))
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            assert_eq!(members(conn, id), [ann]);
            contacts::delete(conn, &scribe(), ann).unwrap();
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            let left = segments::transitions::list(conn, id, None, None, 1).unwrap().remove(0);
            assert_eq!((left.kind.as_str(), left.reason.unwrap().as_str()), ("left", "deleted"));
            check(conn, &[id]).unwrap();
        }).await;
    }

    async fn no_old_member_is_told_of_marks_that_had_passed(db: &Database) {
        let store = open(db).await;
        let day = |n| Span::from_ms(n * DAY);
        let new = NewSegment {
            rules: Rules { marks: vec![Mark::After(day(3)), Mark::After(day(8))], ..Rules::default() },
            ..new_segment("Buyers", json!({ "event": { "name": "paid", "within": "30d" } }))
        };
        let (id, ann) = write(&store, move |conn| {
            let ann = contact(conn, "ann@example.com", json!({}));
            event(conn, ann, "paid", 5 * DAY);
            (create(conn, &new), ann)
        }).await;
        settle(&store).await;
        let silent = ["dwelled 1 evaluation silent", "entered 1 evaluation silent"];
        write(&store, move |conn| {
            assert_eq!(transitions(conn, id, ann), silent);
            pass(conn, 3 * DAY);
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            let all = transitions(conn, id, ann);
            assert_eq!(all.len(), 3, "{all:?}");
            assert!(all.contains(&"dwelled 1 time".to_owned()), "a mark that comes later is told at its time: {all:?}");
        }).await;
    }

    async fn an_entry_limit_keeps_an_entry_from_being_told_and_not_from_being(db: &Database) {
        let store = open(db).await;
        let new = NewSegment {
            rules: Rules { entries: EntryLimit::Once, ..Rules::default() },
            ..new_segment("Buyers", json!({ "event": { "name": "paid", "within": "1d" } }))
        };
        let (id, ann) = write(&store, move |conn| (create(conn, &new), contact(conn, "ann@example.com", json!({})))).await;
        settle(&store).await;
        for _ in 0..2 {
            write(&store, move |conn| event(conn, ann, "paid", 0)).await;
            settle(&store).await;
            write(&store, |conn| pass(conn, 2 * DAY)).await;
            settle(&store).await;
        }
        write(&store, move |conn| {
            let all = transitions(conn, id, ann);
            assert_eq!(all, ["entered 1 change", "left 1 time", "entered 2 change silent", "left 2 time"]);
        }).await;
    }

    async fn a_segment_that_is_deleted_leaves_nothing_behind(db: &Database) {
        let store = open(db).await;
        let id = write(&store, |conn| {
            for n in 0..30 { contact(conn, &format!("p{n}@example.com"), json!({})); }
            segment(conn, "All", json!({ "reachable": "email" }))
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            assert_eq!(members(conn, id).len(), 30);
            assert!(segments::delete(conn, id).unwrap());
        }).await;
        settle(&store).await;
        for table in ["segments", "segment_members", "segment_transitions"] {
            assert_eq!(db.number(&format!("SELECT count(*) AS n FROM {table}")), 0, "{table}");
        }
    }

    async fn without_segments_touches_simply_go(db: &Database) {
        let store = open(db).await;
        write(&store, |conn| for n in 0..30 { contact(conn, &format!("p{n}@example.com"), json!({})); }).await;
        settle(&store).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM touches"), 0);
    }

    async fn a_mark_is_told_again_after_the_contact_has_come_back(db: &Database) {
        let store = open(db).await;
        let new = NewSegment {
            rules: Rules { marks: vec![Mark::After(Span::from_ms(DAY))], ..Rules::default() },
            ..new_segment("Buyers", json!({ "event": { "name": "paid", "within": "2d" } }))
        };
        let (id, ann) = write(&store, move |conn| (create(conn, &new), contact(conn, "ann@example.com", json!({})))).await;
        settle(&store).await;
        for _ in 0..2 {
            write(&store, move |conn| event(conn, ann, "paid", 0)).await;
            settle(&store).await;
            for _ in 0..2 {
                write(&store, |conn| pass(conn, DAY)).await;
                settle(&store).await;
            }
        }
        write(&store, move |conn| {
            let told = transitions(conn, id, ann).into_iter().filter(|text| text.starts_with("dwelled")).collect::<Vec<_>>();
            assert_eq!(told, ["dwelled 1 time", "dwelled 2 time"]);
        }).await;
    }

    async fn somebody_who_stayed_longest_comes_back_only_after_the_rule_did_not_take_them(db: &Database) {
        let store = open(db).await;
        let new = NewSegment {
            rules: Rules { max_stay: Some(Span::from_ms(DAY)), ..Rules::default() },
            ..new_segment("VIPs", json!({ "attribute": { "name": "plan", "op": "eq", "value": "pro" } }))
        };
        let (id, ann) = write(&store, move |conn| (create(conn, &new), contact(conn, "ann@example.com", json!({})))).await;
        settle(&store).await;
        for plan in ["pro", "pro plus", "pro"] {
            write(&store, move |conn| contact(conn, "ann@example.com", json!({ "plan": plan }))).await;
            settle(&store).await;
            write(&store, |conn| pass(conn, DAY)).await;
            settle(&store).await;
            write(&store, move |conn| {
                assert_eq!(members(conn, id), []);
                event(conn, ann, "other", 0);
            }).await;
        }
        write(&store, move |conn| {
            let all = transitions(conn, id, ann);
            assert_eq!(all, ["entered 1 change", "left 1 time", "entered 2 change", "left 2 time"]);
        }).await;
    }

    async fn more_contacts_than_one_transaction_takes_are_all_looked_at(db: &Database) {
        let store = open(db).await;
        let id = write(&store, |conn| {
            let id = segment(conn, "Buyers", json!({ "event": { "name": "paid", "within": "1d" } }));
            let ann = contact(conn, "ann@example.com", json!({}));
            packed::execute(conn, "INSERT INTO contacts (email, attributes, version, created_at, updated_at)
                WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1200)
                SELECT 'p' || n || '@example.com', '{}', 1, 0, 0 FROM n");
            let all: Vec<_> = (ann.0..=ann.0 + 1_200).map(ContactId).collect();
            conn.write(|conn| { all.iter().for_each(|who| event(conn, *who, "paid", 0)); Ok::<_, StoreError>(()) }).unwrap();
            id
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            assert_eq!(members(conn, id).len(), 1_201);
            pass(conn, DAY);
        }).await;
        settle(&store).await;
        write(&store, move |conn| check(conn, &[id]).unwrap()).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM segment_transitions WHERE kind = 'left' AND source = 'time'"), 1_201);
    }

    async fn an_evaluation_of_everybody_that_was_cut_off_goes_on_where_it_stood(db: &Database) {
        let store = open(db).await;
        let id = write(&store, |conn| {
            packed::execute(conn, "INSERT INTO contacts (id, email, attributes, version, created_at, updated_at)
                WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2000)
                SELECT n * 300, 'p' || n || '@example.com', '{}', 1, 0, 0 FROM n");
            segment(conn, "All", json!({ "reachable": "email" }))
        }).await;
        let mut steps = 0;
        // Each step by a worker that knows nothing of the one before, as after a crash.
        while worker(&store).build().await.unwrap() {
            steps += 1;
            assert!(steps < 100);
        }
        assert!(steps > 3, "{steps}");
        write(&store, move |conn| {
            assert_eq!(members(conn, id).len(), 2_000);
            check(conn, &[id]).unwrap();
        }).await;
    }

    async fn a_rule_that_cannot_be_read_stops_no_other_and_is_evaluated_when_it_can_be(db: &Database) {
        let store = open(db).await;
        let (odd, vips, ann) = write(&store, |conn| {
            let odd = segment(conn, "Odd", json!({ "tag": "odd" }));
            (odd, segment(conn, "VIPs", json!({ "tag": "vip" })), contact(conn, "ann@example.com", json!({})))
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            packed::execute(conn, &format!("UPDATE segments SET criteria = '{{\"mood\": 1}}', version = 2 WHERE id = {odd}"));
            conn.write(|conn| tags::add(conn, &[(ann, "vip"), (ann, "odd")])).unwrap();
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            assert_eq!((members(conn, vips), members(conn, odd)), (vec![ann], vec![]));
            assert!(segments::find(conn, odd).unwrap().unwrap().problem.is_some());
            packed::execute(conn, &format!("UPDATE segments SET criteria = '{{\"tag\": \"odd\"}}', version = 3 WHERE id = {odd}"));
            event(conn, ann, "other", 0);
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            check(conn, &[odd, vips]).unwrap();
            assert_eq!(segments::find(conn, odd).unwrap().unwrap().problem, None);
        }).await;
    }

    async fn segments_that_ask_for_each_other_stop_no_other_one(db: &Database) {
        let store = open(db).await;
        let (first, second, vips, ann) = write(&store, |conn| {
            let first = segment(conn, "First", json!({ "tag": "odd" }));
            let second = segment(conn, "Second", json!({ "segment": first }));
            (first, second, segment(conn, "VIPs", json!({ "tag": "vip" })), contact(conn, "ann@example.com", json!({})))
        }).await;
        settle(&store).await;
        // No client is allowed to; two versions side by side can come to it.
        write(&store, move |conn| {
            packed::execute(conn, &format!("UPDATE segments SET criteria = '{{\"segment\": {second}}}', version = 2 WHERE id = {first}"));
            conn.write(|conn| tags::add(conn, &[(ann, "vip"), (ann, "odd")])).unwrap();
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            assert_eq!((members(conn, vips), members(conn, first), members(conn, second)), (vec![ann], vec![], vec![]));
            for id in [first, second] {
                let problem = segments::find(conn, id).unwrap().unwrap().problem.unwrap();
                assert_eq!(problem, format!("segments ask for each other: {first}, {second}"));
            }
            assert_eq!(segments::not_evaluated(conn).unwrap(), 2);
            packed::execute(conn, &format!("UPDATE segments SET criteria = '{{\"tag\": \"odd\"}}', version = 3 WHERE id = {first}"));
            event(conn, ann, "other", 0);
        }).await;
        settle(&store).await;
        write(&store, move |conn| {
            check(conn, &[first, second, vips]).unwrap();
            assert_eq!((members(conn, second), segments::not_evaluated(conn).unwrap()), (vec![ann], 0));
        }).await;
    }

    async fn what_a_window_needs_is_kept_and_what_goes_is_evaluated(db: &Database) {
        let store = open(db).await;
        let (windowed, ever, ann) = write(&store, |conn| {
            let windowed = segment(conn, "Lately", json!({ "event": { "name": "paid", "within": "30d" } }));
            let ever = segment(conn, "Ever", json!({ "event": { "name": "paid" } }));
            let ann = contact(conn, "ann@example.com", json!({}));
            event(conn, ann, "paid", 20 * DAY);
            packed::execute(conn, &format!("UPDATE events SET received_at = received_at - {}", 20 * DAY));
            (windowed, ever, ann)
        }).await;
        settle(&store).await;
        prune_events(&store, 10).await.unwrap();
        assert_eq!(db.number("SELECT count(*) AS n FROM events"), 1);
        write(&store, |conn| {
            pass(conn, 20 * DAY);
            packed::execute(conn, &format!("UPDATE events SET received_at = received_at - {}", 20 * DAY));
        }).await;
        settle(&store).await;
        write(&store, move |conn| assert_eq!((members(conn, windowed), members(conn, ever)), (vec![], vec![ann]))).await;
        prune_events(&store, 10).await.unwrap();
        settle(&store).await;
        write(&store, move |conn| {
            assert_eq!(members(conn, ever), []);
            check(conn, &[windowed, ever]).unwrap();
        }).await;
    }
}
