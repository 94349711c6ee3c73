//! A database that has lost its newest commits, and a journal that has not.

use volley::domain::campaigns::CampaignStatus;
use volley::domain::dispatch::delivery::{DeliveryId, DeliveryState};
use volley::domain::dispatch::evidence::{Begun, Known};
use volley::domain::dispatch::settlement::Verdict;
use volley::domain::events::EventSource;
use volley::domain::ids::{CampaignId, ContactId};
use volley::domain::reports::ReportKind;
use volley::store::dispatch::claims::Claimed;
use volley::store::dispatch::packing::{self, Packed};
use volley::store::dispatch::rewind::{self, Replayed};
use volley::store::engine::history::Lineage;
use volley::store::events::EventKey;
use volley::store::reports::{self, Line};
use volley::store::{Conn, Lane, campaigns};

use super::packed::{Campaign, Leased, POOL, execute, record, write};
use crate::support::both_backends;

fn sent() -> Option<Verdict> {
    Some(Verdict { state: DeliveryState::Sent, counted: true, ..Verdict::untouched() })
}

/// What the journal knows of these claims, in order.
fn known(leased: &Leased, claimed: &[Claimed], verdicts: Vec<Option<Verdict>>) -> Known {
    let begun = claimed.iter().zip(verdicts).map(|(claimed, verdict)| {
        let key = leased.settlement(claimed, Verdict::untouched()).key;
        (claimed.contact, vec![Begun { key, verdict }])
    });
    begun.collect()
}

async fn replay(campaign: &Campaign, known: &Known) -> Replayed {
    let (id, known) = (campaign.id, known.clone());
    let run = move |conn: &mut Conn| rewind::replay(conn, id, &known);
    campaign.store.run(Lane::Control, "replay", run).await.unwrap()
}

/// As the standby has it: nobody was claimed.
async fn lose_the_claims(campaign: &Campaign) {
    let lose = |conn: &mut Conn| {
        execute(
            conn,
            "UPDATE deliveries SET state = 'pending', claim_no = 0, token = NULL; \
             UPDATE pages SET state = 'ready', lease_token = NULL, pending = size, sending = 0, sent = 0",
        );
        Ok(())
    };
    write(&campaign.store, lose).await.unwrap();
}

async fn pause_all(campaign: &Campaign, timeline: i64) -> Vec<CampaignId> {
    let pause = move |conn: &mut Conn| rewind::pause_all(conn, Lineage { system: 7, timeline });
    campaign.store.run(Lane::Control, "pause", pause).await.unwrap()
}

both_backends! {
    async fn who_was_handed_over_under_a_lost_claim_is_not_claimed_again(db: &Database) {
        let campaign = Campaign::packed(db, 4, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(3).await;
        let refused = Some(Verdict { counted: true, ..Verdict::untouched() });
        let known = known(&leased, &claimed, vec![sent(), None, refused]);
        record(&campaign.store, leased.accepted(&claimed[..1])).await.unwrap();
        lose_the_claims(&campaign).await;
        assert_eq!(replay(&campaign, &known).await.restored, 2);
        let books = campaign.books().await;
        assert_eq!((books.sent, books.uncertain, books.pending), (1, 1, 2));
        assert_eq!(replay(&campaign, &known).await.restored, 0, "repeating it changes nothing");
        let again = campaign.lease().await.unwrap().claim(4).await;
        assert_eq!(again.iter().map(|claimed| claimed.contact.0).collect::<Vec<_>>(), [3, 4]);
    }

    async fn who_was_reported_as_reached_since_is_not_left_in_doubt(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(2).await;
        lose_the_claims(&campaign).await;
        let line = Line {
            key: EventKey::of(&EventSource::of_pool(POOL), "a"),
            delivery: DeliveryId { campaign: campaign.id, contact: ContactId(1) },
            kind: ReportKind::Delivered,
            occurred_at: None,
            details: serde_json::Map::new(),
        };
        write(&campaign.store, move |conn| reports::apply(conn, std::slice::from_ref(&line))).await.unwrap();
        replay(&campaign, &known(&leased, &claimed, vec![None, None])).await;
        let books = campaign.books().await;
        assert_eq!((books.sent, books.uncertain), (1, 1));
    }

    async fn an_outcome_that_comes_after_the_comparison_still_counts(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(1).await;
        lose_the_claims(&campaign).await;
        replay(&campaign, &known(&leased, &claimed, vec![None])).await;
        assert_eq!(campaign.books().await.uncertain, 1);
        record(&campaign.store, leased.accepted(&claimed)).await.unwrap();
        assert_eq!(campaign.books().await.sent, 1);
    }

    async fn a_lost_outcome_is_recorded_again(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(2).await;
        // The claims are there, and what came of them is not.
        assert_eq!(replay(&campaign, &known(&leased, &claimed, vec![sent(), None])).await.restored, 1);
        let books = campaign.books().await;
        assert_eq!((books.sent, books.sending), (1, 1));
    }

    async fn people_of_a_lost_page_are_packed_and_then_not_sent_to_again(db: &Database) {
        let campaign = Campaign::packed(db, 6, 3).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(2).await;
        let known = known(&leased, &claimed, vec![sent(), sent()]);
        let lose = |conn: &mut Conn| {
            execute(
                conn,
                "DELETE FROM deliveries; DELETE FROM pages; \
                 UPDATE packings SET cursor_contact_id = 0, next_page = 1, done = FALSE",
            );
            Ok(())
        };
        write(&campaign.store, lose).await.unwrap();
        pause_all(&campaign, 1).await;
        assert_eq!(pause_all(&campaign, 2).await, [campaign.id]);
        let missing = replay(&campaign, &known).await.missing;
        assert_eq!(missing, [ContactId(1), ContactId(2)]);
        let id = campaign.id;
        let pack = move |conn: &mut Conn| packing::pack_towards(conn, id, 3, ContactId(2));
        assert!(write(&campaign.store, pack).await.unwrap());
        assert!(!write(&campaign.store, pack).await.unwrap(), "they are packed, and the others wait for the resume");
        assert_eq!(replay(&campaign, &known).await.restored, 2);
        campaign.event(volley::domain::campaigns::CampaignEvent::Resume).await.unwrap();
        while campaign.pack_page(3).await.unwrap() != Packed::Done {}
        let books = campaign.books().await;
        assert_eq!((books.sent, books.pending), (2, 4));
    }

    async fn each_history_pauses_what_is_sending_once(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        assert!(pause_all(&campaign, 1).await.is_empty(), "the first history is only noted");
        assert!(pause_all(&campaign, 1).await.is_empty());
        assert_eq!(pause_all(&campaign, 2).await, [campaign.id]);
        let id = campaign.id;
        let look = move |conn: &mut Conn| campaigns::find(conn, id);
        let row = campaign.store.run(Lane::Read, "look", look).await.unwrap().unwrap();
        assert_eq!((row.status, row.rewound_at.is_some()), (CampaignStatus::Paused, true));
        assert!(row.status_version > 1_000, "above whatever it had in the lost time");
        let row = campaign.event(volley::domain::campaigns::CampaignEvent::Resume).await.unwrap();
        assert_eq!((row.status, row.rewound_at), (CampaignStatus::Sending, None));
        // Another instance that notices later leaves it alone.
        assert!(pause_all(&campaign, 2).await.is_empty());
    }
}
