//! Old rows go, and those that somebody still needs stay.

use volley::services::replicas::prune_replicas::prune_replicas;
use volley::store::dispatch::housekeeping;
use volley::store::{Conn, Lane};

use super::packed::{Campaign, execute, number, write};
use crate::support::both_backends;

both_backends! {
    async fn old_instances_receipts_and_rates_go_unless_a_page_is_in_their_name(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        let prepare = |conn: &mut Conn| {
            // 1 holds the page that is leased below, 2 is long gone, 3 lives.
            execute(
                conn,
                "INSERT INTO instances (id, slot, host, version, boot_id, started_at, last_seen_at) VALUES \
                 (1, 'a', '', '', '', 0, 0), (2, 'b', '', '', '', 0, 0), (3, 'c', '', '', '', 0, 9999999999999); \
                 INSERT INTO notices (scope, subject, version, instance_id, action, noted_at) VALUES \
                 ('campaign', '1', 1, 3, 'pause', 0), ('campaign', '2', 1, 3, 'pause', 9999999999999); \
                 INSERT INTO rate_buckets (scope, tokens, counted_at) VALUES \
                 ('campaign:1', 0, 0), ('campaign:2', 0, 9999999999999)",
            );
            Ok(())
        };
        write(&campaign.store, prepare).await.unwrap();
        campaign.lease().await.unwrap();
        prune_replicas(&campaign.store).await.unwrap();
        let left = |conn: &mut Conn| {
            Ok((
                number(conn, "SELECT CAST(sum(id) AS BIGINT) AS n FROM instances"),
                number(conn, "SELECT count(*) AS n FROM notices"),
                number(conn, "SELECT count(*) AS n FROM notices WHERE subject = '2'"),
                number(conn, "SELECT count(*) AS n FROM rate_buckets WHERE scope = 'campaign:2'"),
                number(conn, "SELECT count(*) AS n FROM rate_buckets"),
            ))
        };
        assert_eq!(campaign.store.run(Lane::Read, "look", left).await.unwrap(), (4, 1, 1, 1, 1));
    }

    async fn many_old_rows_go_in_small_transactions(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let prepare = |conn: &mut Conn| {
            execute(
                conn,
                "INSERT INTO instances (id, slot, host, version, boot_id, started_at, last_seen_at) \
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) \
                 SELECT i, 'a', '', '', '', 0, i FROM n",
            );
            execute(
                conn,
                "INSERT INTO instances (id, slot, host, version, boot_id, started_at, last_seen_at) VALUES \
                 (2000, 'c', '', '', '', 0, 9999999999999)",
            );
            execute(
                conn,
                "INSERT INTO notices (scope, subject, version, instance_id, action, noted_at) \
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) \
                 SELECT 'campaign', '1', i, 2000, 'pause', i FROM n",
            );
            execute(
                conn,
                "INSERT INTO idempotency_keys (scope, key, request_hash, holder, status, body, created_at) \
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) \
                 SELECT 'root', 'k' || i, '', 0, 200, '', CASE WHEN i = 1200 THEN 9999999999999 ELSE i END FROM n",
            );
            Ok(())
        };
        write(&campaign.store, prepare).await.unwrap();
        let count = |table: &'static str| {
            let store = campaign.store.clone();
            async move {
                let sql = format!("SELECT count(*) AS n FROM {table}");
                store.run(Lane::Read, "count", move |conn| Ok(number(conn, &sql))).await.unwrap()
            }
        };
        assert!(write(&campaign.store, housekeeping::prune_instances).await.unwrap(), "there are more");
        assert_eq!(count("instances").await, 1_201 - housekeeping::PORTION, "one transaction removes a portion");
        assert!(write(&campaign.store, housekeeping::prune_receipts).await.unwrap(), "there are more");
        assert_eq!(count("notices").await, 1_200 - housekeeping::PORTION, "one transaction removes a portion");
        prune_replicas(&campaign.store).await.unwrap();
        let left = (count("instances").await, count("notices").await, count("idempotency_keys").await);
        assert_eq!(left, (1, 0, 1), "the living one stays, and the answer that is kept still");
    }
}
