//! Transactions that write the same side rows of a campaign: on PostgreSQL one waits for the other, and never both.

use std::time::Duration;

use volley::domain::dispatch::abandoned::{Evidence, Repeat};
use volley::domain::dispatch::claim::ClaimKey;
use volley::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use volley::domain::dispatch::evidence::{Begun, Known};
use volley::domain::dispatch::outcome::Outcome;
use volley::domain::dispatch::settlement::Verdict;
use volley::domain::dispatch::trouble::Trouble;
use volley::store::dispatch::deliveries::{self, Resolution};
use volley::store::dispatch::lost_leases::{self, OwnerFate};
use volley::store::dispatch::rewind;
use volley::store::{Conn, StoreError};

use super::packed::{Campaign, Leased, execute, number, record, verdict, write};
use crate::support::Database;
use crate::support::waiting::wait_until;

/// One that knows of no keys; a call lasts a second.
const UNKEYED: Repeat = Repeat { key_valid_ms: None, on_the_wire_ms: 1_000, max_attempts: 4, provider: None };

/// Sessions that wait for a lock of another one.
const WAITING: &str = "SELECT count(*) AS n FROM pg_stat_activity \
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Sessions that have written minutes, and hold them.
const HOLDING_MINUTES: &str = "SELECT count(*) AS n FROM pg_locks WHERE granted AND mode = 'RowExclusiveLock' \
    AND relation = 'campaign_minutes'::regclass";

/// Two pages of two recipients, all four uncertain: on the first one because their sender died, on the second one because the network
/// failed.
async fn in_doubt(db: &Database) -> (Campaign, Vec<Leased>) {
    let campaign = Campaign::packed(db, 4, 2).await;
    let dead = campaign.lease().await.unwrap();
    dead.claim(2).await;
    let lease = dead.lease();
    let end = move |conn: &mut Conn| {
        lost_leases::end_lease(conn, lease, OwnerFate::Died, None, UNKEYED, &|_| Evidence::Ambiguous)
    };
    write(&campaign.store, end).await.unwrap();
    let cut_off = campaign.lease().await.unwrap();
    let cut = verdict(&Outcome::Unknown(Trouble::new(ErrorCategory::Network, "cut")));
    let claimed = cut_off.claim(2).await;
    let batch = claimed.iter().map(|claimed| cut_off.settlement(claimed, cut.clone())).collect();
    record(&campaign.store, batch).await.unwrap();
    assert_eq!(campaign.books().await.uncertain, 4);
    (campaign, vec![dead, cut_off])
}

/// While somebody else holds a reason of the second page, `work` waits for it and holds no minute, which the other one may come to need.
/// Afterwards it goes on.
fn waits_with_empty_hands<T: Send + 'static>(
    db: &Database,
    work: impl FnOnce(&mut Conn) -> Result<T, StoreError> + Send + 'static,
) -> T {
    let (mut other, mut watcher, mut conn) = (db.connect(), db.connect(), db.connect());
    execute(&mut other, "BEGIN; SELECT FROM campaign_reasons WHERE category = 'dispatch_network' FOR UPDATE");
    let working = std::thread::spawn(move || work(&mut conn));
    wait_until("it waits for the reason", Duration::from_secs(10), || number(&mut watcher, WAITING) > 0);
    assert_eq!(number(&mut watcher, HOLDING_MINUTES), 0, "it holds minutes while it waits for a reason");
    execute(&mut other, "COMMIT");
    working.join().unwrap().unwrap()
}

#[test]
fn who_resolves_several_pages_holds_nothing_that_others_need_while_it_waits() {
    let Some(db) = Database::postgres("who_resolves_several_pages_holds_nothing") else { return };
    actix_rt::System::new().block_on(async {
        let (campaign, pages) = in_doubt(&db).await;
        let ids: Vec<_> = pages.iter().map(Leased::id).collect();
        let resolved = waits_with_empty_hands(&db, move |conn| {
            conn.write(|conn| deliveries::resolve_pages(conn, &ids, None, Resolution::Failed))
        });
        assert_eq!((resolved, campaign.books().await.failed), (4, 4));
    });
}

#[test]
fn what_a_journal_knows_is_written_down_holding_nothing_that_others_need_while_it_waits() {
    let Some(db) = Database::postgres("what_a_journal_knows_is_written_down_holding_nothing") else { return };
    actix_rt::System::new().block_on(async {
        let (campaign, pages) = in_doubt(&db).await;
        let sent = Verdict { state: DeliveryState::Sent, counted: true, ..Verdict::untouched() };
        let mut known = Known::new();
        for leased in &pages {
            for contact in [leased.page.first_contact_id, leased.page.last_contact_id] {
                let key = ClaimKey { campaign: campaign.id, contact, claim_no: 2, token: leased.token };
                known.insert(contact, vec![Begun { key, verdict: Some(sent.clone()) }]);
            }
        }
        let id = campaign.id;
        let replayed = waits_with_empty_hands(&db, move |conn| rewind::replay(conn, id, &known));
        assert_eq!((replayed.restored, campaign.books().await.sent), (4, 4));
    });
}
