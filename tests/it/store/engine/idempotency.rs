//! Idempotency keys.

use volley::store::engine::idempotency::{Answer, Key, Recall, recall, release, remember};
use volley::store::{Lane, Store, StoreError};

use crate::support::server::settings;
use crate::support::{Database, both_backends};

async fn open(db: &Database) -> Store {
    let store = Store::open(&settings(db).database).unwrap();
    store.migrate().await.unwrap();
    store
}

fn key(hash: &str) -> Key {
    Key::new("test", "k".to_owned(), hash.to_owned())
}

/// Runs an effect under a key, the way a handler does.
async fn once(store: &Store, hash: &str, body: &str) -> Result<Recall, StoreError> {
    let (key, body) = (key(hash), body.to_owned());
    store
        .run(Lane::Write, "once", move |conn| {
            conn.write(|conn| {
                let known = recall(conn, &key)?;
                if known == Recall::New {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    remember(conn, &key, &Answer { status: 202, body, location: None })?;
                }
                Ok(known)
            })
        })
        .await
}

both_backends! {
    async fn a_key_answers_the_same_again_and_refuses_another_request(db: &Database) {
        let store = open(db).await;
        assert_eq!(once(&store, "h1", "first").await.unwrap(), Recall::New);
        let answered = Recall::Answered(Answer { status: 202, body: "first".to_owned(), location: None });
        assert_eq!(once(&store, "h1", "second").await.unwrap(), answered);
        assert_eq!(once(&store, "h2", "third").await.unwrap(), Recall::Reused);
    }

    async fn of_concurrent_requests_with_one_key_one_has_the_effect(db: &Database) {
        let store = open(db).await;
        let all = futures_util::future::join_all((0..5).map(|_| once(&store, "h", "x"))).await;
        let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
        assert_eq!(all.iter().filter(|known| **known == Recall::New).count(), 1, "{all:?}");
        assert!(all.iter().all(|known| *known != Recall::Reused));
    }

    async fn only_whoever_reserved_a_key_answers_under_it_or_lets_go_of_it(db: &Database) {
        let store = open(db).await;
        let (holder, stranger) = (key("h"), key("h"));
        let known = |key: &Key| {
            let key = key.clone();
            store.run(Lane::Write, "recall", move |conn| conn.write(|conn| recall(conn, &key)))
        };
        assert_eq!(known(&holder).await.unwrap(), Recall::New);
        store.run(Lane::Write, "meddle", move |conn| {
            release(conn, &stranger)?;
            remember(conn, &stranger, &Answer { status: 202, body: "not its own".to_owned(), location: None })
        }).await.unwrap();
        assert_eq!(known(&holder).await.unwrap(), Recall::UnderWay);
        let own = holder.clone();
        store.run(Lane::Write, "let go", move |conn| release(conn, &own)).await.unwrap();
        assert_eq!(known(&holder).await.unwrap(), Recall::New);
    }

    async fn a_request_that_failed_leaves_its_key_free(db: &Database) {
        let store = open(db).await;
        let failed: Result<(), StoreError> = store.run(Lane::Write, "fail", |conn| {
            conn.write(|conn| {
                recall(conn, &key("h"))?;
                Err(StoreError::Stale { what: "the effect" })
            })
        }).await;
        assert!(failed.is_err());
        assert_eq!(once(&store, "other", "x").await.unwrap(), Recall::New);
    }
}
