//! Contacts in batches.

use volley::domain::contact::ContactDraft;
use volley::domain::import::ResumePoint;
use volley::store::idempotency::Answer;
use volley::store::imports::{self, Batch, Submitted};
use volley::store::{Lane, Store, StoreError, contacts};

use crate::support::server::settings;
use crate::support::{Database, both_backends};

async fn open(db: &Database) -> Store {
    let store = Store::open(&settings(db).database).unwrap();
    store.migrate().await.unwrap();
    store
}

fn draft(email: &str) -> ContactDraft {
    ContactDraft { email: Some(email.to_owned()), ..ContactDraft::default() }
}

both_backends! {
    async fn a_batch_that_comes_a_second_time_changes_nothing(db: &Database) {
        let store = open(db).await;
        let import = store.run(Lane::Write, "submit", |conn| {
            let mut id = None;
            let submitted = imports::submit(conn, "x.csv", None, None, |row| {
                id = Some(row.id);
                Ok(Answer { status: 202, body: String::new(), location: None })
            })?;
            assert!(matches!(submitted, Submitted::Stored(_)));
            let id = id.unwrap();
            imports::begin(conn, id, &["tier".to_owned()])?;
            Ok(id)
        }).await.unwrap();
        let batch = Batch {
            from: None,
            to: ResumePoint { byte: 100, line: 3 },
            lines: vec![2, 3],
            drafts: vec![draft("a@example.com"), draft("b@example.com")],
            rejected_rows: 0,
            rejections: Vec::new(),
        };
        let again = batch.clone();
        store.run(Lane::Write, "store", move |conn| imports::store_batch(conn, import, &batch)).await.unwrap();
        let repeated = store.run(Lane::Write, "store", move |conn| imports::store_batch(conn, import, &again)).await;
        assert!(matches!(repeated, Err(StoreError::Stale { .. })), "{repeated:?}");
        let row = store.run(Lane::Read, "read", move |conn| imports::find(conn, import)).await.unwrap().unwrap();
        assert_eq!((row.rows_read, row.rows_created, row.byte_offset, row.line), (2, 2, 100, 3));
        let known = store.run(Lane::Read, "read", volley::store::attributes::known).await.unwrap();
        assert!(known.contains("tier"));
    }

    async fn concurrent_requests_about_one_person_make_one_contact(db: &Database) {
        let store = open(db).await;
        let all = (0..8).map(|_| {
            store.run(Lane::Write, "store", |conn| {
                Ok(match contacts::upsert(conn, &draft("ann@example.com"))? {
                    contacts::Upserted::Created(row) => (true, row.id),
                    contacts::Upserted::Updated(row) => (false, row.id),
                    contacts::Upserted::Conflict(ids) => panic!("a conflict with {ids:?}"),
                })
            })
        });
        let all: Vec<_> = futures_util::future::join_all(all).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(all.iter().filter(|(created, _)| *created).count(), 1, "{all:?}");
        assert!(all.iter().all(|(_, id)| *id == all[0].1), "{all:?}");
    }

    async fn ids_that_are_no_contacts_are_named_in_order(db: &Database) {
        use volley::domain::ids::ContactId;
        let store = open(db).await;
        let missing = store.run(Lane::Write, "look", |conn| {
            let contacts::Upserted::Created(row) = contacts::upsert(conn, &draft("a@example.com"))? else { panic!("known") };
            let mut ids: Vec<_> = (1..2_500).rev().map(ContactId).collect();
            ids.push(row.id);
            Ok((row.id, contacts::missing(conn, &ids)?))
        }).await.unwrap();
        let (there, missing) = missing;
        assert_eq!(missing.len(), 2_498);
        assert!(missing.is_sorted() && !missing.contains(&there));
    }
}
