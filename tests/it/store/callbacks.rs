//! Callbacks: stored once, taken by one reader at a time, and removed by age.

use std::collections::BTreeSet;

use volley::domain::callbacks::Format;
use volley::domain::ids::CallbackId;
use volley::services::callbacks::prune_callbacks::prune_callbacks;
use volley::store::callbacks::{self, NewCallback, Replayed};
use volley::store::{Conn, Lane, Store, StoreError};

use crate::support::server::settings;
use crate::support::{Database, both_backends};

async fn migrated(db: &Database) -> Store {
    let store = Store::open(&settings(db).database).unwrap();
    store.migrate().await.unwrap();
    store
}

async fn write<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&mut Conn) -> Result<T, StoreError> + Send + 'static,
) -> T {
    store.transact(Lane::Write, "test", work).await.unwrap()
}

async fn stored(store: &Store, pool: &str, key: &str) -> bool {
    let new = NewCallback {
        pool: pool.to_owned(),
        format: Format::StandardWebhooks,
        content_type: "application/json".to_owned(),
        key: key.to_owned(),
        body: "{}".to_owned(),
    };
    write(store, move |conn| callbacks::store(conn, &new)).await
}

async fn taken(store: &Store, limit: i64, for_ms: i64) -> Vec<CallbackId> {
    let taken = write(store, move |conn| callbacks::take(conn, limit, for_ms)).await;
    taken.into_iter().map(|callback| callback.id).collect()
}

async fn failed(store: &Store, id: CallbackId, waits: [i64; 2]) -> bool {
    write(store, move |conn| callbacks::fail(conn, id, "a reason", &waits)).await
}

both_backends! {
    async fn of_each_pool_a_callback_is_stored_once(db: &Database) {
        let store = migrated(db).await;
        assert!(stored(&store, "a", "1").await && stored(&store, "a", "2").await && stored(&store, "b", "1").await);
        assert!(!stored(&store, "a", "1").await);
        let id = taken(&store, 1, 0).await[0];
        write(&store, move |conn| callbacks::finish(conn, &[id])).await;
        assert!(!stored(&store, "a", "1").await, "it is remembered when it is done");
        assert_eq!(db.number("SELECT count(*) AS n FROM callbacks"), 3);
    }

    async fn a_callback_is_taken_by_one_reader_at_a_time_and_again_when_that_one_is_gone(db: &Database) {
        let store = migrated(db).await;
        for n in 0..40 {
            assert!(stored(&store, "a", &n.to_string()).await);
        }
        let (one, other) = tokio::join!(taken(&store, 20, 60_000), taken(&store, 20, 60_000));
        let both: BTreeSet<CallbackId> = one.iter().chain(&other).copied().collect();
        assert_eq!((one.len(), other.len(), both.len()), (20, 20, 40));
        assert!(taken(&store, 20, 60_000).await.is_empty());
        db.execute("UPDATE callbacks SET next_attempt_at = next_attempt_at - 60000 WHERE id <= 3");
        assert_eq!(taken(&store, 20, 0).await.len(), 3);
    }

    async fn a_callback_has_failed_after_three_attempts_and_may_be_replayed(db: &Database) {
        let store = migrated(db).await;
        assert!(stored(&store, "a", "1").await);
        let id = taken(&store, 1, 0).await[0];
        assert!(!failed(&store, id, [60_000, 0]).await);
        assert!(taken(&store, 1, 0).await.is_empty(), "it waits for its next attempt");
        assert!(!failed(&store, id, [60_000, 0]).await);
        assert_eq!(taken(&store, 1, 0).await, [id]);
        assert!(failed(&store, id, [60_000, 0]).await);
        let list = store.run(Lane::Read, "test", |conn| callbacks::failed(conn, Some("a"), None, 10)).await.unwrap();
        assert_eq!((list[0].attempts, list[0].error.as_deref()), (3, Some("a reason")));
        let none = store.run(Lane::Read, "test", |conn| callbacks::failed(conn, Some("b"), None, 10)).await.unwrap();
        assert!(none.is_empty());
        let replay = |id: i64| write(&store, move |conn| callbacks::replay(conn, CallbackId(id)));
        assert_eq!((replay(id.0).await, replay(id.0).await, replay(4711).await), (Replayed::Again, Replayed::NotFailed, Replayed::Unknown));
        assert!(!failed(&store, id, [60_000, 0]).await, "all attempts are there again");
    }

    async fn callbacks_go_by_age_unless_they_are_still_to_be_read(db: &Database) {
        let store = migrated(db).await;
        for (key, state) in [("old", "done"), ("bad", "failed"), ("waiting", "pending"), ("new", "done")] {
            assert!(stored(&store, "a", key).await);
            db.execute(&format!("UPDATE callbacks SET state = '{state}' WHERE key = '{key}'"));
        }
        db.execute("UPDATE callbacks SET received_at = received_at - 8 * 86400000 WHERE key <> 'new'");
        prune_callbacks(&store, 7).await.unwrap();
        assert_eq!(db.number("SELECT count(*) AS n FROM callbacks WHERE key IN ('new', 'waiting')"), 2);
        assert_eq!(db.number("SELECT count(*) AS n FROM callbacks"), 2);
    }
}
