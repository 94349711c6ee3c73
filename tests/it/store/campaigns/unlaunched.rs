//! Campaigns that ended without ever being launched.

use volley::domain::campaigns::{CampaignStatus, OnUncertain};
use volley::domain::channel::ChannelKind;
use volley::domain::content::category::Category;
use volley::domain::instant::UtcInstant;
use volley::store::campaigns::{self, NewCampaign, Sweep, TransitionError};
use volley::store::{Conn, Lane, Store};

use crate::support::both_backends;
use crate::support::server::settings;

fn scheduled() -> NewCampaign {
    NewCampaign {
        name: "spring".to_owned(),
        channel: ChannelKind::Email,
        status: CampaignStatus::Scheduled,
        pool: None,
        template_id: None,
        template_version_id: None,
        audience: None,
        on_uncertain: OnUncertain::Hold,
        rate_per_second: None,
        retry_for_ms: None,
        scheduled_at: Some(UtcInstant(1)),
        category: Category::Marketing,
        topic_id: None,
        tracking: None,
        created_at: UtcInstant(0),
        updated_at: UtcInstant(0),
    }
}

both_backends! {
    async fn a_campaign_whose_launch_failed_is_not_reopened(db: &Database) {
        let store = Store::open(&settings(db).database).unwrap();
        store.migrate().await.unwrap();
        let reopen = |conn: &mut Conn| {
            let id = campaigns::insert(conn, &scheduled())?.id;
            let failed = conn.write(|conn| {
                campaigns::end_unlaunched(conn, id, "pool_missing", "no pool is configured")
            });
            assert_eq!(failed.unwrap().status, CampaignStatus::Failed);
            for sweep in [None, Some(Sweep::RetryFailed)] {
                let refused = conn.write(|conn| campaigns::reopen(conn, id, sweep)).unwrap_err();
                assert!(matches!(refused, TransitionError::Illegal(_)), "{refused}");
            }
            campaigns::find(conn, id)
        };
        let campaign = store.run(Lane::Control, "re-open a campaign", reopen).await.unwrap().unwrap();
        assert_eq!(campaign.status, CampaignStatus::Failed);
    }
}
