//! Two at once.

use futures_util::future::join_all;
use volley::domain::campaigns::{CampaignEvent, CampaignStatus};
use volley::domain::dispatch::delivery::ErrorCategory;
use volley::domain::dispatch::settlement::Settlement;
use volley::domain::dispatch::trouble::Trouble;
use volley::store::campaigns::{self, Sweep, TransitionError};
use volley::store::dispatch::claims::ClaimOutcome;
use volley::store::dispatch::packing::Packed;
use volley::store::dispatch::pages;
use volley::store::dispatch::sweeps::{self, Swept};

use super::packed::{Campaign, Leased, record, refused, transact, verdict, write};
use crate::support::both_backends;
use crate::support::database::number;

both_backends! {
    async fn two_paginators_pack_everyone_once(db: &Database) {
        let campaign = Campaign::launched(db, 2_000).await;
        let paginator = || async {
            loop {
                match campaign.pack_page(50).await.unwrap() {
                    Packed::Done => break,
                    Packed::Page { .. } | Packed::Nobody | Packed::Overtaken | Packed::LookAgain => {}
                    Packed::NotSending(status) => panic!("the campaign is {status}"),
                }
            }
        };
        join_all([paginator(), paginator(), paginator(), paginator()]).await;
        assert_eq!(campaign.books().await.pending, 2_000);
    }

    async fn a_page_is_leased_to_one(db: &Database) {
        let campaign = Campaign::packed(db, 40, 10).await;
        let leased = join_all((0..16).map(|_| campaign.lease())).await;
        let mut pages: Vec<i64> = leased.into_iter().flatten().map(|leased| leased.id().0).collect();
        let taken = pages.len();
        pages.sort_unstable();
        pages.dedup();
        assert_eq!((taken, pages.len()), (4, 4));
    }

    async fn no_claim_commits_after_a_pause_has(db: &Database) {
        let campaign = Campaign::packed(db, 4_000, 500).await;
        let leased: Vec<Leased> = join_all((0..8).map(|_| campaign.lease())).await.into_iter().flatten().collect();
        assert_eq!(leased.len(), 8);
        let claimers = leased.iter().map(|leased| async {
            while let ClaimOutcome::Claimed { recipients, .. } = leased.try_claim(5).await.unwrap() {
                assert!(!recipients.is_empty(), "the page ran out before the pause came");
            }
        });
        let pause = async {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            // Counted in the pause's own transaction, right before it commits: whatever it does not see must never come.
            let id = campaign.id;
            let pause = transact(&campaign.store, move |conn| {
                campaigns::transition(conn, id, CampaignEvent::Pause)?;
                Ok(number(conn, "SELECT count(*) AS n FROM deliveries WHERE state = 'sending'"))
            });
            pause.await.unwrap()
        };
        let (sending_at_pause, _) = futures_util::join!(pause, join_all(claimers));
        assert_eq!(campaign.books().await.sending, sending_at_pause);
    }

    async fn flushes_that_overlap_on_two_pages_settle_everything_once(db: &Database) {
        let campaign = Campaign::packed(db, 400, 200).await;
        let (first, second) = (campaign.lease().await.unwrap(), campaign.lease().await.unwrap());
        let mut one = first.accepted(&first.claim(200).await);
        let mut two = second.accepted(&second.claim(200).await);
        // Each batch holds both pages, in opposite orders, and both batches hold half of the other's.
        let shared: Vec<Settlement> = one.iter().chain(&two).step_by(2).cloned().collect();
        one.extend(shared.iter().cloned());
        two.splice(0..0, shared.into_iter().rev());
        let (first, second) = futures_util::join!(record(&campaign.store, one), record(&campaign.store, two));
        assert_eq!(first.unwrap().changed + second.unwrap().changed, 400);
        assert_eq!(campaign.books().await.sent, 400);
    }

    async fn a_completion_and_a_reopening_never_leave_a_campaign_closed_with_work_in_it(db: &Database) {
        let campaign = Campaign::packed(db, 20, 20).await;
        let id = campaign.id;
        for round in 0..30 {
            let leased = campaign.lease().await.expect("the campaign is open, its page is ready");
            let refused = refused(true, Trouble::new(ErrorCategory::Refused, "550 no"));
            let claimed = leased.claim(20).await;
            let batch = claimed.iter().map(|claimed| leased.settlement(claimed, verdict(&refused))).collect();
            record(&campaign.store, batch).await.unwrap();
            let (page, token) = (leased.id(), leased.token);
            write(&campaign.store, move |conn| pages::settle(conn, page, token, std::time::Duration::ZERO)).await.unwrap();
            let complete = || transact(&campaign.store, move |conn| campaigns::complete(conn, id));
            let reopen = transact(&campaign.store, move |conn| campaigns::reopen(conn, id, Some(Sweep::RetryFailed)));
            let (one, reopened, two) = futures_util::join!(complete(), reopen, complete());
            let closings = [one, two].into_iter().filter_map(Result::unwrap).count();
            assert!(closings <= 1, "closed twice in round {round}");
            match reopened {
                Ok(row) => assert_eq!(row.status, CampaignStatus::Sending),
                Err(TransitionError::NotFound(_) | TransitionError::Illegal(_) | TransitionError::SweepUnderWay(_)
                    | TransitionError::Archived(_) | TransitionError::Store(_)) => panic!("re-opening is always allowed here"),
            }
            assert!(complete().await.unwrap().is_none(), "closed over an armed pass in round {round}");
            while write(&campaign.store, move |conn| sweeps::sweep_page(conn, id)).await.unwrap() != Swept::Done {}
            assert_eq!(campaign.books().await.pending, 20);
        }
    }
}
