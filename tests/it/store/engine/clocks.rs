//! The database's clock goes back: what was written before it did lies in the future.

use std::time::Duration;

use volley::domain::ids::{InstanceId, PageId};
use volley::store::replicas::instances::{self, Doubtful};
use volley::store::replicas::rates::{self, Grant, Limit};
use volley::store::{Conn, Lane};

use crate::store::dispatch::packed::{Campaign, execute, write};
use crate::support::{Database, both_backends};

const LEASE: Duration = Duration::from_secs(60);

async fn look(campaign: &Campaign) -> Doubtful {
    let look = |conn: &mut Conn| instances::doubtful_leases(conn, InstanceId(99), PageId(0), LEASE);
    campaign.store.run(Lane::Read, "test", look).await.unwrap()
}

async fn sql(campaign: &Campaign, sql: &'static str) {
    let run = move |conn: &mut Conn| {
        execute(conn, sql);
        Ok(())
    };
    write(&campaign.store, run).await.unwrap();
}

async fn take(campaign: &Campaign) -> Grant {
    let limit = Limit { scope: "pool:main".to_owned(), rate: 1_000.0, burst: 1.0 };
    write(&campaign.store, move |conn| rates::take(conn, &limit)).await.unwrap()
}

both_backends! {
    async fn a_rate_goes_on_after_the_clock_went_back(db: &Database) {
        let campaign = Campaign::launched(db, 1).await;
        assert!(take(&campaign).await.tokens > 0.0);
        sql(&campaign, "UPDATE rate_buckets SET tokens = 0, counted_at = counted_at + 3600000").await;
        assert!(take(&campaign).await.tokens == 0.0, "nothing comes in for the time that is counted twice");
        let began = std::time::Instant::now();
        while take(&campaign).await.tokens == 0.0 {
            assert!(began.elapsed() < Duration::from_secs(5), "the rate stands still");
        }
    }

    async fn a_lease_from_the_future_has_expired(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        campaign.lease().await.unwrap();
        assert!(look(&campaign).await.leases.is_empty(), "it is held");
        sql(&campaign, "UPDATE pages SET lease_until = lease_until + 3600000").await;
        let found = look(&campaign).await;
        assert_eq!(found.leases.len(), 1);
        assert!(found.has_expired(&found.leases[0]));
    }
}

#[test]
fn an_instance_whose_heartbeat_is_from_the_future_is_silent() {
    let Some(db) = Database::postgres("an_instance_whose_heartbeat_is_from_the_future_is_silent") else { return };
    actix_rt::System::new().block_on(async move {
        let campaign = Campaign::packed(&db, 1, 10).await;
        campaign.lease().await.unwrap();
        sql(
            &campaign,
            "INSERT INTO instances (id, slot, host, version, boot_id, started_at, last_seen_at) \
             VALUES (1, 'slot', '', '', 'boot', 0, (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT)",
        )
        .await;
        assert!(look(&campaign).await.gone.is_empty());
        sql(&campaign, "UPDATE instances SET last_seen_at = last_seen_at + 3600000").await;
        assert_eq!(look(&campaign).await.gone, [InstanceId(1)]);
    });
}
