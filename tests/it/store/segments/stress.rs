//! Writers, workers, changes of rules and evaluations of everybody, all at once. In the end everybody is where a naive look puts them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use volley::domain::ids::{ContactId, SegmentId};
use volley::store::people::lists::{self, NewList};
use volley::store::people::{contacts, tags};
use volley::store::{Conn, Lane, Store, StoreError};
use volley::verify::rng::Rng;

use super::world::{check, contact, create, edit, event, new_segment, open, scribe, settle, worker};
use crate::support::both_backends;

/// How many contacts there are, and how many transactions each writer makes.
const CONTACTS: u64 = 60;
const TRANSACTIONS: usize = 150;
const WRITERS: u64 = 4;

/// The rules, in such an order that each comes after those that it asks for.
fn rules(seed: u64, list: i64) -> Vec<Value> {
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
fn something(
    conn: &mut Conn,
    rng: &Rng,
    all: &[ContactId],
    list: volley::domain::ids::ListId,
) -> Result<(), StoreError> {
    let who = all[rng.place(all.len())];
    let plan = ["free", "pro"][rng.place(2)];
    match rng.between(0, 11) {
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
        _ => {
            event(conn, who, "seen", 0);
            event(conn, all[rng.place(all.len())], "paid", 0);
            return Err(StoreError::Closed);
        }
    }
    Ok(())
}

async fn keep_writing(store: Store, seed: u64, all: Arc<Vec<ContactId>>, list: volley::domain::ids::ListId) {
    let rng = Arc::new(Rng::new(seed));
    for _ in 0..TRANSACTIONS {
        let (rng, all) = (Arc::clone(&rng), Arc::clone(&all));
        let work = move |conn: &mut Conn| {
            Ok(conn.write(|conn| (0..=rng.between(0, 2)).try_for_each(|_| something(conn, &rng, &all, list))).is_ok())
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

async fn keep_changing(store: Store, ids: Arc<Vec<SegmentId>>, list: i64, ended: Arc<AtomicBool>) {
    let rng = Rng::new(99);
    while !ended.load(Ordering::Acquire) {
        let (place, seed, ids) = (rng.place(4), rng.next() % 6, Arc::clone(&ids));
        let change = move |conn: &mut Conn| {
            edit(conn, ids[place], rules(seed, list)[place].clone());
            Ok(())
        };
        store.run(Lane::Write, "change", change).await.unwrap();
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }
}

both_backends! {
    async fn in_the_end_everybody_is_where_a_naive_look_puts_them(db: &Database) {
        let store = open(db).await;
        let (ids, list, all) = store.run(Lane::Write, "prepare", |conn| {
            let list = lists::create(conn, &NewList::named("News"))?.list.id;
            let all: Vec<ContactId> =
                (0..CONTACTS).map(|n| contact(conn, &format!("p{n}@example.com"), json!({}))).collect();
            let name = |n: usize| format!("Segment {n}");
            let mut ids = Vec::new();
            for rule in rules(0, list.0) {
                let id = create(conn, &new_segment(&name(ids.len()), rule));
                ids.push(id);
            }
            for rule in rules_of_rules(&ids) {
                let id = create(conn, &new_segment(&name(ids.len()), rule));
                ids.push(id);
            }
            Ok((Arc::new(ids), list, Arc::new(all)))
        }).await.unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let writers = (0..WRITERS).map(|seed| keep_writing(store.clone(), seed, Arc::clone(&all), list));
        let workers = (0..2).map(|_| actix_rt::spawn(keep_working(store.clone(), Arc::clone(&ended))));
        let workers: Vec<_> = workers.collect();
        let changes = actix_rt::spawn(keep_changing(store.clone(), Arc::clone(&ids), list.0, Arc::clone(&ended)));
        futures_util::future::join_all(writers).await;
        ended.store(true, Ordering::Release);
        futures_util::future::join_all(workers).await.into_iter().for_each(|worked| worked.unwrap());
        changes.await.unwrap();
        settle(&store).await;
        store.run(Lane::Write, "look", move |conn| check(conn, &ids)).await.unwrap();
        let transitions = db.number("SELECT count(*) AS n FROM segment_transitions");
        assert!(transitions > 20, "something happened: {transitions}");
    }
}
