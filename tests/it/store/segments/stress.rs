//! Writers, workers, changes of rules and evaluations of everybody, all at once. In the end everybody is where a naive look puts them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use volley::domain::ids::{ContactId, ListId, SegmentId};
use volley::domain::segments::stay::{EntryLimit, Rules};
use volley::store::people::lists::{self, NewList};
use volley::store::people::{contacts, tags};
use volley::store::segments::{self, Anew, NewSegment};
use volley::store::{Conn, Lane, Store, StoreError};
use volley::verify::rng::Rng;

use super::super::dispatch::packed;
use super::world::{check, contact, create, edit, event, new_segment, open, scribe, settle, worker};
use crate::support::both_backends;

/// How many contacts there are, and how many transactions each writer makes.
const CONTACTS: u64 = 60;
const TRANSACTIONS: usize = 150;
const WRITERS: u64 = 4;

/// So far from one another that there are some of each shard.
const APART: u64 = 1_300;

/// Some of these are deleted, which has everybody who was on them evaluated.
const LISTS: usize = 6;

/// The rules, in such an order that each comes after those that it asks for.
fn rules(seed: u64, lists: &[ListId]) -> Vec<Value> {
    let list = lists[usize::try_from(seed).unwrap() % lists.len()];
    let plan = ["free", "pro"][usize::try_from(seed % 2).unwrap()];
    vec![
        json!({ "attribute": { "name": "plan", "op": "eq", "value": plan } }),
        json!({ "event": { "name": "paid", "count": { "op": "gte", "n": 1 + seed % 3 } } }),
        json!({ "all": [{ "event": { "name": "seen", "within": "1h" } }, { "not": { "event": { "name": "paid", "within": "1h" } } }] }),
        json!({ "any": [{ "tag": "vip" }, { "list": { "id": list } }] }),
    ]
}

fn rules_of_rules(ids: &[SegmentId]) -> Vec<Value> {
    vec![
        json!({ "all": [{ "segment": ids[0].0 }, { "segment": ids[1].0 }] }),
        json!({ "all": [{ "segment": ids[3].0 }, { "not": { "segment": ids[2].0 } }] }),
    ]
}

/// Something that happens to one contact or several, in one transaction, which is perhaps rolled back.
fn something(conn: &mut Conn, rng: &Rng, all: &[ContactId], lists: &[ListId]) -> Result<(), StoreError> {
    let who = all[rng.place(all.len())];
    let list = lists[rng.place(lists.len())];
    let plan = ["free", "pro"][rng.place(2)];
    match rng.between(0, 12) {
        0..=3 => {
            let name = ["paid", "seen", "other"][rng.place(3)];
            // Late and out of order, on both sides of an hour.
            event(conn, who, name, i64::try_from(rng.between(0, 7_200_000)).unwrap());
        }
        4..=5 => _ = contact(conn, &format!("p{}@example.com", rng.between(0, CONTACTS + 20)), json!({ "plan": plan })),
        6 => _ = tags::add(conn, &[(who, "vip")])?,
        7 => _ = tags::remove(conn, &[who], &BTreeSet::from(["vip".to_owned()]))?,
        8 => _ = lists::add_members(conn, &scribe(), list, &[who])?,
        9 => _ = lists::remove_members(conn, &scribe(), list, &[who])?,
        10 => _ = contacts::delete(conn, &scribe(), who)?,
        // Seldom, and never the last ones.
        11 if rng.place(20) == 0 => _ = lists::delete(conn, lists[rng.place(LISTS - 2)])?,
        11 => event(conn, who, "other", 0),
        _ => {
            event(conn, who, "seen", 0);
            event(conn, all[rng.place(all.len())], "paid", 0);
            return Err(StoreError::Closed);
        }
    }
    Ok(())
}

async fn keep_writing(store: Store, seed: u64, all: Arc<Vec<ContactId>>, lists: Arc<Vec<ListId>>) {
    let rng = Arc::new(Rng::new(seed));
    for _ in 0..TRANSACTIONS {
        let (rng, all, lists) = (Arc::clone(&rng), Arc::clone(&all), Arc::clone(&lists));
        let work = move |conn: &mut Conn| {
            Ok(conn.write(|conn| (0..=rng.between(0, 2)).try_for_each(|_| something(conn, &rng, &all, &lists))).is_ok())
        };
        // Two that wait for each other are no concern here: nothing is stored then.
        let _ = store.run(Lane::Write, "write", work).await;
    }
}

async fn keep_working(store: Store, ended: Arc<AtomicBool>) {
    let mut worker = worker(&store);
    while !ended.load(Ordering::Acquire) {
        let kept = worker.keep_up().await.unwrap();
        if !worker.build().await.unwrap() && kept.is_none() {
            tokio::task::yield_now().await;
        }
    }
}

/// Disables a segment, or enables it.
fn switch(conn: &mut Conn, id: SegmentId, enabled: bool) {
    conn.write(|conn| {
        segments::hold_definitions(conn)?;
        let before = segments::find(conn, id)?.unwrap();
        let anew = if enabled && !before.enabled { Anew::Yes } else { Anew::No };
        let (name, rules) = (before.name.clone(), before.rules()?);
        let new = NewSegment {
            name,
            slug: None,
            description: String::new(),
            criteria: None,
            rules,
            reactions: None,
            enabled,
        };
        segments::change(conn, &before, &new, anew)
    })
    .unwrap();
}

async fn keep_changing(store: Store, ids: Arc<Vec<SegmentId>>, lists: Arc<Vec<ListId>>, ended: Arc<AtomicBool>) {
    let rng = Rng::new(99);
    while !ended.load(Ordering::Acquire) {
        let (place, seed, is_switch) = (rng.place(4), rng.next() % 6, rng.place(4) == 0);
        let (ids, lists) = (Arc::clone(&ids), Arc::clone(&lists));
        let change = move |conn: &mut Conn| {
            if is_switch {
                switch(conn, ids[place], seed % 2 == 0);
            } else {
                edit(conn, ids[place], rules(seed, &lists)[place].clone());
            }
            Ok(())
        };
        store.run(Lane::Write, "change", change).await.unwrap();
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }
}

/// Contacts of all shards.
fn people(conn: &mut Conn) -> Vec<ContactId> {
    packed::execute(
        conn,
        &format!(
            "INSERT INTO contacts (id, email, attributes, version, created_at, updated_at)
             WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {CONTACTS} - 1)
             SELECT 500 + n * {APART}, 'p' || n || '@example.com', '{{}}', 1, 0, 0 FROM n"
        ),
    );
    (0..CONTACTS).map(|n| ContactId(i64::try_from(500 + n * APART).unwrap())).collect()
}

both_backends! {
    async fn in_the_end_everybody_is_where_a_naive_look_puts_them(db: &Database) {
        let store = open(db).await;
        let (ids, news, all) = store.run(Lane::Write, "prepare", |conn| {
            let mut news = Vec::new();
            for n in 0..LISTS {
                news.push(lists::create(conn, &NewList::named(&format!("News {n}")))?.list.id);
            }
            let all = people(conn);
            let name = |n: usize| format!("Segment {n}");
            let mut ids = Vec::new();
            for rule in rules(0, &news) {
                let entries = if ids.is_empty() { EntryLimit::Once } else { EntryLimit::Unlimited };
                let new = NewSegment { rules: Rules { entries, ..Rules::default() }, ..new_segment(&name(ids.len()), rule) };
                ids.push(create(conn, &new));
            }
            for rule in rules_of_rules(&ids) {
                let id = create(conn, &new_segment(&name(ids.len()), rule));
                ids.push(id);
            }
            Ok((Arc::new(ids), Arc::new(news), Arc::new(all)))
        }).await.unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let writers = (0..WRITERS).map(|seed| keep_writing(store.clone(), seed, Arc::clone(&all), Arc::clone(&news)));
        let workers = (0..2).map(|_| actix_rt::spawn(keep_working(store.clone(), Arc::clone(&ended))));
        let workers: Vec<_> = workers.collect();
        let changes = actix_rt::spawn(keep_changing(store.clone(), Arc::clone(&ids), Arc::clone(&news), Arc::clone(&ended)));
        futures_util::future::join_all(writers).await;
        ended.store(true, Ordering::Release);
        futures_util::future::join_all(workers).await.into_iter().for_each(|worked| worked.unwrap());
        changes.await.unwrap();
        let all = Arc::clone(&ids);
        let enable = move |conn: &mut Conn| {
            all.iter().for_each(|id| switch(conn, *id, true));
            Ok(())
        };
        store.run(Lane::Write, "enable", enable).await.unwrap();
        settle(&store).await;
        let limited = ids[0];
        store.run(Lane::Write, "look", move |conn| check(conn, &ids)).await.unwrap();
        let again = format!(
            "SELECT count(*) AS n FROM (SELECT contact_id FROM segment_transitions WHERE segment_id = {limited} AND kind = 'entered' \
             AND emit GROUP BY contact_id HAVING count(*) > 1) AS again"
        );
        assert_eq!(db.number(&again), 0, "an entry that is limited to one is reported once");
        assert!(db.number("SELECT count(*) AS n FROM lists") < i64::try_from(LISTS).unwrap(), "a list was deleted");
        let transitions = db.number("SELECT count(*) AS n FROM segment_transitions");
        assert!(transitions > 20, "something happened: {transitions}");
    }
}
