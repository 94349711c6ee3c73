//! What is kept of attempts: of each that was not simply accepted, once, and what is known of it in the end.

use volley::domain::dispatch::abandoned::{Evidence, Repeat};
use volley::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use volley::domain::dispatch::outcome::Outcome;
use volley::domain::dispatch::settlement::Verdict;
use volley::domain::dispatch::trouble::Trouble;
use volley::domain::ids::ContactId;
use volley::store::dispatch::attempts;
use volley::store::dispatch::lost_leases::{self, OwnerFate};
use volley::store::{Conn, Lane};

use super::packed::{Campaign, accepted, record, refused, verdict, write};
use crate::support::both_backends;

const UNKEYED: Repeat = Repeat { key_valid_ms: None, on_the_wire_ms: 1_000, max_attempts: 4, provider: None };

/// Claim number, state and reason of each attempt to a contact.
async fn kept(campaign: &Campaign, contact: ContactId) -> Vec<(i32, DeliveryState, Option<String>)> {
    let id = campaign.id;
    let read = move |conn: &mut Conn| attempts::of(conn, id, contact);
    let (attempts, count) = campaign.store.run(Lane::Read, "test", read).await.unwrap();
    assert_eq!(usize::try_from(count).unwrap(), attempts.len());
    attempts.into_iter().map(|attempt| (attempt.claim_no, attempt.state, attempt.reason)).collect()
}

both_backends! {
    async fn each_attempt_that_was_not_accepted_is_kept_once_and_no_other(db: &Database) {
        let campaign = Campaign::packed(db, 4, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(4).await;
        let no = refused(true, Trouble::new(ErrorCategory::Refused, "550 no"));
        let later = refused(false, Trouble::new(ErrorCategory::Refused, "452 full"));
        let put_off = Verdict { put_off: true, reason: Some("421 busy".to_owned()), ..Verdict::untouched() };
        let batch = vec![
            leased.settlement(&claimed[0], verdict(&accepted())),
            leased.settlement(&claimed[1], verdict(&no)),
            leased.settlement(&claimed[2], verdict(&later)),
            leased.settlement(&claimed[3], put_off),
        ];
        for _ in 0..2 {
            record(&campaign.store, batch.clone()).await.unwrap();
        }
        let of = |n: usize| kept(&campaign, claimed[n].contact);
        assert_eq!(of(0).await, []);
        assert_eq!(of(1).await, [(1, DeliveryState::Failed, Some("550 no".to_owned()))]);
        assert_eq!(of(2).await, [(1, DeliveryState::Pending, Some("452 full".to_owned()))]);
        assert_eq!(of(3).await, [], "it was put off for a trouble that is not the recipient's");
    }

    async fn what_comes_to_be_known_takes_the_place_of_a_doubt(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(3).await;
        let lease = leased.lease();
        let end = move |conn: &mut Conn| {
            lost_leases::end_lease(conn, lease, OwnerFate::Died, None, UNKEYED, &|_| Evidence::Ambiguous)
        };
        write(&campaign.store, end).await.unwrap();
        for claimed in &claimed {
            let kept = kept(&campaign, claimed.contact).await;
            assert!(matches!(kept.as_slice(), [(1, DeliveryState::Uncertain, Some(_))]), "{kept:?}");
        }
        let cut = Outcome::Unknown(Trouble::new(ErrorCategory::Network, "cut"));
        let late = vec![
            leased.settlement(&claimed[0], verdict(&accepted())),
            leased.settlement(&claimed[1], Verdict::untouched()),
            leased.settlement(&claimed[2], verdict(&cut)),
        ];
        for _ in 0..2 {
            record(&campaign.store, late.clone()).await.unwrap();
        }
        assert_eq!(kept(&campaign, claimed[0].contact).await, [(1, DeliveryState::Sent, None)]);
        assert_eq!(kept(&campaign, claimed[1].contact).await, [], "it had not begun");
        assert_eq!(kept(&campaign, claimed[2].contact).await.len(), 1);
    }
}
