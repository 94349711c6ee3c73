//! Old rows go, and those that somebody still needs stay.

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
        assert_eq!(campaign.store.run(Lane::Write, "tidy", housekeeping::tidy).await.unwrap(), 3);
        let left = |conn: &mut Conn| {
            Ok((
                number(conn, "SELECT CAST(sum(id) AS BIGINT) AS n FROM instances"),
                number(conn, "SELECT count(*) AS n FROM notices WHERE subject = '2'"),
                number(conn, "SELECT count(*) AS n FROM rate_buckets WHERE scope = 'campaign:2'"),
                number(conn, "SELECT count(*) AS n FROM rate_buckets"),
            ))
        };
        assert_eq!(campaign.store.run(Lane::Read, "look", left).await.unwrap(), (4, 1, 1, 1));
    }
}
