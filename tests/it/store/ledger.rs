//! One delivery's rules, one at a time: fences, repeats, late evidence.

use std::time::Duration;

use volley::domain::campaign::{CampaignEvent, CampaignStatus};
use volley::domain::delivery::ErrorCategory;
use volley::domain::outcome::{Outcome, Trouble};
use volley::store::claims::ClaimOutcome;
use volley::store::lost_leases::{self, Evidence, Repeat};
use volley::store::outcomes::ClaimKey;
use volley::store::pages::{self, Settled};

use super::packed::{Campaign, Leased, accepted, record, transact, verdict, write};
use crate::support::both_backends;

const UNKEYED: Repeat = Repeat { key_valid_ms: None, on_the_wire_ms: 1_000, max_attempts: 4 };

async fn end_lease(leased: &Leased, evidence: fn(ClaimKey) -> Evidence) -> Option<lost_leases::Ended> {
    let (campaign, page, token) = (leased.campaign.id, leased.id(), leased.token);
    let ended = write(&leased.campaign.store, move |conn| {
        lost_leases::end_lease(conn, campaign, page, token, UNKEYED, &evidence)
    });
    ended.await.unwrap()
}

async fn settle(leased: &Leased) -> Settled {
    let (page, token) = (leased.id(), leased.token);
    write(&leased.campaign.store, move |conn| pages::settle(conn, page, token, Duration::ZERO)).await.unwrap()
}

fn deferred() -> Outcome {
    Outcome::Deferred { trouble: Trouble::new(ErrorCategory::ProviderError, "451 later"), retry_after: None }
}

both_backends! {
    async fn a_batch_recorded_again_after_an_unanswered_commit_changes_nothing(db: &Database) {
        let campaign = Campaign::packed(db, 100, 100).await;
        let leased = campaign.lease().await.unwrap();
        let batch = leased.accepted(&leased.claim(40).await);
        assert_eq!(record(&campaign.store, batch.clone()).await.unwrap().changed, 40);
        let books = campaign.books().await;
        assert_eq!((books.sent, books.pending), (40, 60));
        assert_eq!(record(&campaign.store, batch).await.unwrap().changed, 0);
        assert_eq!(campaign.books().await, books);
    }

    async fn a_claim_whose_commit_went_unanswered_is_given_back(db: &Database) {
        let campaign = Campaign::packed(db, 100, 100).await;
        let leased = campaign.lease().await.unwrap();
        // The owner never saw the answer, so it begins nothing and ends the lease.
        leased.claim(64).await;
        assert_eq!(campaign.books().await.sending, 64);
        assert!(matches!(settle(&leased).await, Settled::Ready(_)));
        assert_eq!(campaign.books().await.pending, 100);
        let next = campaign.lease().await.unwrap();
        assert_eq!(next.claim(100).await.len(), 100);
    }

    async fn an_outcome_of_an_earlier_claim_settles_no_later_one(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let first = campaign.lease().await.unwrap();
        let earlier = first.claim(1).await;
        assert!(matches!(settle(&first).await, Settled::Ready(_)));
        let second = campaign.lease().await.unwrap();
        let later = second.claim(1).await;
        assert!(later[0].claim_no > earlier[0].claim_no);
        let refused = Outcome::Rejected(Trouble::new(ErrorCategory::Refused, "550 no"));
        let stale = vec![first.settlement(&earlier[0], verdict(&refused))];
        assert_eq!(record(&campaign.store, stale).await.unwrap().changed, 0);
        assert_eq!(record(&campaign.store, second.accepted(&later)).await.unwrap().changed, 1);
        assert_eq!(campaign.books().await.sent, 1);
    }

    async fn evidence_that_comes_late_turns_uncertain_into_the_truth(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(3).await;
        let ended = end_lease(&leased, |_| Evidence::Ambiguous).await.unwrap();
        assert_eq!(ended.uncertain, 3);
        assert_eq!(campaign.books().await.uncertain, 3);
        let late = vec![
            leased.settlement(&claimed[0], verdict(&accepted())),
            leased.settlement(&claimed[1], verdict(&deferred())),
        ];
        assert_eq!(record(&campaign.store, late).await.unwrap().changed, 2);
        let books = campaign.books().await;
        assert_eq!((books.sent, books.pending, books.uncertain), (1, 1, 1));
    }

    async fn a_lease_ends_once(db: &Database) {
        let campaign = Campaign::packed(db, 10, 10).await;
        let leased = campaign.lease().await.unwrap();
        leased.claim(10).await;
        assert_eq!(end_lease(&leased, |_| Evidence::NotBegun).await.unwrap().given_back, 10);
        assert_eq!(end_lease(&leased, |_| Evidence::Ambiguous).await, None);
        assert_eq!(settle(&leased).await, Settled::Lost);
        assert!(matches!(leased.try_claim(10).await.unwrap(), ClaimOutcome::Lost));
        assert_eq!(campaign.books().await.pending, 10);
    }

    async fn a_retry_that_comes_back_after_a_stop_is_skipped(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(1).await;
        campaign.event(CampaignEvent::Stop).await.unwrap();
        let retry = vec![leased.settlement(&claimed[0], verdict(&deferred()))];
        record(&campaign.store, retry).await.unwrap();
        settle(&leased).await;
        let books = campaign.books().await;
        assert_eq!((books.skipped, books.pending), (2, 0));
    }

    async fn a_campaign_with_an_open_page_is_not_completed(db: &Database) {
        let campaign = Campaign::packed(db, 2, 1).await;
        let id = campaign.id;
        let first = campaign.lease().await.unwrap();
        record(&campaign.store, first.accepted(&first.claim(1).await)).await.unwrap();
        assert!(matches!(settle(&first).await, Settled::Done(_)));
        let complete = || transact(&campaign.store, move |conn| volley::store::campaigns::complete(conn, id));
        assert!(complete().await.unwrap().is_none());
        let second = campaign.lease().await.unwrap();
        record(&campaign.store, second.accepted(&second.claim(1).await)).await.unwrap();
        assert!(complete().await.unwrap().is_none(), "its lease has not ended");
        settle(&second).await;
        assert_eq!(complete().await.unwrap().unwrap().status, CampaignStatus::Sent);
    }
}
