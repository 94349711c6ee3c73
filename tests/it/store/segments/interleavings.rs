//! The exact moments at which an update could get lost, each on its own. Two connections of PostgreSQL take turns, step by step.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use serde_json::json;
use volley::domain::ids::{ContactId, SegmentId};
use volley::services::segments::build::{self, Next, Stretch};
use volley::services::segments::keep_up::{Taken, keep_up};
use volley::services::segments::live::KnownCriteria;
use volley::store::people::lists::{self, Deleted, NewList};
use volley::store::segments::building::{self, Build};
use volley::store::segments::queue::Shard;
use volley::store::{Conn, Lane};

use super::world::{check, contact, edit, event, members, open, scribe, segment, settle, transitions};
use crate::support::database::number;
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

const LIMIT: i64 = 100;
const LONG: Duration = Duration::from_secs(30);

fn run(conn: &mut Conn, statement: &str) {
    match conn {
        Conn::Pg(conn) => conn.batch_execute(statement),
        Conn::Sqlite(conn) => conn.batch_execute(statement),
    }
    .unwrap();
}

/// A transaction that the test begins and ends by itself.
struct Open<'a>(&'a mut Conn);

impl<'a> Open<'a> {
    fn begin(conn: &'a mut Conn) -> Self {
        run(conn, "BEGIN");
        Self(conn)
    }

    fn commit(self) {
        run(self.0, "COMMIT");
    }
}

fn is_touched(conn: &mut Conn) -> i64 {
    number(conn, "SELECT count(*) AS n FROM touches")
}

/// How many connections to this database wait for a lock.
const WAITS: &str =
    "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

const BUYERS: &str = r#"{ "event": { "name": "paid" } }"#;

fn buyers() -> serde_json::Value {
    serde_json::from_str(BUYERS).unwrap()
}

/// A database with Ann, a segment of buyers that is ready, and nothing that waits.
fn ready(db: &Database) -> (SegmentId, ContactId) {
    let made = actix_rt::System::new().block_on(async {
        let store = open(db).await;
        let made = store.run(Lane::Write, "prepare", |conn| {
            let id = segment(conn, "Buyers", buyers());
            Ok((id, contact(conn, "ann@example.com", json!({}))))
        });
        let made = made.await.unwrap();
        settle(&store).await;
        made
    });
    assert_eq!(db.number("SELECT count(*) AS n FROM segments WHERE state = 'ready'"), 1);
    made
}

fn settled(db: &Database, order: &[SegmentId]) {
    actix_rt::System::new().block_on(async { settle(&open(db).await).await });
    check(&mut db.connect(), order).unwrap();
}

fn next_build(conn: &mut Conn) -> Build {
    match build::next(conn).unwrap() {
        Some(Next::Build(build)) => build,
        other => panic!("nothing to build: {other:?}"),
    }
}

#[test]
fn an_event_that_commits_between_the_touch_and_the_facts_is_seen() {
    let Some(db) = Database::postgres(module_path!()) else { return };
    let (id, ann) = ready(&db);
    let (mut working, mut writing) = (db.connect(), db.connect());
    event(&mut writing, ann, "seen", 0);
    let worker = Open::begin(&mut working);
    let taken = Taken::take(worker.0, Shard(0), LIMIT).unwrap().unwrap();
    let writer = Open::begin(&mut writing);
    event(writer.0, ann, "paid", 0);
    writer.commit();
    taken.evaluate(worker.0, &KnownCriteria::default()).unwrap();
    worker.commit();
    assert_eq!(is_touched(&mut writing), 1, "a touch that came meanwhile stays, although its contact was evaluated");
    settled(&db, &[id]);
    assert_eq!(transitions(&mut writing, id, ann), ["entered 1 change"]);
}

#[test]
fn somebody_who_joins_a_list_while_it_is_being_deleted_is_evaluated_afterwards() {
    let Some(db) = Database::postgres(module_path!()) else { return };
    let (_, ann) = ready(&db);
    let (mut joining, mut deleting) = (db.connect(), db.connect());
    let list = lists::create(&mut joining, &NewList::named("News")).unwrap().list.id;
    lists::add_members(&mut joining, &scribe(), list, &[ann]).unwrap();
    let ben = contact(&mut joining, "ben@example.com", json!({}));
    let joins = Open::begin(&mut joining);
    run(
        joins.0,
        &format!(
            "SELECT id FROM lists WHERE id = {list} FOR KEY SHARE; INSERT INTO list_members (list_id, contact_id, created_at, status) \
             VALUES ({list}, {ben}, 0, 'subscribed')"
        ),
    );
    let deletion = std::thread::spawn(move || lists::delete(&mut deleting, list).unwrap());
    wait_until("the deletion waits", LONG, || db.number(WAITS) == 1);
    joins.commit();
    assert_eq!(deletion.join().unwrap(), Deleted::Done);
    let of_ben = format!(
        "SELECT count(*) AS n FROM segment_ranges WHERE cursor_contact_id < {ben} AND last_contact_id >= {ben}"
    );
    assert_eq!(db.number(&of_ben), 1, "who joined last is evaluated, too");
}

#[test]
fn an_event_that_commits_after_the_facts_were_read_is_evaluated_next() {
    let Some(db) = Database::postgres(module_path!()) else { return };
    let (id, ann) = ready(&db);
    let (mut working, mut writing) = (db.connect(), db.connect());
    // The segment asks for it, so that Ann is evaluated before she has paid.
    edit(&mut writing, id, json!({ "all": [{ "event": { "name": "seen" } }, buyers()] }));
    settled(&db, &[id]);
    event(&mut writing, ann, "seen", 0);
    let worker = Open::begin(&mut working);
    let taken = Taken::take(worker.0, Shard(0), LIMIT).unwrap().unwrap();
    taken.evaluate(worker.0, &KnownCriteria::default()).unwrap();
    let writer = Open::begin(&mut writing);
    event(writer.0, ann, "paid", 0);
    writer.commit();
    worker.commit();
    assert_eq!(members(&mut writing, id), [], "she was evaluated before");
    settled(&db, &[id]);
    assert_eq!(members(&mut writing, id), [ann]);
}

#[test]
fn a_transaction_that_commits_late_is_found_behind_later_ones() {
    let Some(db) = Database::postgres(module_path!()) else { return };
    let (id, ann) = ready(&db);
    let (mut early, mut other) = (db.connect(), db.connect());
    let long = Open::begin(&mut early);
    event(long.0, ann, "paid", 0);
    // Somebody else's event gets a later number, and is evaluated.
    let ben = contact(&mut other, "ben@example.com", json!({}));
    event(&mut other, ben, "paid", 0);
    settled(&db, &[id]);
    assert_eq!(members(&mut other, id), [ben]);
    long.commit();
    settled(&db, &[id]);
    assert_eq!(members(&mut other, id), [ann, ben]);
}

#[test]
fn a_rule_that_changes_during_an_evaluation_has_the_last_word() {
    let Some(db) = Database::postgres(module_path!()) else { return };
    let (id, _) = ready(&db);
    let (mut working, mut writing) = (db.connect(), db.connect());
    // In another shard than the one whose lock guards the rules.
    run(
        &mut writing,
        "INSERT INTO contacts (id, email, attributes, version, created_at, updated_at) VALUES (9000, 'cem@example.com', '{}', 1, 0, 0)",
    );
    let cem = ContactId(9_000);
    event(&mut writing, cem, "paid", 0);
    let worker = Open::begin(&mut working);
    let taken = Taken::take(worker.0, Shard(0), LIMIT).unwrap().unwrap();
    taken.evaluate(worker.0, &KnownCriteria::default()).unwrap();
    edit(&mut writing, id, json!({ "event": { "name": "never" } }));
    worker.commit();
    assert_eq!(members(&mut writing, id), [cem], "by the rule that the worker had read");
    settled(&db, &[id]);
    assert_eq!(members(&mut writing, id), []);
}

#[test]
fn a_contact_that_is_made_while_everybody_begins_to_be_evaluated_is_evaluated() {
    let Some(db) = Database::postgres(module_path!()) else { return };
    let (id, _) = ready(&db);
    let (mut working, mut writing) = (db.connect(), db.connect());
    edit(&mut writing, id, buyers());
    // She is newer than everybody whom the evaluation could have known of, and the worker leaves her to it.
    let ben = contact(&mut writing, "ben@example.com", json!({}));
    event(&mut writing, ben, "paid", 0);
    let worker = Open::begin(&mut working);
    let taken = Taken::take(worker.0, Shard(0), LIMIT).unwrap().unwrap();
    taken.evaluate(worker.0, &KnownCriteria::default()).unwrap();
    let beginning = {
        let mut conn = db.connect();
        std::thread::spawn(move || conn.write(building::begin).unwrap())
    };
    wait_until("the beginning waits for the worker", LONG, || number(&mut writing, WAITS) == 1);
    worker.commit();
    beginning.join().unwrap();
    assert_eq!(next_build(&mut writing).last, Some(ben), "it goes up to her");
    settled(&db, &[id]);
    assert_eq!(members(&mut writing, id), [ben]);
}

#[test]
fn an_event_during_the_evaluation_of_everybody_is_seen_by_it_or_by_the_worker() {
    let Some(db) = Database::postgres(module_path!()) else { return };
    let (id, ann) = ready(&db);
    let (mut building, mut writing) = (db.connect(), db.connect());
    edit(&mut writing, id, buyers());
    writing.write(building::begin).unwrap();
    let at = next_build(&mut writing);
    let builder = Open::begin(&mut building);
    assert!(matches!(build::build(builder.0, &KnownCriteria::default(), &at, LIMIT).unwrap(), Stretch::Done(_)));
    // The stretch is read, and not committed.
    event(&mut writing, ann, "paid", 0);
    assert_eq!(
        writing.write(|conn| keep_up(conn, &KnownCriteria::default(), Shard(0), LIMIT)).unwrap(),
        None,
        "nobody else evaluates the shard meanwhile"
    );
    builder.commit();
    settled(&db, &[id]);
    assert_eq!(members(&mut writing, id), [ann]);
}

#[test]
fn of_two_that_evaluate_the_same_stretch_one_gives_way() {
    let Some(db) = Database::postgres(module_path!()) else { return };
    let (id, ann) = ready(&db);
    let (mut one, mut other) = (db.connect(), db.connect());
    event(&mut one, ann, "paid", 0);
    edit(&mut one, id, buyers());
    one.write(building::begin).unwrap();
    let at = next_build(&mut one);
    let first = Open::begin(&mut one);
    assert!(matches!(build::build(first.0, &KnownCriteria::default(), &at, LIMIT).unwrap(), Stretch::Done(_)));
    let second = std::thread::spawn(move || {
        let begun = Open::begin(&mut other);
        let stretch = build::build(begun.0, &KnownCriteria::default(), &at, LIMIT).unwrap();
        run(begun.0, "ROLLBACK");
        stretch
    });
    first.commit();
    assert_eq!(second.join().unwrap(), Stretch::Stale);
    settled(&db, &[id]);
    assert_eq!(transitions(&mut one, id, ann).len(), 1);
}

#[test]
fn the_clock_is_read_when_the_lock_is_there() {
    let Some(db) = Database::postgres(module_path!()) else { return };
    let (id, ann) = ready(&db);
    let (mut working, mut writing) = (db.connect(), db.connect());
    event(&mut writing, ann, "paid", 0);
    let worker = Open::begin(&mut working);
    let taken = Taken::take(worker.0, Shard(0), LIMIT).unwrap().unwrap();
    taken.evaluate(worker.0, &KnownCriteria::default()).unwrap();
    // The rule changes behind the back of the locks, so that somebody waits who is about to evaluate her.
    let other_rule = format!(
        "UPDATE segments SET criteria = '{{\"event\": {{\"name\": \"never\"}}}}', version = 2, state = 'building', \
         cursor_contact_id = 0, build_max_id = {ann} WHERE id = {id}"
    );
    run(&mut writing, &other_rule);
    let at = Build { segment: id, version: 2, cursor: ContactId(0), last: Some(ann) };
    let building = {
        let mut conn = db.connect();
        std::thread::spawn(move || {
            conn.write(|conn| build::build(conn, &KnownCriteria::default(), &at, LIMIT)).unwrap()
        })
    };
    wait_until("it waits for the worker", LONG, || number(&mut writing, WAITS) == 1);
    let clock = number(&mut writing, "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS n");
    worker.commit();
    assert!(matches!(building.join().unwrap(), Stretch::Done(_)));
    let left = format!("SELECT at AS n FROM segment_transitions WHERE segment_id = {id} AND kind = 'left'");
    assert!(number(&mut writing, &left) >= clock, "it goes by the time after it has waited");
}

#[test]
fn two_workers_share_the_shards() {
    let Some(db) = Database::postgres(module_path!()) else { return };
    let (id, ann) = ready(&db);
    let (mut one, mut other) = (db.connect(), db.connect());
    run(
        &mut one,
        "INSERT INTO contacts (id, email, attributes, version, created_at, updated_at) VALUES (9000, 'cem@example.com', '{}', 1, 0, 0)",
    );
    for contact in [ann, ContactId(9_000)] {
        event(&mut one, contact, "paid", 0);
    }
    let first = Open::begin(&mut one);
    let taken = Taken::take(first.0, Shard(0), LIMIT).unwrap().unwrap();
    assert_eq!(taken.shard, Shard(0));
    let second = Open::begin(&mut other);
    let others = Taken::take(second.0, Shard(0), LIMIT).unwrap().unwrap();
    assert_eq!(others.shard, Shard(1), "it does not wait for the first one");
    others.evaluate(second.0, &KnownCriteria::default()).unwrap();
    assert!(Taken::take(second.0, Shard(0), LIMIT).unwrap().is_none(), "nothing is left that nobody has");
    second.commit();
    taken.evaluate(first.0, &KnownCriteria::default()).unwrap();
    first.commit();
    settled(&db, &[id]);
    assert_eq!(members(&mut one, id), [ann, ContactId(9_000)]);
}

both_backends! {
    async fn a_contact_that_everybody_has_yet_to_come_to_is_left_to_it(db: &Database) {
        let store = open(db).await;
        let (id, ann) = store.run(Lane::Write, "prepare", |conn| {
            let ann = contact(conn, "ann@example.com", json!({}));
            let id = segment(conn, "Buyers", buyers());
            event(conn, ann, "paid", 0);
            conn.write(|conn| keep_up(conn, &KnownCriteria::default(), Shard(0), LIMIT))?.unwrap();
            assert_eq!((is_touched(conn), members(conn, id)), (0, vec![]));
            Ok((id, ann))
        }).await.unwrap();
        settle(&store).await;
        store.run(Lane::Write, "look", move |conn| {
            assert_eq!(transitions(conn, id, ann), ["entered 1 evaluation silent"], "an old event tells nobody");
            check(conn, &[id])
        }).await.unwrap();
    }

    async fn a_clock_that_goes_back_costs_no_member(db: &Database) {
        let store = open(db).await;
        let hour = 3_600_000;
        let (id, ann) = store.run(Lane::Write, "prepare", move |conn| {
            let id = segment(conn, "Buyers", json!({ "event": { "name": "paid", "within": "1d" } }));
            let ann = contact(conn, "ann@example.com", json!({}));
            // As a clock that was an hour ahead has stored it.
            event(conn, ann, "paid", -hour);
            Ok((id, ann))
        }).await.unwrap();
        settle(&store).await;
        store.run(Lane::Write, "look", move |conn| {
            assert_eq!(members(conn, id), [ann]);
            // What she did is gone.
            run(conn, "DELETE FROM events");
            event(conn, ann, "paid", 2 * 24 * hour);
            Ok(())
        }).await.unwrap();
        settle(&store).await;
        store.run(Lane::Write, "look", move |conn| check(conn, &[id])).await.unwrap();
    }
}
