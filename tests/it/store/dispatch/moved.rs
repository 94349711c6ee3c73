//! A campaign that got another pool while it was paused: its pages, and who is in doubt on them.

use std::time::Duration;

use volley::domain::campaigns::CampaignEvent;
use volley::domain::dispatch::fingerprint::ProviderFingerprint;
use volley::domain::dispatch::settlement::{Settlement, Verdict};
use volley::store::campaigns;
use volley::store::dispatch::claims::{ClaimOutcome, Claimed};
use volley::store::dispatch::sweeps::Swept;
use volley::store::dispatch::{pages, pool_moves};

use super::packed::{Campaign, Leased, PROVIDER, execute, number, record, transact, write};
use crate::support::both_backends;

/// Another provider than [`PROVIDER`].
const OTHER: ProviderFingerprint = ProviderFingerprint(2 << 32 | 1);

/// An attempt that went unanswered.
fn unanswered(leased: &Leased, claimed: &Claimed) -> Settlement {
    let verdict = Verdict { counted: true, ambiguous: true, ..Verdict::untouched() };
    Settlement { key_valid_ms: Some(3_600_000), ..leased.settlement(claimed, verdict) }
}

impl Leased {
    /// Ends the lease: its owner has nothing in flight.
    async fn settle(&self) {
        let (page, token) = (self.page.id, self.token);
        write(&self.campaign.store, move |conn| pages::settle(conn, page, token, Duration::ZERO)).await.unwrap();
    }
}

impl Campaign {
    /// Gives the paused campaign a pool of this name with that provider.
    async fn change_pool(&self, pool: &'static str, provider: ProviderFingerprint) {
        let id = self.id;
        let change = move |conn: &mut volley::store::Conn| {
            let row = campaigns::locked(conn, id)?;
            pool_moves::begin(conn, &row, provider)?;
            let pool = campaigns::CampaignChange { pool: Some(Some(pool.to_owned())), ..Default::default() };
            Ok(campaigns::edit(conn, &row, &pool)?)
        };
        assert_eq!(transact(&self.store, change).await.unwrap().pool.as_deref(), Some(pool));
    }

    async fn move_page(&self) -> Swept {
        let id = self.id;
        write(&self.store, move |conn| pool_moves::move_page(conn, id)).await.unwrap()
    }

    async fn sql(&self, sql: &'static str) {
        let run = move |conn: &mut volley::store::Conn| {
            execute(conn, sql);
            Ok(())
        };
        write(&self.store, run).await.unwrap();
    }

    async fn count(&self, query: &'static str) -> i64 {
        write(&self.store, move |conn| Ok(number(conn, query))).await.unwrap()
    }
}

both_backends! {
    async fn a_change_of_pool_goes_on_where_it_was_cut_off_and_settles_who_is_in_doubt(db: &Database) {
        let campaign = Campaign::packed(db, 12, 4).await;
        let mut leases = Vec::new();
        for _ in 0..3 {
            leases.push(campaign.lease().await.unwrap());
        }
        // On each page one is in doubt, and one waits for another try that is not.
        for leased in &leases {
            let claimed = leased.claim(2).await;
            let put_off = leased.settlement(&claimed[1], Verdict::untouched());
            record(&campaign.store, vec![unanswered(leased, &claimed[0]), put_off]).await.unwrap();
        }
        campaign.event(CampaignEvent::Pause).await.unwrap();
        for leased in &leases[..2] {
            leased.settle().await;
        }
        campaign.change_pool("other", OTHER).await;
        assert!(matches!(campaign.move_page().await, Swept::Page(_)));
        // The process ends here, and another one goes on.
        assert_eq!((campaign.books().await.uncertain, campaign.books().await.pending), (1, 11));
        assert!(matches!(campaign.move_page().await, Swept::Page(_)));
        // The former pool records what it still has in flight, and the pass waits for it.
        assert_eq!(campaign.move_page().await, Swept::Waits);
        assert_eq!(campaign.books().await.uncertain, 2);
        leases[2].settle().await;
        assert!(matches!(campaign.move_page().await, Swept::Page(_)));
        assert_eq!(campaign.move_page().await, Swept::Done);
        let books = campaign.books().await;
        assert_eq!((books.uncertain, books.pending), (3, 9));
        assert_eq!(campaign.count("SELECT count(*) AS n FROM pages WHERE pool = 'other' AND announced_at IS NULL").await, 3);
        assert_eq!(campaign.count("SELECT count(*) AS n FROM packings WHERE move_page_id IS NOT NULL").await, 0);
        assert_eq!(campaign.count("SELECT CAST(sum(n) AS BIGINT) AS n FROM campaign_reasons WHERE state = 'uncertain'").await, 3);
        assert_eq!(campaign.count("SELECT CAST(sum(uncertain) AS BIGINT) AS n FROM campaign_minutes").await, 3);
    }

    async fn a_page_of_a_campaign_that_got_another_pool_is_not_sent_by_the_former_one(db: &Database) {
        let campaign = Campaign::packed(db, 8, 4).await;
        let held = campaign.lease().await.unwrap();
        let claimed = held.claim(1).await;
        record(&campaign.store, vec![unanswered(&held, &claimed[0])]).await.unwrap();
        campaign.event(CampaignEvent::Pause).await.unwrap();
        campaign.change_pool("other", OTHER).await;
        campaign.event(CampaignEvent::Resume).await.unwrap();
        // Before the pass has come to any page.
        assert!(campaign.lease().await.is_none(), "a message that is out of date leases nothing");
        assert!(matches!(held.try_claim(4).await.unwrap(), ClaimOutcome::Moved), "nor does an old lease claim");
        held.settle().await;
        let taken = campaign.lease_for("other").await.unwrap();
        assert_eq!((taken.page.pool.as_str(), taken.page.id), ("other", held.page.id));
        let claimed = taken.claim_for(OTHER, 4).await;
        assert_eq!(claimed.len(), 3, "the one in doubt is not asked for again");
        let books = campaign.books().await;
        assert_eq!((books.uncertain, books.sending), (1, 3));
        assert!(matches!(campaign.move_page().await, Swept::Page(_)), "what is leased by now is passed over");
    }

    async fn who_agreed_to_messages_that_come_twice_waits_on_through_another_pool(db: &Database) {
        let campaign = Campaign::packed(db, 2, 4).await;
        campaign.sql("UPDATE campaigns SET on_uncertain = 'resend'").await;
        let held = campaign.lease().await.unwrap();
        let claimed = held.claim(1).await;
        record(&campaign.store, vec![unanswered(&held, &claimed[0])]).await.unwrap();
        campaign.event(CampaignEvent::Pause).await.unwrap();
        held.settle().await;
        campaign.change_pool("other", OTHER).await;
        while campaign.move_page().await != Swept::Done {}
        campaign.event(CampaignEvent::Resume).await.unwrap();
        assert_eq!(campaign.books().await.pending, 2);
        assert_eq!(campaign.lease_for("other").await.unwrap().claim_for(OTHER, 4).await.len(), 2);
    }

    async fn another_pool_of_the_same_provider_may_repeat_an_attempt(db: &Database) {
        let campaign = Campaign::packed(db, 1, 4).await;
        let held = campaign.lease().await.unwrap();
        let claimed = held.claim(1).await;
        record(&campaign.store, vec![unanswered(&held, &claimed[0])]).await.unwrap();
        campaign.event(CampaignEvent::Pause).await.unwrap();
        held.settle().await;
        campaign.change_pool("other", PROVIDER).await;
        while campaign.move_page().await != Swept::Done {}
        assert_eq!(campaign.books().await.pending, 1);
    }
}
