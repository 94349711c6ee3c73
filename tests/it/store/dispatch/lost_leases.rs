//! Leases that lost their owner, and what is known of their recipients sooner or later.

use std::collections::BTreeMap;
use std::sync::Arc;

use volley::actors::dispatch::reaper::{self, Identity, LeaseResolver};
use volley::config::timing::Timing;
use volley::domain::campaigns::CampaignEvent;
use volley::domain::dispatch::abandoned::{Evidence, Repeat};
use volley::domain::dispatch::claim::ClaimKey;
use volley::domain::dispatch::delivery::DeliveryState;
use volley::domain::dispatch::settlement::Verdict;
use volley::domain::ids::{ContactId, InstanceId};
use volley::journal::{Journal, JournalContents};
use volley::store::dispatch::claims::Claimed;
use volley::store::dispatch::lost_leases::{self, Ended, OwnerFate};
use volley::store::dispatch::{deliveries, sweeps};
use volley::store::{Conn, Lane};

use super::packed::{Campaign, Leased, execute, record, write};
use crate::support::{Database, both_backends};

const UNKEYED: Repeat = Repeat { key_valid_ms: None, on_the_wire_ms: 1_000, max_attempts: 4, provider: None };

/// The same, with no call that could still be on the wire.
const GONE: Repeat = Repeat { on_the_wire_ms: 0, ..UNKEYED };

/// The slot and the boot of every incarnation here; leases are those of incarnation 1.
const SLOT: &str = "slot";
const BOOT: &str = "boot";

async fn end(leased: &Leased, owner: OwnerFate) -> Ended {
    let lease = leased.lease();
    let end = move |conn: &mut _| lost_leases::end_lease(conn, lease, owner, None, UNKEYED, &|_| Evidence::Ambiguous);
    write(&leased.campaign.store, end).await.unwrap().unwrap()
}

async fn sql(campaign: &Campaign, sql: &'static str) {
    let run = move |conn: &mut Conn| {
        execute(conn, sql);
        Ok(())
    };
    write(&campaign.store, run).await.unwrap();
}

fn key(leased: &Leased, claimed: &Claimed) -> ClaimKey {
    leased.settlement(claimed, Verdict::untouched()).key
}

fn sent() -> Verdict {
    Verdict { state: DeliveryState::Sent, counted: true, ..Verdict::untouched() }
}

/// The start of the next incarnation, with what the journals of this folder say.
async fn recover(db: &Database, campaign: &Campaign) {
    let identity = Identity { instance: InstanceId(2), slot: SLOT.to_owned(), boot_id: BOOT.to_owned() };
    let (testimony, _files) = JournalContents::of_folder(&db.folder().join("journal")).unwrap();
    let resolver = LeaseResolver::new(&[], &BTreeMap::new(), &Timing::default());
    reaper::recover(&campaign.store, &identity, &resolver, Arc::new(testimony)).await.unwrap();
}

fn journal(db: &Database) -> Journal {
    Journal::create(&db.folder().join("journal"), InstanceId(1), BOOT).unwrap()
}

both_backends! {
    async fn a_journal_knows_what_another_instance_had_to_leave_uncertain(db: &Database) {
        let campaign = Campaign::packed(db, 4, 10).await;
        let journal = journal(db);
        let leased = campaign.lease().await.unwrap();
        journal.leased(leased.lease());
        let claimed = leased.claim(4).await;
        journal.begin(key(&leased, &claimed[0])).unwrap();
        journal.outcome(key(&leased, &claimed[0]), &sent());
        journal.begin(key(&leased, &claimed[1])).unwrap();
        // Somebody who cannot read the journal ends the lease first.
        assert_eq!(end(&leased, OwnerFate::Died).await.uncertain, 4);
        recover(db, &campaign).await;
        let books = campaign.books().await;
        assert_eq!((books.sent, books.uncertain, books.pending), (1, 1, 2), "sent, begun, and two that were not begun");
        let again = campaign.lease().await.unwrap().claim(4).await;
        assert_eq!(again.iter().map(|claimed| claimed.contact).collect::<Vec<_>>(), [ContactId(3), ContactId(4)]);
        recover(db, &campaign).await;
        assert_eq!(campaign.books().await.uncertain, 1, "once more changes nothing");
    }

    async fn what_the_journal_no_longer_holds_stays_uncertain(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(2).await;
        // The file that named the lease has gone, with what was recorded in it.
        let journal = journal(db);
        journal.begin(key(&leased, &claimed[0])).unwrap();
        journal.outcome(key(&leased, &claimed[0]), &sent());
        journal.flush();
        end(&leased, OwnerFate::Died).await;
        recover(db, &campaign).await;
        let books = campaign.books().await;
        assert_eq!((books.sent, books.uncertain), (1, 1));
    }

    async fn a_later_attempt_that_was_not_begun_leaves_the_doubt_about_an_earlier_one(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let journal = journal(db);
        let leased = campaign.lease().await.unwrap();
        journal.leased(leased.lease());
        let first = leased.claim(1).await;
        let doubt = Verdict { counted: true, ambiguous: true, ..Verdict::untouched() };
        record(&campaign.store, vec![leased.settlement(&first[0], doubt)]).await.unwrap();
        leased.claim(1).await;
        end(&leased, OwnerFate::Died).await;
        recover(db, &campaign).await;
        assert_eq!(campaign.books().await.uncertain, 1);
    }

    async fn all_former_leases_are_resolved_however_many_and_no_others(db: &Database) {
        let campaign = Campaign::packed(db, 1, 1).await;
        sql(&campaign, "INSERT INTO instances (id, slot, host, version, boot_id, started_at, last_seen_at) \
            VALUES (1, 'slot', '', '', 'boot', 0, 0), (7, 'another slot', '', '', 'boot', 0, 0)").await;
        sql(&campaign, "INSERT INTO pages (campaign_id, seq, pool, first_contact_id, last_contact_id, size, state, due_at, \
            lease_token, lease_until, lease_instance_id, pending, sending, sent, failed, skipped, uncertain) \
            WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < 521) \
            SELECT campaign_id, n, pool, first_contact_id, last_contact_id, 0, 'leased', 0, \
            n, 0, CASE WHEN n <= 511 THEN 1 ELSE 7 END, 0, 0, 0, 0, 0, 0 FROM pages, n").await;
        journal(db);
        recover(db, &campaign).await;
        let open = campaign.store.run(Lane::Read, "test", volley::store::dispatch::open_work::count).await.unwrap();
        assert_eq!((open.ready_pages, open.leased_pages), (1, 10));
    }

    async fn a_living_owner_that_came_too_late_is_no_death(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        for _ in 0..3 {
            let leased = campaign.lease().await.unwrap();
            assert_eq!(leased.page.deaths, 0);
            let lease = leased.lease();
            leased.claim(1).await;
            let end = move |conn: &mut _| {
                lost_leases::end_lease(conn, lease, OwnerFate::Lives, None, GONE, &|_| Evidence::NotBegun)
            };
            assert_eq!(write(&campaign.store, end).await.unwrap().unwrap().poison, 0);
        }
        let leased = campaign.lease().await.unwrap();
        leased.claim(1).await;
        end(&leased, OwnerFate::Died).await;
        assert_eq!(campaign.books().await.uncertain, 1, "a first death, alone in flight");
    }

    async fn nothing_that_was_said_is_kept_of_what_has_ended(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(2).await;
        let words = |n: usize| volley::domain::dispatch::settlement::Settlement {
            content: Some(r#"{"subject":"s","text":"t","html":null}"#.to_owned()),
            ..leased.settlement(&claimed[n], Verdict::untouched())
        };
        record(&campaign.store, vec![words(0), words(1)]).await.unwrap();
        leased.claim(1).await;
        end(&leased, OwnerFate::Died).await;
        assert_eq!(kept(&campaign).await, 1, "one is uncertain, one goes on");
        let id = campaign.id;
        campaign.event(CampaignEvent::Stop).await.unwrap();
        while write(&campaign.store, move |conn| sweeps::sweep_page(conn, id)).await.unwrap() != sweeps::Swept::Done {}
        assert_eq!(campaign.books().await.skipped, 2);
        assert_eq!(kept(&campaign).await, 0);
    }

    async fn one_contact_that_cannot_be_read_fails_alone(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        sql(&campaign, "UPDATE contacts SET attributes = '{broken' WHERE id = 2").await;
        let leased = campaign.lease().await.unwrap();
        assert_eq!(leased.claim(3).await.len(), 2);
        assert_eq!(campaign.books().await.failed, 1);
        let id = campaign.id;
        let list = move |conn: &mut Conn| deliveries::list(conn, id, Some(DeliveryState::Failed), ContactId(0), 10);
        let failed = campaign.store.run(Lane::Read, "test", list).await.unwrap();
        assert_eq!(failed[0].0.contact_id, ContactId(2));
        assert_eq!(failed[0].0.reason.as_deref(), Some("the contact's stored attributes are not readable"));
    }
}

async fn kept(campaign: &Campaign) -> i64 {
    use diesel::prelude::*;
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        n: i64,
    }
    let count = |conn: &mut Conn| {
        let query = diesel::sql_query("SELECT count(*) AS n FROM delivery_contents");
        let counted: QueryResult<Count> = match conn {
            Conn::Pg(conn) => query.get_result(conn),
            Conn::Sqlite(conn) => query.get_result(conn),
        };
        Ok(counted.unwrap().n)
    };
    campaign.store.run(Lane::Read, "test", count).await.unwrap()
}
