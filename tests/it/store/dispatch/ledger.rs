//! One delivery's rules, one at a time: fences, repeats, late evidence.

use std::time::Duration;

use volley::domain::campaigns::{CampaignEvent, CampaignStatus};
use volley::domain::content::message::Message;
use volley::domain::dispatch::abandoned::{Evidence, Repeat};
use volley::domain::dispatch::claim::ClaimKey;
use volley::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use volley::domain::dispatch::outcome::Outcome;
use volley::domain::dispatch::settlement::{Settlement, Verdict};
use volley::domain::dispatch::trouble::Trouble;
use volley::domain::ids::ContactId;
use volley::store::campaigns::{self, Sweep, TransitionError};
use volley::store::dispatch::claims::ClaimOutcome;
use volley::store::dispatch::deliveries;
use volley::store::dispatch::lost_leases::{self, OwnerFate};
use volley::store::dispatch::pages::{self, Settled};

use super::packed::{Campaign, Leased, accepted, execute, record, refused, transact, verdict, write};
use crate::support::both_backends;

const UNKEYED: Repeat = Repeat { key_valid_ms: None, on_the_wire_ms: 1_000, max_attempts: 4, provider: None };

/// A provider that honours keys for an hour, with no call that could still be on the wire.
const KEYED: Repeat = Repeat { key_valid_ms: Some(3_600_000), on_the_wire_ms: 0, max_attempts: 4, provider: None };

async fn end_lease(leased: &Leased, evidence: fn(ClaimKey) -> Evidence) -> Option<lost_leases::Ended> {
    end_lease_of(leased, UNKEYED, evidence).await
}

async fn end_lease_of(
    leased: &Leased,
    repeat: Repeat,
    evidence: fn(ClaimKey) -> Evidence,
) -> Option<lost_leases::Ended> {
    let lease = leased.lease();
    let ended = write(&leased.campaign.store, move |conn| {
        lost_leases::end_lease(conn, lease, OwnerFate::Died, None, repeat, &evidence)
    });
    ended.await.unwrap()
}

async fn settle(leased: &Leased) -> Settled {
    let (page, token) = (leased.id(), leased.token);
    write(&leased.campaign.store, move |conn| pages::settle(conn, page, token, Duration::ZERO)).await.unwrap()
}

fn deferred() -> Outcome {
    refused(false, Trouble::new(ErrorCategory::ProviderError, "451 later"))
}

fn unknown() -> Outcome {
    Outcome::Unknown(Trouble::new(ErrorCategory::Network, "cut"))
}

/// Back to pending at once, with a doubt or without, and with what was said.
fn again(settlement: Settlement, ambiguous: bool, said: &str) -> Settlement {
    let message = Message { subject: said.to_owned(), text: String::new(), html: None, ..Message::default() };
    Settlement {
        verdict: Verdict { ambiguous, ..Verdict::untouched() },
        content: Some(serde_json::to_string(&message).unwrap()),
        ..settlement
    }
}

async fn complete(campaign: &Campaign) -> Option<CampaignStatus> {
    let id = campaign.id;
    let closed = transact(&campaign.store, move |conn| campaigns::complete(conn, id)).await.unwrap();
    closed.map(|row| row.status)
}

both_backends! {
    async fn evidence_that_comes_after_the_end_leaves_nobody_pending_in_a_closed_campaign(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(3).await;
        end_lease(&leased, |_| Evidence::Ambiguous).await.unwrap();
        assert_eq!(complete(&campaign).await, Some(CampaignStatus::Sent));
        let late = vec![
            leased.settlement(&claimed[0], verdict(&deferred())),
            again(leased.settlement(&claimed[1], Verdict::untouched()), true, "an earlier one is in doubt"),
        ];
        assert_eq!(record(&campaign.store, late).await.unwrap().changed, 1);
        let books = campaign.books().await;
        assert_eq!((books.failed, books.uncertain, books.pending), (1, 2, 0));
    }

    async fn a_campaign_whose_launch_failed_is_not_reopened(db: &Database) {
        let campaign = Campaign::launched(db, 1).await;
        let id = campaign.id;
        let unlaunched = "DELETE FROM packings; UPDATE campaigns SET status = 'failed'";
        let unlaunch = move |conn: &mut _| {
            execute(conn, unlaunched);
            Ok(())
        };
        write(&campaign.store, unlaunch).await.unwrap();
        let reopened = transact(&campaign.store, move |conn| campaigns::reopen(conn, id, Some(Sweep::RetryFailed))).await;
        assert!(matches!(reopened, Err(TransitionError::Illegal(_))), "it would be sending for ever");
    }

    async fn an_uncertain_outcome_recorded_again_counts_its_attempt_once(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let leased = campaign.lease().await.unwrap();
        let batch = vec![leased.settlement(&leased.claim(1).await[0], verdict(&unknown()))];
        assert_eq!(record(&campaign.store, batch.clone()).await.unwrap().changed, 1);
        assert_eq!(record(&campaign.store, batch).await.unwrap().changed, 0);
        let id = campaign.id;
        let listed = write(&campaign.store, move |conn| deliveries::list(conn, id, None, ContactId(0), 10)).await;
        assert_eq!(listed.unwrap()[0].0.attempts, 1);
    }

    async fn put_offs_in_a_row_are_counted_until_an_attempt_counts(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let leased = campaign.lease().await.unwrap();
        let put_off = Verdict { put_off: true, ..Verdict::untouched() };
        let counted = Verdict { counted: true, ..Verdict::untouched() };
        let verdicts = [put_off.clone(), put_off.clone(), Verdict::untouched(), put_off, counted];
        let mut seen = Vec::new();
        for verdict in verdicts {
            let claimed = leased.claim(1).await;
            seen.push(claimed[0].put_offs);
            record(&campaign.store, vec![Settlement { verdict, ..leased.settlement(&claimed[0], Verdict::untouched()) }])
                .await
                .unwrap();
        }
        seen.push(leased.claim(1).await[0].put_offs);
        assert_eq!(seen, [0, 1, 2, 2, 3, 0], "one that was not begun changes nothing");
    }

    async fn late_evidence_takes_away_the_doubt_about_its_own_attempt(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(1).await;
        end_lease(&leased, |_| Evidence::Ambiguous).await.unwrap();
        let late = vec![again(leased.settlement(&claimed[0], Verdict::untouched()), false, "not begun")];
        record(&campaign.store, late).await.unwrap();
        assert!(!campaign.lease().await.unwrap().claim(1).await[0].ambiguous);
    }

    async fn a_key_ages_from_the_claim_that_a_dead_owner_left(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let leased = campaign.lease().await.unwrap();
        leased.claim(1).await;
        assert_eq!(end_lease_of(&leased, KEYED, |_| Evidence::Ambiguous).await.unwrap().given_back, 1);
        let claimed = campaign.lease().await.unwrap().claim(1).await;
        assert!(claimed[0].key_until.is_some(), "its key would be relied on for ever");
    }

    async fn a_key_ages_while_its_outcome_waits_for_the_database(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(1).await;
        let aged = |conn: &mut _| {
            execute(conn, "UPDATE deliveries SET claimed_at = 1");
            Ok(())
        };
        write(&campaign.store, aged).await.unwrap();
        let doubt = again(leased.settlement(&claimed[0], Verdict::untouched()), true, "hello");
        record(&campaign.store, vec![Settlement { key_valid_ms: Some(3_600_000), ..doubt }]).await.unwrap();
        assert!(leased.claim(1).await.is_empty());
        assert_eq!(campaign.books().await.uncertain, 1);
    }

    async fn an_attempt_that_did_not_count_is_repeated_in_its_own_words(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let leased = campaign.lease().await.unwrap();
        let first = leased.claim(1).await;
        record(&campaign.store, vec![again(leased.settlement(&first[0], Verdict::untouched()), false, "one")]).await.unwrap();
        let second = leased.claim(1).await;
        assert_eq!(second[0].content.as_ref().map(|said| said.message.subject.as_str()), Some("one"));
        // What no longer matters to the delivery does not touch its words either.
        let refused = Verdict { state: DeliveryState::Failed, ..Verdict::untouched() };
        let stale = Settlement { content: Some(String::new()), ..leased.settlement(&first[0], refused) };
        assert_eq!(record(&campaign.store, vec![stale]).await.unwrap().changed, 0);
        settle(&leased).await;
        assert!(campaign.lease().await.unwrap().claim(1).await[0].content.is_some());
    }

    async fn a_page_is_not_leased_by_a_pool_that_still_has_calls_of_it_in_flight(db: &Database) {
        let campaign = Campaign::packed(db, 10, 10).await;
        let leased = campaign.lease().await.unwrap();
        leased.claim(5).await;
        end_lease(&leased, |_| Evidence::Ambiguous).await.unwrap();
        assert!(campaign.lease_beside(vec![leased.id()]).await.is_none());
        assert!(campaign.lease().await.is_some());
    }

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
        let refused = refused(true, Trouble::new(ErrorCategory::Refused, "550 no"));
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
        let id = campaign.id;
        let listed = write(&campaign.store, move |conn| deliveries::list(conn, id, None, ContactId(0), 10)).await;
        let attempts: Vec<i32> = listed.unwrap().iter().map(|(delivery, _)| delivery.attempts).collect();
        assert_eq!(attempts, [1, 1, 1], "each was tried once");
    }

    async fn a_page_of_a_paused_campaign_is_not_leased(db: &Database) {
        let campaign = Campaign::packed(db, 10, 10).await;
        campaign.event(CampaignEvent::Pause).await.unwrap();
        assert!(campaign.lease().await.is_none());
        campaign.event(CampaignEvent::Resume).await.unwrap();
        assert!(campaign.lease().await.is_some());
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
