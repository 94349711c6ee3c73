//! Addresses that do not exist, as the provider answers at the hand-over.

use volley::domain::dispatch::abandoned::{Evidence, Repeat};
use volley::domain::dispatch::answer::{AnswerClass, Refusal};
use volley::domain::dispatch::delivery::ErrorCategory;
use volley::domain::dispatch::outcome::Outcome;
use volley::domain::dispatch::trouble::Trouble;
use volley::store::Conn;
use volley::store::dispatch::lost_leases::{self, OwnerFate};

use super::packed::{Campaign, accepted, record, verdict, write};
use crate::support::both_backends;

const REFUSED: &str = "SELECT CAST(coalesce(sum(refused), 0) AS BIGINT) AS n FROM page_reports";
const SUPPRESSED: &str = "SELECT count(*) AS n FROM suppressions WHERE channel = 'email' AND bounced_at IS NOT NULL";
const LOGGED: &str = "SELECT count(*) AS n FROM consent_log WHERE source = 'pool: main' AND after = 'bounced'";

fn unknown_address() -> Outcome {
    let trouble = Trouble::new(ErrorCategory::Refused, "550 5.1.1 no such user");
    let signature = "550 5.1.1".to_owned();
    Outcome::Refused(Refusal { class: AnswerClass::Address, permanent: true, wait: None, signature, trouble })
}

both_backends! {
    async fn an_address_that_does_not_exist_is_suppressed_once_and_counted(db: &Database) {
        let campaign = Campaign::packed(db, 4, 2).await;
        let mut batch = Vec::new();
        while let Some(leased) = campaign.lease().await {
            for claimed in leased.claim(2).await {
                let outcome = if claimed.contact.0 == 2 { accepted() } else { unknown_address() };
                batch.push(leased.settlement(&claimed, verdict(&outcome)));
            }
        }
        for _ in 0..2 {
            record(&campaign.store, batch.clone()).await.unwrap();
            assert_eq!((db.number(REFUSED), db.number(SUPPRESSED), db.number(LOGGED)), (3, 3, 3));
        }
        assert_eq!(campaign.books().await.failed, 3);
    }

    async fn who_has_another_address_by_now_is_not_suppressed_for_the_old_one(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(2).await;
        db.execute("UPDATE contacts SET email = 'new@example.com', version = version + 1 WHERE id = 2");
        let batch = claimed.iter().map(|claimed| leased.settlement(claimed, verdict(&unknown_address()))).collect();
        record(&campaign.store, batch).await.unwrap();
        assert_eq!((db.number(REFUSED), db.number(SUPPRESSED)), (2, 1));
        assert_eq!(db.number("SELECT count(*) AS n FROM suppressions WHERE address = 'new@example.com'"), 0);
    }

    async fn what_only_the_journal_knew_of_an_address_suppresses_it_too(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let leased = campaign.lease().await.unwrap();
        leased.claim(2).await;
        let (lease, known) = (leased.lease(), Evidence::Ended(verdict(&unknown_address())));
        let repeat = Repeat { key_valid_ms: None, on_the_wire_ms: 0, max_attempts: 4, provider: None };
        let end = move |conn: &mut Conn| {
            lost_leases::end_lease(conn, lease, OwnerFate::Died, None, repeat, &|_| known.clone())
        };
        write(&campaign.store, end).await.unwrap().expect("the lease was not over");
        assert_eq!((db.number(REFUSED), db.number(SUPPRESSED)), (2, 2));
        assert_eq!(campaign.books().await.failed, 2);
    }
}
