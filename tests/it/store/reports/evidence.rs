//! What reports prove about deliveries that are in doubt, and what they leave to others.

use std::collections::BTreeSet;

use volley::domain::campaigns::CampaignEvent;
use volley::domain::dispatch::abandoned::{Evidence, Repeat};
use volley::domain::dispatch::delivery::{DeliveryId, DeliveryState, ErrorCategory};
use volley::domain::dispatch::outcome::Outcome;
use volley::domain::dispatch::settlement::{Settlement, Verdict};
use volley::domain::dispatch::trouble::Trouble;
use volley::domain::ids::ContactId;
use volley::domain::reports::ReportKind;
use volley::store::dispatch::claims::Claimed;
use volley::store::dispatch::deliveries::{self, DeliveryRow, Resolution};
use volley::store::dispatch::lost_leases::{self, Ended, OwnerFate};
use volley::store::dispatch::reported::{self, Settled};
use volley::store::dispatch::sweeps::{self, Swept};
use volley::store::reports::Fate;
use volley::store::{Conn, Lane, MayBeStoreError, campaigns};

use super::{OPENED, SCANNED, apply, line};
use crate::store::dispatch::packed::{Campaign, Leased, accepted, record, verdict, write};
use crate::support::both_backends;

/// A provider that knows of no keys.
const UNKEYED: Repeat = Repeat { key_valid_ms: None, on_the_wire_ms: 0, max_attempts: 4, provider: None };

/// One that honours keys for an hour.
const KEYED: Repeat = Repeat { key_valid_ms: Some(3_600_000), ..UNKEYED };

async fn owner_dies(leased: &Leased, repeat: Repeat, evidence: Evidence) -> Ended {
    let lease = leased.lease();
    let end = move |conn: &mut Conn| {
        lost_leases::end_lease(conn, lease, OwnerFate::Died, None, repeat, &|_| evidence.clone())
    };
    write(&leased.campaign.store, end).await.unwrap().expect("the lease was not over")
}

/// A page of which everybody was claimed, and nobody knows what came of it.
async fn in_doubt(campaign: &Campaign, people: i64, repeat: Repeat) -> (Leased, Vec<Claimed>) {
    let leased = campaign.lease().await.unwrap();
    let claimed = leased.claim(people).await;
    owner_dies(&leased, repeat, Evidence::Ambiguous).await;
    (leased, claimed)
}

async fn settle(campaign: &Campaign, in_doubt: BTreeSet<DeliveryId>) -> Settled {
    write(&campaign.store, move |conn| reported::settle(conn, &in_doubt)).await.unwrap()
}

/// Applies a report about each of these recipients, and settles what that proves.
async fn report(campaign: &Campaign, reports: &[(i64, ReportKind)]) -> Settled {
    let lines = reports.iter().map(|(contact, kind)| line(campaign, *contact, *kind, &format!("{contact}:{kind:?}")));
    let applied = apply(campaign, lines.collect()).await;
    settle(campaign, applied.in_doubt).await
}

async fn rows(campaign: &Campaign) -> Vec<DeliveryRow> {
    let id = campaign.id;
    let list = move |conn: &mut Conn| deliveries::list(conn, id, None, ContactId(0), 20);
    let listed = campaign.store.run(Lane::Read, "test", list).await.unwrap();
    listed.into_iter().map(|(delivery, _)| delivery).collect()
}

fn unknown() -> Outcome {
    Outcome::Unknown(Trouble::new(ErrorCategory::Network, "cut"))
}

both_backends! {
    async fn reports_settle_what_is_uncertain(db: &Database) {
        let campaign = Campaign::packed(db, 5, 10).await;
        in_doubt(&campaign, 5, UNKEYED).await;
        assert_eq!(campaign.books().await.uncertain, 5);
        let said = [(1, ReportKind::Delivered), (2, SCANNED), (3, ReportKind::RejectedLater), (4, ReportKind::HardBounced)];
        assert_eq!(report(&campaign, &said).await, Settled { sent: 3, failed: 1 });
        let books = campaign.books().await;
        assert_eq!((books.sent, books.failed, books.uncertain), (3, 1, 1));
        let rows = rows(&campaign).await;
        assert!(rows[0].settled_at.is_some() && rows[0].reason.is_none() && rows[0].category.is_none(), "{:?}", rows[0]);
        assert_eq!((rows[2].state, rows[2].category), (DeliveryState::Failed, Some(ErrorCategory::Refused)));
        assert!(rows.iter().all(|row| row.attempts == 1), "each was tried once: {rows:?}");
        // What has ended stays as it is, whatever is said later.
        let later = [(1, ReportKind::RejectedLater), (3, OPENED)];
        assert_eq!(report(&campaign, &later).await, Settled::default());
        assert_eq!(campaign.books().await, books);
    }

    async fn a_report_of_acceptance_outweighs_a_late_rejection_in_any_order(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        in_doubt(&campaign, 2, UNKEYED).await;
        let said = [(1, ReportKind::RejectedLater), (1, OPENED), (2, OPENED), (2, ReportKind::RejectedLater)];
        assert_eq!(report(&campaign, &said).await, Settled { sent: 2, failed: 0 });
    }

    async fn reports_settle_what_was_to_be_asked_again(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        in_doubt(&campaign, 3, KEYED).await;
        assert_eq!(campaign.books().await.pending, 3);
        let said = [(1, ReportKind::SoftBounced), (2, ReportKind::RejectedLater)];
        assert_eq!(report(&campaign, &said).await, Settled { sent: 1, failed: 0 });
        let leased = campaign.lease().await.unwrap();
        let claimed: Vec<i64> = leased.claim(10).await.iter().map(|claimed| claimed.contact.0).collect();
        assert_eq!(claimed, [2, 3], "a late rejection is no reason not to ask again");
        assert_eq!(campaign.books().await.sent, 1);
    }

    async fn a_page_whose_last_doubt_is_settled_is_done(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        in_doubt(&campaign, 2, KEYED).await;
        report(&campaign, &[(1, OPENED), (2, OPENED)]).await;
        assert_eq!(campaign.books().await.sent, 2);
        assert!(campaign.lease().await.is_none(), "nobody on it is left to ask");
    }

    async fn who_waits_without_a_doubt_goes_on_waiting(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        assert_eq!(report(&campaign, &[(1, OPENED)]).await, Settled::default());
        assert_eq!(campaign.books().await.pending, 1);
    }

    async fn what_is_being_sent_is_left_to_its_call(db: &Database) {
        let campaign = Campaign::packed(db, 5, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(5).await;
        let rejected = ReportKind::RejectedLater;
        let said = [(1, OPENED), (2, OPENED), (3, OPENED), (4, rejected)];
        assert_eq!(report(&campaign, &said).await, Settled::default());
        assert_eq!(campaign.books().await.sending, 5);
        let again = Verdict { counted: true, ambiguous: true, ..Verdict::untouched() };
        let outcomes: Vec<Settlement> = vec![
            leased.settlement(&claimed[0], verdict(&accepted())),
            leased.settlement(&claimed[1], verdict(&unknown())),
            Settlement { content: Some("{}".to_owned()), ..leased.settlement(&claimed[2], again) },
            leased.settlement(&claimed[3], verdict(&unknown())),
            leased.settlement(&claimed[4], verdict(&unknown())),
        ];
        let recorded = record(&campaign.store, outcomes.clone()).await.unwrap();
        assert_eq!((recorded.changed, recorded.unmatched), (5, Vec::new()));
        let books = campaign.books().await;
        let standing = (books.sent, books.failed, books.uncertain, books.pending);
        assert_eq!(standing, (3, 1, 1, 0), "opens and a rejection had come before the outcomes");
        assert_eq!(db.number("SELECT count(*) AS n FROM delivery_contents"), 0);
        let repeated = record(&campaign.store, outcomes).await.unwrap();
        assert_eq!((repeated.changed, repeated.unmatched), (0, Vec::new()), "all of it is on the books");
        assert_eq!(campaign.books().await, books);
    }

    async fn a_report_counts_where_the_owner_died_over_what_it_was_sending(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let leased = campaign.lease().await.unwrap();
        leased.claim(2).await;
        report(&campaign, &[(1, OPENED)]).await;
        let ended = owner_dies(&leased, UNKEYED, Evidence::Ambiguous).await;
        assert_eq!((ended.known, ended.uncertain), (1, 1));
        assert_eq!(campaign.books().await.sent, 1);
    }

    async fn a_late_rejection_says_nothing_about_another_attempt(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let (leased, _) = in_doubt(&campaign, 1, UNKEYED).await;
        let page = leased.id();
        // An operator has it sent again, and nobody knows what comes of that, either.
        let again = move |conn: &mut Conn| deliveries::resolve_pages(conn, &[page], None, Resolution::Pending);
        assert_eq!(write(&campaign.store, again).await.unwrap(), 1);
        in_doubt(&campaign, 1, UNKEYED).await;
        assert_eq!(report(&campaign, &[(1, ReportKind::RejectedLater)]).await, Settled::default());
        assert_eq!(campaign.books().await.uncertain, 1);
    }

    async fn what_was_not_settled_when_the_process_ended_is_settled_by_the_repeated_report(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        in_doubt(&campaign, 3, UNKEYED).await;
        let lines = vec![line(&campaign, 1, OPENED, "a"), line(&campaign, 2, ReportKind::RejectedLater, "b")];
        apply(&campaign, lines.clone()).await;
        assert_eq!(campaign.books().await.uncertain, 3);
        let repeated = apply(&campaign, lines).await;
        assert_eq!(repeated.fates, [Fate::Repeated; 2]);
        assert_eq!(settle(&campaign, repeated.in_doubt).await, Settled { sent: 1, failed: 1 });
        // A known key says nothing about somebody else.
        let other = apply(&campaign, vec![line(&campaign, 3, OPENED, "a")]).await;
        assert_eq!(settle(&campaign, other.in_doubt).await, Settled::default());
        assert_eq!(campaign.books().await.uncertain, 1);
    }

    async fn who_was_reported_as_reached_is_not_asked_again_before_that_is_settled(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        in_doubt(&campaign, 2, KEYED).await;
        apply(&campaign, vec![line(&campaign, 1, OPENED, "a")]).await;
        let claimed: Vec<i64> = campaign.lease().await.unwrap().claim(10).await.iter().map(|claimed| claimed.contact.0).collect();
        assert_eq!(claimed, [2]);
        assert_eq!(campaign.books().await.sent, 1);
        assert_eq!(rows(&campaign).await[0].reason, None);
    }

    async fn a_stop_leaves_no_doubt_about_who_was_reported_as_reached(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        in_doubt(&campaign, 2, KEYED).await;
        apply(&campaign, vec![line(&campaign, 1, OPENED, "a")]).await;
        let id = campaign.id;
        let stop = move |conn: &mut Conn| {
            campaigns::transition(conn, id, CampaignEvent::Stop).map_err(|error| error.into_store_error().unwrap())?;
            while sweeps::sweep_page(conn, id)? != Swept::Done {}
            Ok(())
        };
        write(&campaign.store, stop).await.unwrap();
        let books = campaign.books().await;
        assert_eq!((books.sent, books.uncertain, books.skipped), (1, 1, 1));
    }

    async fn who_opened_a_message_that_was_called_failed_is_not_sent_to_again(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let (leased, _) = in_doubt(&campaign, 2, UNKEYED).await;
        let (id, page) = (campaign.id, leased.id());
        let failed = move |conn: &mut Conn| deliveries::resolve_pages(conn, &[page], None, Resolution::Failed);
        assert_eq!(write(&campaign.store, failed).await.unwrap(), 2);
        report(&campaign, &[(1, OPENED)]).await;
        let retry = move |conn: &mut Conn| {
            campaigns::transition(conn, id, CampaignEvent::Pause).map_err(|error| error.into_store_error().unwrap())?;
            campaigns::retry_failed(conn, id, None).map_err(|error| error.into_store_error().unwrap())?;
            while sweeps::sweep_page(conn, id)? != Swept::Done {}
            Ok(())
        };
        write(&campaign.store, retry).await.unwrap();
        let books = campaign.books().await;
        assert_eq!((books.pending, books.failed), (1, 1));
    }

    async fn reports_settle_campaigns_that_have_ended_and_contacts_that_are_gone(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        in_doubt(&campaign, 2, UNKEYED).await;
        db.execute("UPDATE campaigns SET status = 'sent', ended_at = 1");
        db.execute("UPDATE contacts SET deleted_at = 1, email = NULL WHERE id = 1");
        assert_eq!(report(&campaign, &[(1, OPENED), (2, OPENED)]).await, Settled { sent: 2, failed: 0 });
        assert_eq!(campaign.books().await.sent, 2);
        assert_eq!(db.number("SELECT count(*) AS n FROM pages WHERE state = 'done' AND sent = 2"), 1);
    }

    async fn a_late_outcome_finds_what_a_report_has_settled_on_the_books(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let (leased, claimed) = in_doubt(&campaign, 1, UNKEYED).await;
        report(&campaign, &[(1, OPENED)]).await;
        let recorded = record(&campaign.store, leased.accepted(&claimed)).await.unwrap();
        assert_eq!((recorded.changed, recorded.unmatched), (0, Vec::new()));
        assert_eq!(campaign.books().await.sent, 1);
    }
}
