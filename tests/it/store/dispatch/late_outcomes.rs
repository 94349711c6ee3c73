//! Outcomes that come when somebody else has ended their lease, and what nobody may do with a lease that has moved on.

use volley::domain::campaigns::CampaignEvent;
use volley::domain::dispatch::abandoned::{Evidence, Repeat};
use volley::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use volley::domain::dispatch::outcome::Outcome;
use volley::domain::dispatch::page::Progress;
use volley::domain::dispatch::settlement::Verdict;
use volley::domain::dispatch::trouble::Trouble;
use volley::domain::ids::ContactId;
use volley::store::dispatch::deliveries::{self, DeliveryRow};
use volley::store::dispatch::late_evidence;
use volley::store::dispatch::lost_leases::{self, Ended, Judged, OwnerFate};
use volley::store::{Conn, Lane};

use super::packed::{Campaign, Leased, accepted, record, refused, verdict, write};
use crate::support::both_backends;

/// A provider that honours keys for an hour, with no call that could still be on the wire.
const KEYED: Repeat = Repeat { key_valid_ms: Some(3_600_000), on_the_wire_ms: 0, max_attempts: 4, provider: None };

/// One that knows of no keys; a call lasts a minute.
const UNKEYED: Repeat = Repeat { key_valid_ms: None, on_the_wire_ms: 60_000, max_attempts: 4, provider: None };

async fn end(
    leased: &Leased,
    owner: OwnerFate,
    judged: Option<Judged>,
    repeat: Repeat,
    evidence: Evidence,
) -> Option<Ended> {
    let lease = leased.lease();
    let end = move |conn: &mut Conn| lost_leases::end_lease(conn, lease, owner, judged, repeat, &|_| evidence.clone());
    write(&leased.campaign.store, end).await.unwrap()
}

/// A page whose recipients were put back to be asked again under their keys, with the lease they were claimed under.
async fn put_back(campaign: &Campaign, people: i64) -> (Leased, Vec<volley::store::dispatch::claims::Claimed>) {
    let leased = campaign.lease().await.unwrap();
    let claimed = leased.claim(people).await;
    let ended = end(&leased, OwnerFate::Died, None, KEYED, Evidence::Ambiguous).await.unwrap();
    assert_eq!((ended.given_back, campaign.books().await.pending), (people, people));
    (leased, claimed)
}

async fn rows(campaign: &Campaign) -> Vec<DeliveryRow> {
    let id = campaign.id;
    let list = move |conn: &mut Conn| deliveries::list(conn, id, None, ContactId(0), 10);
    let listed = campaign.store.run(Lane::Read, "test", list).await.unwrap();
    listed.into_iter().map(|(delivery, _)| delivery).collect()
}

fn refusal() -> Outcome {
    refused(true, Trouble::new(ErrorCategory::Refused, "550 no"))
}

both_backends! {
    async fn what_turns_out_to_be_accepted_is_not_asked_again(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        let (leased, claimed) = put_back(&campaign, 3).await;
        let late = vec![
            leased.settlement(&claimed[0], verdict(&accepted())),
            leased.settlement(&claimed[1], verdict(&refusal())),
        ];
        let recorded = record(&campaign.store, late.clone()).await.unwrap();
        assert_eq!((recorded.changed, recorded.unmatched), (2, Vec::new()));
        let books = campaign.books().await;
        assert_eq!((books.sent, books.failed, books.pending), (1, 1, 1));
        let rows = rows(&campaign).await;
        assert!(rows.iter().all(|row| row.attempts == 1), "each was tried once: {rows:?}");
        let again = campaign.lease().await.unwrap().claim(3).await;
        assert_eq!(again.iter().map(|claimed| claimed.contact).collect::<Vec<_>>(), [ContactId(3)]);
        let repeated = record(&campaign.store, late).await.unwrap();
        assert_eq!((repeated.changed, repeated.unmatched), (0, Vec::new()), "it is in the books already");
    }

    async fn an_acceptance_that_comes_after_the_next_claim_is_counted(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let (leased, claimed) = put_back(&campaign, 1).await;
        let next = campaign.lease().await.unwrap();
        let again = next.claim(1).await;
        let late = leased.settlement(&claimed[0], verdict(&accepted()));
        let recorded = record(&campaign.store, vec![late.clone()]).await.unwrap();
        assert_eq!((recorded.changed, recorded.unmatched), (0, vec![(late.key, DeliveryState::Sent)]));
        assert_eq!(record(&campaign.store, next.accepted(&again)).await.unwrap().changed, 1);
    }

    async fn a_late_word_that_ends_nothing_leaves_what_was_put_back_alone(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let (leased, claimed) = put_back(&campaign, 2).await;
        let doubt = Verdict { state: DeliveryState::Uncertain, counted: true, ambiguous: true, ..Verdict::untouched() };
        let late = vec![
            leased.settlement(&claimed[0], Verdict::untouched()),
            leased.settlement(&claimed[1], doubt),
        ];
        assert_eq!(record(&campaign.store, late).await.unwrap().changed, 0);
        assert_eq!(campaign.books().await.pending, 2);
    }

    async fn a_stop_leaves_what_was_put_back_to_its_late_evidence(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let (leased, claimed) = put_back(&campaign, 1).await;
        campaign.event(CampaignEvent::Stop).await.unwrap();
        let id = campaign.id;
        let sweep = move |conn: &mut Conn| volley::store::dispatch::sweeps::sweep_page(conn, id);
        while write(&campaign.store, sweep).await.unwrap() != volley::store::dispatch::sweeps::Swept::Done {}
        assert_eq!(campaign.books().await.uncertain, 1);
        record(&campaign.store, leased.accepted(&claimed)).await.unwrap();
        assert_eq!(campaign.books().await.sent, 1);
    }

    async fn a_journal_knows_of_what_was_put_back_that_it_was_accepted(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let (leased, claimed) = put_back(&campaign, 2).await;
        let settlement = leased.settlement(&claimed[0], verdict(&accepted()));
        let known = vec![(settlement.key, settlement.verdict)];
        let settled = write(&campaign.store, move |conn| late_evidence::settle(conn, &known)).await.unwrap();
        assert_eq!((settled, campaign.books().await.sent), (1, 1));
    }

    async fn a_page_that_has_moved_since_it_was_judged_keeps_its_lease(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        let leased = campaign.lease().await.unwrap();
        let (progress, until) = (leased.page.progress(), leased.page.lease_until);
        let claimed = leased.claim(1).await;
        let judge = |progress, until| end(&leased, OwnerFate::Lives, Some(Judged { progress, until }), UNKEYED, Evidence::NotBegun);
        assert_eq!(judge(progress, None).await, None, "somebody was claimed in the meantime");
        let claimed_one = Progress { pending: progress.pending - 1, sending: progress.sending + 1, ..progress };
        assert_eq!(judge(claimed_one, until.map(|until| until.plus_ms(-1))).await, None, "it was renewed in the meantime");
        assert_eq!(campaign.books().await.sending, 1);
        assert_eq!(record(&campaign.store, leased.accepted(&claimed)).await.unwrap().changed, 1);
        assert_eq!(judge(claimed_one, until).await, None, "an outcome was recorded in the meantime");
    }

    async fn under_a_living_owner_nobody_who_was_claimed_a_moment_ago_counts_as_not_begun(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(2).await;
        let ended = end(&leased, OwnerFate::Lives, None, UNKEYED, Evidence::NotBegun).await.unwrap();
        assert_eq!((ended.uncertain, ended.given_back), (2, 0));
        let late = vec![leased.settlement(&claimed[0], Verdict::untouched()), leased.settlement(&claimed[1], verdict(&accepted()))];
        assert_eq!(record(&campaign.store, late).await.unwrap().changed, 2);
        let books = campaign.books().await;
        assert_eq!((books.pending, books.sent), (1, 1));
    }

    async fn what_a_living_owner_had_not_begun_is_sent_all_the_same_if_it_says_so(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(1).await;
        let gone = Repeat { on_the_wire_ms: 0, ..UNKEYED };
        assert_eq!(end(&leased, OwnerFate::Lives, None, gone, Evidence::NotBegun).await.unwrap().given_back, 1);
        assert_eq!(record(&campaign.store, leased.accepted(&claimed)).await.unwrap().changed, 1);
        assert_eq!((campaign.books().await.sent, rows(&campaign).await[0].attempts), (1, 1));
    }

    async fn two_deaths_before_anything_began_are_no_poison(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        // On a page that is claimed one by one, after three deaths, one that kills the process before it begins is found, too.
        assert_eq!(deaths_until_poison(&campaign, UNKEYED, Evidence::NotBegun).await, 5);
        assert_eq!(campaign.books().await.failed, 1);
    }

    async fn two_deaths_are_no_poison_for_the_last_one_of_a_page(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let keyed = Repeat { key_valid_ms: Some(86_400_000), on_the_wire_ms: 0, max_attempts: 20, ..UNKEYED };
        assert_eq!(deaths_until_poison(&campaign, keyed, Evidence::Ambiguous).await, 5);
        assert_eq!(campaign.books().await.uncertain, 1);
    }
}

/// How many owners die with the only recipient before it is poison.
async fn deaths_until_poison(campaign: &Campaign, repeat: Repeat, evidence: Evidence) -> u32 {
    for death in 1..=9 {
        let leased = campaign.lease().await.unwrap();
        leased.claim(1).await;
        if end(&leased, OwnerFate::Died, None, repeat, evidence.clone()).await.unwrap().poison == 1 {
            return death;
        }
    }
    panic!("it is never found");
}
