//! Why recipients failed or are uncertain: the counts follow every way in which they come to it and leave it.

use std::collections::BTreeMap;

use volley::domain::campaigns::CampaignEvent;
use volley::domain::dispatch::abandoned::{Evidence, Repeat};
use volley::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use volley::domain::dispatch::outcome::Outcome;
use volley::domain::dispatch::trouble::Trouble;
use volley::store::dispatch::deliveries::{self, Resolution};
use volley::store::dispatch::lost_leases::{self, OwnerFate};
use volley::store::dispatch::{reasons, sweeps};
use volley::store::{Conn, Lane};

use super::packed::{Campaign, accepted, record, refused, verdict, write};
use crate::support::both_backends;

/// One that knows of no keys; a call lasts a second.
const UNKEYED: Repeat = Repeat { key_valid_ms: None, on_the_wire_ms: 1_000, max_attempts: 4, provider: None };

/// One that honours keys for an hour: what is in doubt is asked again.
const KEYED: Repeat = Repeat { key_valid_ms: Some(3_600_000), on_the_wire_ms: 0, max_attempts: 4, provider: None };

/// How many there are of which state and category, which are as many as stand in that state.
async fn counted(campaign: &Campaign) -> BTreeMap<(&'static str, String), i64> {
    let id = campaign.id;
    let read = move |conn: &mut Conn| conn.snapshot(|conn| reasons::counted(conn, id));
    let counted = campaign.store.run(Lane::Read, "test", read).await.unwrap();
    let mut found = BTreeMap::<(&'static str, String), i64>::new();
    for (state, category, _, n) in counted.troubles {
        *found.entry((state.as_str(), category)).or_default() += n;
    }
    let books = campaign.books().await;
    let sum = |state: &str| found.iter().filter(|((of, _), _)| *of == state).map(|(_, n)| n).sum::<i64>();
    assert_eq!((sum("failed"), sum("uncertain")), (books.failed, books.uncertain), "{found:?}");
    found
}

fn of(state: DeliveryState, category: ErrorCategory) -> (&'static str, String) {
    (state.as_str(), category.to_string())
}

fn no() -> Outcome {
    refused(true, Trouble::new(ErrorCategory::Refused, "550 no"))
}

both_backends! {
    async fn late_evidence_and_redelivery_count_everybody_once(db: &Database) {
        let campaign = Campaign::packed(db, 5, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(5).await;
        let cut = Outcome::Unknown(Trouble::new(ErrorCategory::Network, "cut"));
        let batch = vec![leased.settlement(&claimed[0], verdict(&no())), leased.settlement(&claimed[1], verdict(&cut))];
        for _ in 0..2 {
            record(&campaign.store, batch.clone()).await.unwrap();
            let counted = counted(&campaign).await;
            assert_eq!(counted[&of(DeliveryState::Failed, ErrorCategory::Refused)], 1);
            assert_eq!(counted[&of(DeliveryState::Uncertain, ErrorCategory::Network)], 1);
        }
        let lease = leased.lease();
        let end = move |conn: &mut Conn| {
            lost_leases::end_lease(conn, lease, OwnerFate::Died, None, UNKEYED, &|_| Evidence::Ambiguous)
        };
        write(&campaign.store, end).await.unwrap();
        assert_eq!(campaign.books().await.uncertain, 4);
        counted(&campaign).await;
        // What the dead one had heard comes after all.
        let late = vec![
            leased.settlement(&claimed[2], verdict(&accepted())),
            leased.settlement(&claimed[3], verdict(&no())),
        ];
        for _ in 0..2 {
            record(&campaign.store, late.clone()).await.unwrap();
            assert_eq!(counted(&campaign).await[&of(DeliveryState::Failed, ErrorCategory::Refused)], 2);
        }
        let page = leased.id();
        let resolve = move |conn: &mut Conn| deliveries::resolve_pages(conn, &[page], None, Resolution::Failed);
        assert_eq!(write(&campaign.store, resolve).await.unwrap(), 2);
        assert_eq!(counted(&campaign).await[&of(DeliveryState::Failed, ErrorCategory::Resolved)], 2);
    }

    async fn who_is_in_doubt_when_a_campaign_is_stopped_is_counted_as_uncertain(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(2).await;
        let lease = leased.lease();
        let end = move |conn: &mut Conn| {
            lost_leases::end_lease(conn, lease, OwnerFate::Died, None, KEYED, &|_| Evidence::Ambiguous)
        };
        write(&campaign.store, end).await.unwrap();
        campaign.event(CampaignEvent::Stop).await.unwrap();
        let id = campaign.id;
        let sweep = move |conn: &mut Conn| sweeps::sweep_page(conn, id);
        while write(&campaign.store, sweep).await.unwrap() != sweeps::Swept::Done {}
        let books = campaign.books().await;
        assert_eq!((books.uncertain, books.skipped), (2, 1));
        counted(&campaign).await;
        record(&campaign.store, leased.accepted(&claimed)).await.unwrap();
        assert_eq!(counted(&campaign).await.values().sum::<i64>(), 0);
    }
}
