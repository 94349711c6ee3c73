//! What became of messages minute by minute: whatever comes twice, late or after a crash, the sum is what stands on the pages.

use volley::domain::dispatch::abandoned::{Evidence, Repeat};
use volley::domain::dispatch::delivery::ErrorCategory;
use volley::domain::dispatch::minutes::MinuteFigures;
use volley::domain::dispatch::outcome::Outcome;
use volley::domain::dispatch::trouble::Trouble;
use volley::domain::ids::InstanceId;
use volley::store::dispatch::deliveries::{self, Resolution};
use volley::store::dispatch::lost_leases::{self, OwnerFate};
use volley::store::dispatch::minutes::{self, Asked, Course, Grain};
use volley::store::{Conn, Lane};

use super::packed::{Campaign, accepted, record, refused, verdict, write};
use crate::support::both_backends;

/// One that knows of no keys; a call lasts a second.
const UNKEYED: Repeat = Repeat { key_valid_ms: None, on_the_wire_ms: 1_000, max_attempts: 4, provider: None };

const ALL: Asked = Asked { grain: Grain::Minutes(1), apart: true, after: None, from: None, to: None, limit: 1_000 };

async fn course(campaign: &Campaign) -> Course {
    let id = campaign.id;
    let read = move |conn: &mut Conn| conn.snapshot(|conn| minutes::course(conn, id, &ALL));
    let course = campaign.store.run(Lane::Read, "test", read).await.unwrap();
    let mut sum = MinuteFigures::default();
    course.steps.iter().for_each(|step| sum.add(&step.figures));
    assert_eq!(sum, course.whole, "{course:?}");
    assert!(course.whole.explain(&campaign.books().await), "the minutes and the pages differ: {course:?}");
    course
}

both_backends! {
    async fn minutes_count_what_changed_once_however_often_it_comes(db: &Database) {
        let campaign = Campaign::packed(db, 4, 10).await;
        assert!(course(&campaign).await.steps.is_empty(), "nothing has happened");
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(4).await;
        let outcomes = [
            accepted(),
            refused(true, Trouble::new(ErrorCategory::Refused, "550 no")),
            Outcome::Unknown(Trouble::new(ErrorCategory::Network, "cut")),
            refused(false, Trouble::new(ErrorCategory::ProviderError, "451 later")),
        ];
        let settled = claimed.iter().zip(&outcomes).map(|(claimed, outcome)| leased.settlement(claimed, verdict(outcome)));
        let batch: Vec<_> = settled.collect();
        let twice: Vec<_> = batch.iter().chain(&batch).cloned().collect();
        assert_eq!(record(&campaign.store, twice).await.unwrap().changed, 4);
        let once = MinuteFigures { sent: 1, failed: 1, uncertain: 1, deferred: 1, ..MinuteFigures::default() };
        assert_eq!(course(&campaign).await.whole, once);
        assert_eq!(record(&campaign.store, batch).await.unwrap().changed, 0);
        let course = course(&campaign).await;
        assert_eq!(course.whole, once, "redelivered");
        assert!(course.steps.iter().all(|step| step.instance == InstanceId(1)), "held by instance 1: {course:?}");
    }

    async fn what_an_operator_resolves_leaves_its_minute_as_it_was(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        let leased = campaign.lease().await.unwrap();
        leased.claim(3).await;
        let lease = leased.lease();
        let end = move |conn: &mut Conn| {
            lost_leases::end_lease(conn, lease, OwnerFate::Died, None, UNKEYED, &|_| Evidence::Ambiguous)
        };
        write(&campaign.store, end).await.unwrap();
        let dead = course(&campaign).await;
        assert_eq!(dead.whole, MinuteFigures { uncertain: 3, ..MinuteFigures::default() });
        assert_eq!(dead.steps[0].instance, InstanceId(1), "the page was in its hands");
        let page = leased.id();
        let resolve = move |conn: &mut Conn| deliveries::resolve_pages(conn, &[page], None, Resolution::Failed);
        assert_eq!(write(&campaign.store, resolve).await.unwrap(), 3);
        let resolved = course(&campaign).await;
        let both = MinuteFigures { uncertain: 3, resolved: 3, failed: 3, ..MinuteFigures::default() };
        assert_eq!(resolved.whole, both);
        assert!(resolved.steps.iter().any(|step| step.instance == InstanceId(0)), "nobody held it: {resolved:?}");
    }
}
