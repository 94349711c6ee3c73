//! Contacts in batches.

use diesel::RunQueryDsl;
use volley::domain::import::ResumePoint;
use volley::domain::people::consent::Source;
use volley::domain::people::contact::{ContactDraft, Fields};
use volley::store::engine::idempotency::Answer;
use volley::store::import::imports::{self, Batch, ImportConsent, Submitted};
use volley::store::people::consent::{Ledger, Scribe};
use volley::store::people::contacts::Joining;
use volley::store::people::lists::NewList;
use volley::store::people::{contacts, lists};
use volley::store::{Conn, Lane, StoreError, engine};

use super::open;
use crate::support::both_backends;

fn scribe() -> Scribe {
    Scribe::of(Source::API)
}

fn draft(email: &str) -> ContactDraft {
    let fields = Fields { email: Some(email.to_owned()), ..Fields::default() };
    ContactDraft { fields, ..ContactDraft::default() }
}

both_backends! {
    async fn a_batch_that_comes_a_second_time_changes_nothing(db: &Database) {
        let store = open(db).await;
        let import = store.run(Lane::Write, "submit", |conn| {
            let mut id = None;
            let submitted = imports::submit(conn, &imports::NewFile { name: "x.csv", encoding: "utf-8", bytes: 1, format: volley::domain::export::Format::Csv, columns: &[] }, &imports::Target::NoList, &ImportConsent::default(), (None, &[]), None, |row| {
                id = Some(row.id);
                Ok(Answer { status: 202, body: String::new(), location: None })
            })?;
            assert!(matches!(submitted, Submitted::Stored(_)));
            let id = id.unwrap();
            imports::begin(conn, id, &["tier".to_owned()], "")?;
            Ok(id)
        }).await.unwrap();
        let batch = Batch {
            from: None,
            to: ResumePoint { byte: 100, line: 3 },
            lines: vec![2, 3],
            drafts: vec![draft("a@example.com"), draft("b@example.com")],
            said: Vec::new(),
            rejected_rows: 0,
            rejections: Vec::new(),
                rejected: String::new(),
                dropped_cells: 0,
                dropped: Vec::new(),
                key_headers: ["external_id", "email", "phone"].map(str::to_owned).into(),
                suppressed_rows: 0,
        };
        let again = batch.clone();
        store.run(Lane::Write, "store", move |conn| imports::store_batch(conn, &scribe(), import, &batch, &|_, _| Ok(()))).await.unwrap();
        let repeated = store.run(Lane::Write, "store", move |conn| imports::store_batch(conn, &scribe(), import, &again, &|_, _| Ok(()))).await;
        assert!(matches!(repeated, Err(StoreError::Stale { .. })), "{repeated:?}");
        let row = store.run(Lane::Read, "read", move |conn| imports::find(conn, import)).await.unwrap().unwrap();
        assert_eq!((row.rows_read, row.rows_created, row.byte_offset, row.line), (2, 2, 100, 3));
        let known = store.run(Lane::Read, "read", volley::store::people::attributes::known).await.unwrap();
        assert!(known.contains("tier"));
    }

    async fn concurrent_requests_about_one_person_make_one_contact(db: &Database) {
        let store = open(db).await;
        let all = (0..8).map(|_| {
            store.run(Lane::Write, "store", |conn| {
                Ok(match contacts::upsert(conn, &scribe(), &draft("ann@example.com"), &Joining::NOTHING)? {
                    contacts::Upserted::Created(row, _) => (true, row.id),
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
            let upserted = contacts::upsert(conn, &scribe(), &draft("a@example.com"), &Joining::NOTHING)?;
            let contacts::Upserted::Created(row, _) = upserted else { panic!("known") };
            let mut ids: Vec<_> = (1..2_500).rev().map(ContactId).collect();
            ids.push(row.id);
            Ok((row.id, contacts::missing(conn, &ids)?))
        }).await.unwrap();
        let (there, missing) = missing;
        assert_eq!(missing.len(), 2_498);
        assert!(missing.is_sorted() && !missing.contains(&there));
    }

    async fn who_is_put_on_a_list_that_is_just_deleted_is_on_none(db: &Database) {
        let store = open(db).await;
        for round in 0..30 {
            let list = store.run(Lane::Write, "make", move |conn| lists::create(conn, &NewList::named(&format!("list {round}")))).await;
            let list = list.unwrap().list.id;
            let people: Vec<_> = (0..50).map(|n| draft(&format!("p{round}-{n}@example.com"))).collect();
            let added = store.run(Lane::Write, "add", move |conn| {
                conn.write(|conn| {
                    let now = engine::now(conn)?;
                    let scribe = scribe();
                    let mut ledger = Ledger::new(&scribe);
                    contacts::apply(conn, &mut ledger, &people, &Joining::list(Some(list)), now)?;
                    ledger.close(conn)
                })
            });
            let deleted = store.run(Lane::Control, "delete", move |conn| lists::delete(conn, list));
            let (added, deleted) = futures_util::future::join(added, deleted).await;
            added.unwrap();
            assert_eq!(deleted.unwrap(), lists::Deleted::Done);
        }
        let left = store.run(Lane::Read, "count", |conn| {
            list_members(conn).map_err(StoreError::query("count members"))
        });
        assert_eq!(left.await.unwrap(), 0);
    }
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    n: i64,
}

fn list_members(conn: &mut Conn) -> diesel::QueryResult<i64> {
    let count = diesel::sql_query("SELECT count(*) AS n FROM list_members");
    let row: Count = match conn {
        Conn::Pg(conn) => count.get_result(conn)?,
        Conn::Sqlite(conn) => count.get_result(conn)?,
    };
    Ok(row.n)
}
