//! Reactions: written with their transitions, done once, in order, and in no endless chain.

use diesel::RunQueryDsl;
use serde_json::{Value, json};
use volley::config::Settings;
use volley::domain::ids::{ContactId, ListId, ReactionId, SegmentId};
use volley::domain::people::standing::{Grounds, Standing, Wish};
use volley::domain::segments::topic::Topic;
use volley::services::reactions::change_desk::ChangeDesk;
use volley::services::reactions::targets::Targets;
use volley::store::people::consent::Ledger;
use volley::store::people::lists::{self, NewList};
use volley::store::people::refusals::RefusalBook;
use volley::store::people::standings::{self, Wished};
use volley::store::people::tags;
use volley::store::reactions;
use volley::store::reactions::over::{self, Retried};
use volley::store::segments::NewSegment;
use volley::store::{Conn, Lane, Store};

use super::world::{contact, create, event, new_segment, open, scribe, settle};
use crate::support::both_backends;

/// How often the database is asked to take a change.
const TRIES: usize = 9;

pub(super) async fn write<T: Send + 'static>(store: &Store, work: impl FnOnce(&mut Conn) -> T + Send + 'static) -> T {
    store.run(Lane::Write, "test", |conn| Ok(work(conn))).await.unwrap()
}

pub(super) fn reacting(name: &str, criteria: Value, reactions: Value) -> NewSegment {
    NewSegment { reactions: Some(serde_json::from_value(reactions).unwrap()), ..new_segment(name, criteria) }
}

pub(super) fn desk(store: &Store) -> ChangeDesk {
    ChangeDesk::new(store.clone(), RefusalBook::default(), Targets::of(&Settings::default()).unwrap())
}

/// Does reactions, and evaluates what comes of them, until nothing waits.
pub(super) async fn react(store: &Store) {
    let mut desk = desk(store);
    loop {
        settle(store).await;
        let mut worked = false;
        while desk.work().await.unwrap() {
            worked = true;
        }
        if !worked {
            return;
        }
    }
}

pub(super) fn tags_of(conn: &mut Conn, contact: ContactId) -> Vec<String> {
    tags::of_contacts(conn, &[contact]).unwrap().remove(&contact).unwrap_or_default()
}

fn standing(conn: &mut Conn, list: ListId, contact: ContactId) -> Option<Standing> {
    let all = standings::of_contacts(conn, &[contact]).unwrap();
    all.into_iter().find(|(of, _, _)| *of == list).map(|(_, _, standing)| standing)
}

fn wish(conn: &mut Conn, list: ListId, contact: ContactId, wish: Wish) {
    conn.write(|conn| {
        standings::hold(conn, &[contact])?;
        let scribe = scribe();
        let mut ledger = Ledger::new(&scribe);
        standings::apply(conn, &mut ledger, &[Wished::new(contact, list, wish)])?;
        ledger.close(conn)
    })
    .unwrap();
}

pub(super) fn tag(conn: &mut Conn, contact: ContactId, name: &'static str) {
    conn.write(|conn| tags::add(conn, &[(contact, name)])).unwrap();
}

pub(super) fn untag(conn: &mut Conn, contact: ContactId, name: &str) {
    conn.write(|conn| tags::remove(conn, &[contact], &[name.to_owned()].into())).unwrap();
}

pub(super) fn switch(conn: &mut Conn, id: SegmentId, enabled: bool) {
    let query = format!("UPDATE segments SET enabled = {} WHERE id = {id}", if enabled { "TRUE" } else { "FALSE" });
    diesel::sql_query(query).execute(conn).unwrap();
}

both_backends! {
    async fn an_entry_and_a_leave_change_tags_lists_and_events_once(db: &Database) {
        let store = open(db).await;
        let (list, ann, bob) = write(&store, |conn| {
            let list = lists::create(conn, &NewList::named("News")).unwrap().list.id;
            create(conn, &reacting("VIPs", json!({ "tag": "vip" }), json!([
                { "on": "entered", "do": [
                    { "add_tag": "seen" }, { "add_to_list": list },
                    { "record_event": { "name": "became_vip", "properties": { "level": 1 } } },
                ] },
                { "on": "left", "reason": "criteria", "do": [{ "remove_tag": "seen" }, { "remove_from_list": list }] },
                { "on": "left", "reason": "deleted", "do": [{ "add_tag": "never" }] },
            ])));
            (list, contact(conn, "ann@example.com", json!({})), contact(conn, "bob@example.com", json!({})))
        }).await;
        react(&store).await;
        write(&store, move |conn| {
            tag(conn, ann, "vip");
            tag(conn, bob, "vip");
        }).await;
        react(&store).await;
        write(&store, move |conn| {
            for who in [ann, bob] {
                assert_eq!(tags_of(conn, who), ["seen", "vip"]);
                assert_eq!(standing(conn, list, who), Some(Standing::Subscribed));
            }
        }).await;
        let told = "SELECT count(*) AS n FROM events WHERE name = 'became_vip' AND source = 'volley' AND properties LIKE '%level%'";
        assert_eq!(db.number(told), 2);
        write(&store, move |conn| untag(conn, ann, "vip")).await;
        react(&store).await;
        write(&store, move |conn| {
            assert_eq!((tags_of(conn, ann), standing(conn, list, ann)), (vec![], None));
            assert_eq!(standing(conn, list, bob), Some(Standing::Subscribed));
        }).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM reactions_due"), 0);
        assert_eq!(db.number(told), 2);
        assert!(db.number("SELECT count(*) AS n FROM consent_log WHERE source LIKE 'segment: %'") >= 3);
    }

    async fn who_has_refused_a_list_stays_unsubscribed(db: &Database) {
        let store = open(db).await;
        let (list, ann) = write(&store, |conn| {
            let list = lists::create(conn, &NewList::named("News")).unwrap().list.id;
            let ann = contact(conn, "ann@example.com", json!({}));
            wish(conn, list, ann, Wish::Subscribe(Grounds::Claimed));
            wish(conn, list, ann, Wish::Unsubscribe);
            create(conn, &reacting("VIPs", json!({ "tag": "vip" }), json!([
                { "on": "entered", "do": [{ "add_to_list": list }] },
                { "on": "left", "do": [{ "remove_from_list": list }] },
            ])));
            (list, ann)
        }).await;
        react(&store).await;
        for is_vip in [true, false, true] {
            write(&store, move |conn| if is_vip { tag(conn, ann, "vip") } else { untag(conn, ann, "vip") }).await;
            react(&store).await;
            write(&store, move |conn| assert_eq!(standing(conn, list, ann), Some(Standing::Unsubscribed))).await;
        }
    }

    async fn nothing_follows_from_who_is_found_by_the_evaluation_of_everybody(db: &Database) {
        let store = open(db).await;
        let ann = write(&store, |conn| {
            let ann = contact(conn, "ann@example.com", json!({}));
            tag(conn, ann, "vip");
            create(conn, &reacting("VIPs", json!({ "tag": "vip" }), json!([
                { "on": "entered", "do": [{ "add_tag": "seen" }] },
                { "on": "entered", "first_entry_only": true, "do": [{ "add_tag": "first" }] },
            ])));
            ann
        }).await;
        react(&store).await;
        write(&store, move |conn| assert_eq!(tags_of(conn, ann), ["vip"])).await;
        write(&store, move |conn| untag(conn, ann, "vip")).await;
        react(&store).await;
        write(&store, move |conn| tag(conn, ann, "vip")).await;
        react(&store).await;
        write(&store, move |conn| assert_eq!(tags_of(conn, ann), ["seen", "vip"], "it is the second stay")).await;
    }

    async fn what_is_rolled_back_is_done_once_all_the_same(db: &Database) {
        let store = open(db).await;
        let ann = write(&store, |conn| {
            create(conn, &reacting("VIPs", json!({ "tag": "vip" }), json!([
                { "on": "entered", "do": [{ "record_event": { "name": "became_vip" } }] },
            ])));
            contact(conn, "ann@example.com", json!({}))
        }).await;
        react(&store).await;
        write(&store, move |conn| tag(conn, ann, "vip")).await;
        settle(&store).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM reactions_due"), 1);
        // The database takes no events for a while: each try is rolled back.
        db.execute("ALTER TABLE events RENAME TO events_away");
        let mut desk = desk(&store);
        desk.work().await.unwrap();
        assert_eq!(db.number("SELECT count(*) AS n FROM reactions_due WHERE attempts = 1 AND state = 'waiting' AND error IS NOT NULL"), 1);
        db.execute("ALTER TABLE events_away RENAME TO events");
        db.execute("UPDATE reactions_due SET due_at = 0");
        react(&store).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM reactions_due"), 0);
        assert_eq!(db.number("SELECT count(*) AS n FROM events WHERE name = 'became_vip'"), 1);
    }

    async fn one_that_the_database_does_not_take_keeps_no_other_one_out_and_fails(db: &Database) {
        let store = open(db).await;
        let (ann, bob) = write(&store, |conn| {
            create(conn, &reacting("VIPs", json!({ "tag": "vip" }), json!([{ "on": "entered", "do": [{ "add_tag": "seen" }] }])));
            (contact(conn, "ann@example.com", json!({})), contact(conn, "bob@example.com", json!({})))
        }).await;
        react(&store).await;
        write(&store, move |conn| { tag(conn, ann, "vip"); tag(conn, bob, "vip"); }).await;
        settle(&store).await;
        db.execute(&format!("UPDATE reactions_due SET content = '[{{\"sing\": 1}}]' WHERE contact_id = {ann}"));
        let mut desk = desk(&store);
        for _ in 0..TRIES {
            desk.work().await.unwrap();
            db.execute("UPDATE reactions_due SET due_at = 0");
        }
        write(&store, move |conn| {
            assert_eq!((tags_of(conn, ann), tags_of(conn, bob)), (vec!["vip".to_owned()], vec!["seen".to_owned(), "vip".to_owned()]));
        }).await;
        assert_eq!(db.number(&format!("SELECT count(*) AS n FROM reactions_due WHERE state = 'failed' AND attempts = {TRIES}")), 1);
        assert!(!desk.work().await.unwrap(), "it is not tried again");
    }

    async fn what_follows_is_done_in_the_order_in_which_it_happened(db: &Database) {
        let store = open(db).await;
        let all: Vec<ContactId> = write(&store, |conn| {
            create(conn, &reacting("VIPs", json!({ "tag": "vip" }), json!([
                { "on": "entered", "do": [{ "add_tag": "inside" }, { "remove_tag": "outside" }] },
                { "on": "left", "do": [{ "add_tag": "outside" }, { "remove_tag": "inside" }] },
            ])));
            (0..20).map(|n| contact(conn, &format!("p{n}@example.com"), json!({}))).collect()
        }).await;
        react(&store).await;
        for round in 0..3 {
            let people = all.clone();
            write(&store, move |conn| {
                for (place, who) in people.iter().enumerate() {
                    if (round + place) % 2 == 0 { tag(conn, *who, "vip") } else { untag(conn, *who, "vip") }
                }
            }).await;
            // Nothing is done in between.
            settle(&store).await;
        }
        react(&store).await;
        write(&store, move |conn| {
            for (place, who) in all.iter().enumerate() {
                let expected = if place % 2 == 0 { vec!["inside", "vip"] } else { vec!["outside"] };
                assert_eq!(tags_of(conn, *who), expected, "{place}");
            }
        }).await;
    }

    async fn a_segment_that_is_switched_off_stops_what_follows_from_it(db: &Database) {
        let store = open(db).await;
        let (id, ann) = write(&store, |conn| {
            let id = create(conn, &reacting("VIPs", json!({ "tag": "vip" }), json!([{ "on": "entered", "do": [{ "add_tag": "seen" }] }])));
            (id, contact(conn, "ann@example.com", json!({})))
        }).await;
        react(&store).await;
        write(&store, move |conn| tag(conn, ann, "vip")).await;
        settle(&store).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM reactions_due"), 1);
        write(&store, move |conn| switch(conn, id, false)).await;
        react(&store).await;
        write(&store, move |conn| {
            switch(conn, id, true);
            assert_eq!(tags_of(conn, ann), ["vip"]);
        }).await;
        react(&store).await;
        write(&store, move |conn| assert_eq!(tags_of(conn, ann), ["vip"], "what waited is not done later")).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM reactions_due"), 0);
    }

    async fn a_chain_of_more_than_eight_reactions_is_refused_and_shown(db: &Database) {
        let store = open(db).await;
        let ann = write(&store, |conn| {
            // Each one has the other one take its tag away: they would go on for ever.
            create(conn, &reacting("Ping", json!({ "tag": "ping" }), json!([
                { "on": "entered", "do": [{ "add_tag": "pong" }] }, { "on": "left", "do": [{ "remove_tag": "pong" }] },
            ])));
            create(conn, &reacting("Pong", json!({ "tag": "pong" }), json!([
                { "on": "entered", "do": [{ "remove_tag": "ping" }] }, { "on": "left", "do": [{ "add_tag": "ping" }] },
            ])));
            contact(conn, "ann@example.com", json!({}))
        }).await;
        react(&store).await;
        write(&store, move |conn| tag(conn, ann, "ping")).await;
        react(&store).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM segment_transitions"), 9, "and the ninth one causes nothing");
        assert_eq!(db.number("SELECT CAST(max(depth) AS BIGINT) AS n FROM segment_transitions"), 8);
        assert_eq!(db.number("SELECT count(*) AS n FROM reactions_due WHERE state = 'refused' AND depth = 8"), 1);
        // What somebody does begins another chain.
        write(&store, move |conn| untag(conn, ann, "ping")).await;
        react(&store).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM reactions_due"), 1);
        write(&store, move |conn| tag(conn, ann, "ping")).await;
        react(&store).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM reactions_due WHERE state = 'refused'"), 2);
    }

    async fn chains_through_events_and_lists_end_too(db: &Database) {
        let store = open(db).await;
        let (list, ann) = write(&store, |conn| {
            let list = lists::create(conn, &NewList::named("Ping")).unwrap().list.id;
            create(conn, &reacting("On", json!({ "list": { "id": list } }), json!([
                { "on": "entered", "do": [{ "remove_from_list": list }] }, { "on": "left", "do": [{ "add_to_list": list }] },
            ])));
            // Each turn makes the count even or odd.
            for n in 1..40 {
                create(conn, &reacting(&format!("Turn {n}"), json!({ "event": { "name": "turn", "count": { "op": "gte", "n": n } } }), json!([
                    { "on": "entered", "do": [{ "record_event": { "name": "turn" } }] },
                ])));
            }
            (list, contact(conn, "ann@example.com", json!({})))
        }).await;
        react(&store).await;
        write(&store, move |conn| wish(conn, list, ann, Wish::Subscribe(Grounds::Claimed))).await;
        react(&store).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM segment_transitions"), 9, "through the list");
        assert_eq!(db.number("SELECT count(*) AS n FROM reactions_due WHERE state = 'refused'"), 1);
        write(&store, move |conn| event(conn, ann, "turn", 0)).await;
        react(&store).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM events WHERE name = 'turn'"), 9, "through events");
        assert_eq!(db.number("SELECT count(*) AS n FROM reactions_due WHERE state = 'refused'"), 2);
    }

    async fn a_chain_of_reactions_refuses_nothing_that_has_nothing_to_do_with_it(db: &Database) {
        let store = open(db).await;
        let ann = write(&store, |conn| {
            for name in ["end", "vip"] {
                create(conn, &reacting(name, json!({ "tag": name }), json!([{ "on": "entered", "do": [{ "add_tag": format!("after-{name}") }] }])));
            }
            contact(conn, "ann@example.com", json!({}))
        }).await;
        react(&store).await;
        write(&store, move |conn| conn.write(|conn| {
            reactions::touch_ahead(conn, &[(ann, Topic::Tag("end".to_owned()), 8)])?;
            tags::add(conn, &[(ann, "end"), (ann, "vip")])
        }).unwrap()).await;
        react(&store).await;
        write(&store, move |conn| assert_eq!(tags_of(conn, ann), ["after-vip", "end", "vip"])).await;
        // What was refused can be done by hand.
        let refused = ReactionId(db.number("SELECT id AS n FROM reactions_due WHERE state = 'refused'"));
        write(&store, move |conn| assert_eq!(over::retry(conn, refused).unwrap(), Retried::Again)).await;
        react(&store).await;
        write(&store, move |conn| assert_eq!(tags_of(conn, ann), ["after-end", "after-vip", "end", "vip"])).await;
    }

    async fn a_reaction_to_an_event_of_its_own_ends_too(db: &Database) {
        let store = open(db).await;
        let ann = write(&store, |conn| {
            create(conn, &reacting("Odd", json!({ "event": { "name": "turn", "count": { "op": "eq", "n": 1 } } }), json!([
                { "on": "entered", "do": [{ "record_event": { "name": "turn" } }] },
                { "on": "left", "do": [{ "record_event": { "name": "over" } }] },
            ])));
            contact(conn, "ann@example.com", json!({}))
        }).await;
        react(&store).await;
        write(&store, move |conn| event(conn, ann, "turn", 0)).await;
        react(&store).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM events WHERE name = 'turn'"), 2);
        assert_eq!(db.number("SELECT count(*) AS n FROM events WHERE name = 'over'"), 1);
    }

    async fn two_who_work_at_once_do_each_once(db: &Database) {
        let store = open(db).await;
        let people: Vec<ContactId> = write(&store, |conn| {
            create(conn, &reacting("VIPs", json!({ "tag": "vip" }), json!([
                { "on": "entered", "do": [{ "record_event": { "name": "became_vip" } }] },
            ])));
            (0..300).map(|n| contact(conn, &format!("p{n}@example.com"), json!({}))).collect()
        }).await;
        // Two blocks of contacts: on PostgreSQL each of the two gets one.
        db.execute("UPDATE contacts SET id = id + 8192 WHERE id > 150");
        let people: Vec<ContactId> = people.into_iter().map(|who| if who.0 > 150 { ContactId(who.0 + 8_192) } else { who }).collect();
        react(&store).await;
        write(&store, move |conn| {
            let wanted: Vec<(ContactId, &str)> = people.iter().map(|who| (*who, "vip")).collect();
            conn.write(|conn| tags::add(conn, &wanted)).unwrap();
        }).await;
        settle(&store).await;
        let (mut one, mut other) = (desk(&store), desk(&store));
        loop {
            let (one, other) = futures_util::future::join(one.work(), other.work()).await;
            if !(one.unwrap() || other.unwrap()) && db.number("SELECT count(*) AS n FROM reactions_due") == 0 {
                break;
            }
        }
        assert_eq!(db.number("SELECT count(*) AS n FROM events WHERE name = 'became_vip'"), 300);
        assert_eq!(db.number("SELECT count(DISTINCT contact_id) AS n FROM events"), 300);
    }
}
