//! Whatever changes a contact leaves a touch, in the transaction that changes it.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::sql_types::Text;
use serde_json::json;
use volley::domain::import::ResumePoint;
use volley::domain::people::contact::BuiltIn;
use volley::store::engine::idempotency::Answer;
use volley::store::import::imports::{self, Batch, ImportConsent};
use volley::store::people::contacts::{self, ContactChange, Joining};
use volley::store::people::lists::{self, NewList};
use volley::store::people::tags;
use volley::store::{Conn, Lane, StoreError};

use super::super::dispatch::packed;
use super::world::{contact, draft, event, events, open, scribe};
use crate::support::{both_backends, database};

#[derive(QueryableByName)]
struct Topic {
    #[diesel(sql_type = Text)]
    topic: String,
}

/// Takes all touches away; what they were about.
fn taken(conn: &mut Conn) -> Vec<String> {
    let query = "DELETE FROM touches RETURNING contact_id || ' ' || topic AS topic";
    let mut topics: Vec<String> = match conn {
        Conn::Pg(conn) => diesel::sql_query(query).load(conn),
        Conn::Sqlite(conn) => diesel::sql_query(query).load(conn),
    }
    .unwrap()
    .into_iter()
    .map(|row: Topic| row.topic)
    .collect();
    topics.sort();
    topics
}

both_backends! {
    async fn each_kind_of_change_leaves_a_touch_and_what_changes_nothing_leaves_none(db: &Database) {
        let store = open(db).await;
        store.run(Lane::Write, "change", |conn| {
            let ann = contact(conn, "ann@example.com", json!({ "plan": "free", "city": "Bonn" }));
            let about = |topic: &str| vec![format!("{ann} {topic}")];
            assert_eq!(taken(conn), about("new"));
            contact(conn, "ann@example.com", json!({ "plan": "free" }));
            assert_eq!(taken(conn), Vec::<String>::new(), "it had that plan already");
            contact(conn, "ann@example.com", json!({ "plan": "pro" }));
            assert_eq!(taken(conn), about("a:plan"));
            let mut change = ContactChange { clear: vec![BuiltIn::FirstName], ..ContactChange::default() };
            change.set = draft("ann2@example.com", json!({ "city": null }));
            contacts::change(conn, &scribe(), ann, &change)?;
            assert_eq!(taken(conn), [about("a:city"), about("f:email")].concat());
            events(conn, ann, &["paid", "paid"]);
            assert_eq!(taken(conn), about("e:paid"), "once for all events of a name");
            let list = lists::create(conn, &NewList::named("News"))?.list.id;
            lists::add_members(conn, &scribe(), list, &[ann])?;
            assert_eq!(taken(conn), about(&format!("l:{list}")));
            lists::add_members(conn, &scribe(), list, &[ann])?;
            assert_eq!(taken(conn), Vec::<String>::new());
            lists::remove_members(conn, &scribe(), list, &[ann])?;
            assert_eq!(taken(conn), about(&format!("l:{list}")));
            conn.write(|conn| tags::add(conn, &[(ann, "vip")]))?;
            assert_eq!(taken(conn), about("t:vip"));
            conn.write(|conn| tags::remove(conn, &[ann], &BTreeSet::from(["vip".to_owned(), "never".to_owned()])))?;
            assert_eq!(taken(conn), about("t:vip"));
            contacts::delete(conn, &scribe(), ann)?;
            assert_eq!(taken(conn), about("*"));
            Ok(())
        }).await.unwrap();
    }

    async fn a_new_contact_is_touched_once_whatever_else_it_gets(db: &Database) {
        let store = open(db).await;
        store.run(Lane::Write, "create", |conn| {
            let list = lists::create(conn, &NewList::named("News"))?.list.id;
            contacts::upsert(conn, &scribe(), &draft("ann@example.com", json!({ "plan": "pro" })), &Joining::list(Some(list)))?;
            assert_eq!(database::number(conn, "SELECT count(*) AS n FROM touches WHERE topic = 'new'"), 1);
            assert_eq!(taken(conn).len(), 1);
            Ok(())
        }).await.unwrap();
    }

    async fn what_is_rolled_back_leaves_no_touch(db: &Database) {
        let store = open(db).await;
        store.run(Lane::Write, "change", |conn| {
            let ann = contact(conn, "ann@example.com", json!({}));
            taken(conn);
            let undone = conn.write(|conn| {
                event(conn, ann, "paid", 0);
                tags::add(conn, &[(ann, "vip")])?;
                Err::<(), _>(StoreError::Closed)
            });
            assert!(undone.is_err());
            assert_eq!(taken(conn), Vec::<String>::new());
            Ok(())
        }).await.unwrap();
    }

    async fn a_large_import_has_its_contacts_evaluated_together_when_it_is_over(db: &Database) {
        let store = open(db).await;
        store.run(Lane::Write, "import", |conn| {
            let mut id = None;
            imports::submit(conn, &imports::NewFile { name: "x.csv", encoding: "utf-8", bytes: 1, format: volley::domain::export::Format::Csv, columns: &[] }, &imports::Target::NoList, &ImportConsent::default(), (None, &[]), None, |row| {
                id = Some(row.id);
                Ok(Answer { status: 202, body: String::new(), location: None })
            })?;
            let id = id.unwrap();
            imports::begin(conn, id, &[], "")?;
            let batch = |number: u64, names: &[&str]| Batch {
                from: (number > 0).then_some(ResumePoint { byte: number, line: number }),
                to: ResumePoint { byte: number + 1, line: number + 1 },
                lines: (1..).take(names.len()).collect(),
                drafts: names.iter().map(|name| draft(&format!("{name}@example.com"), json!({}))).collect(),
                said: Vec::new(),
                rejected_rows: 0,
                rejections: Vec::new(),
                rejected: String::new(),
                dropped_cells: 0,
                dropped: Vec::new(),
                key_headers: ["external_id", "email", "phone"].map(str::to_owned).into(),
                suppressed_rows: 0,
            };
            imports::store_batch(conn, &scribe(), id, &batch(0, &["ann"]), &|_, _| Ok(()))?;
            assert_eq!(taken(conn).len(), 1, "a small one is touched one by one");
            packed::execute(conn, "UPDATE imports SET rows_read = 10000");
            imports::store_batch(conn, &scribe(), id, &batch(1, &["ben", "cem"]), &|_, _| Ok(()))?;
            imports::store_batch(conn, &scribe(), id, &batch(2, &["dora"]), &|_, _| Ok(()))?;
            assert_eq!(taken(conn), Vec::<String>::new());
            let ranges = |conn: &mut Conn| database::number(conn,
                "SELECT count(*) AS n FROM segment_ranges WHERE import_id IS NULL AND last_contact_id - cursor_contact_id = 3");
            assert_eq!(ranges(conn), 0, "it is not over");
            imports::finish(conn, id, None)?;
            assert_eq!(ranges(conn), 1);
            Ok(())
        }).await.unwrap();
    }

    async fn a_list_that_is_deleted_has_all_its_members_evaluated(db: &Database) {
        let store = open(db).await;
        store.run(Lane::Write, "change", |conn| {
            let list = lists::create(conn, &NewList::named("News"))?.list.id;
            let ann = contact(conn, "ann@example.com", json!({}));
            contact(conn, "ben@example.com", json!({}));
            let cem = contact(conn, "cem@example.com", json!({}));
            lists::add_members(conn, &scribe(), list, &[ann, cem])?;
            lists::delete(conn, list)?;
            let query = format!(
                "SELECT count(*) AS n FROM segment_ranges WHERE cursor_contact_id = {} AND last_contact_id = {cem}", ann.0 - 1);
            assert_eq!(database::number(conn, &query), 1);
            Ok(())
        }).await.unwrap();
    }
}
