//! What was left in doubt by a lost owner: when it may be asked again, in which words, and what old journals are worth.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use volley::actors::dispatch::reaper::{self, Identity, LeaseResolver};
use volley::channels::{self, Channel};
use volley::config::pools::{PoolConfig, ServerConfig, WebhookConfig};
use volley::config::timing::Timing;
use volley::domain::channel::ChannelKind;
use volley::domain::content::message::{Kept, Message};
use volley::domain::dispatch::delivery::DeliveryState;
use volley::domain::dispatch::fingerprint::ProviderFingerprint;
use volley::domain::dispatch::settlement::{Settlement, Verdict};
use volley::domain::ids::{ContactId, InstanceId};
use volley::journal::{Journal, JournalContents};
use volley::store::dispatch::claims::Claimed;
use volley::store::dispatch::deliveries::{self, DeliveryRow, Resolution};
use volley::store::{Conn, Lane};

use super::packed::{Campaign, Leased, POOL, execute, record, write};
use crate::support::{Database, both_backends};

const BOOT: &str = "present-boot";
const EARLIER: &str = "earlier-boot";

/// A provider that honours keys, or does not.
fn pool(idempotent: bool) -> PoolConfig {
    pool_of(webhook(idempotent))
}

fn pool_of(webhook: WebhookConfig) -> PoolConfig {
    PoolConfig { name: POOL.to_owned(), channel: ChannelKind::Email, timeout_seconds: 20, ..PoolConfig::bare(webhook) }
}

fn webhook(idempotent: bool) -> WebhookConfig {
    WebhookConfig { server: ServerConfig::at("http://127.0.0.1:1/"), idempotent, ..WebhookConfig::default() }
}

fn provider(idempotent: bool) -> ProviderFingerprint {
    pool(idempotent).fingerprint()
}

/// An attempt at whoever was claimed that went unanswered, under a key that lives, with what it said.
fn unanswered(leased: &Leased, claimed: &Claimed, content: Option<String>) -> Settlement {
    let verdict = Verdict { counted: true, ambiguous: true, ..Verdict::untouched() };
    Settlement { content, key_valid_ms: Some(3_600_000), ..leased.settlement(claimed, verdict) }
}

/// What such an attempt said to that address.
fn said(to: Option<&str>) -> String {
    let message = Message { subject: "one".to_owned(), text: String::new(), html: None, ..Message::default() };
    let kept = Kept { message, to: to.map(str::to_owned), to_name: None, details: None };
    serde_json::to_string(&kept).unwrap()
}

async fn sql(campaign: &Campaign, sql: &'static str) {
    let run = move |conn: &mut Conn| {
        execute(conn, sql);
        Ok(())
    };
    write(&campaign.store, run).await.unwrap();
}

/// Registers the owner of every lease here, as an incarnation of that boot.
async fn register(campaign: &Campaign, boot: &'static str) {
    let insert = format!(
        "INSERT INTO instances (id, slot, host, version, boot_id, started_at, last_seen_at) \
         VALUES (1, 'slot', '', '', '{boot}', 0, 0)"
    );
    let run = move |conn: &mut Conn| {
        execute(conn, &insert);
        Ok(())
    };
    write(&campaign.store, run).await.unwrap();
}

/// The next start in the same slot, with the journals that lie in the test's folder.
async fn restart(db: &Database, campaign: &Campaign, pool: PoolConfig) {
    let channel: Arc<dyn Channel> = Arc::from(channels::build(&pool).unwrap());
    let resolver = LeaseResolver::new(&[pool], &BTreeMap::from([(POOL.to_owned(), channel)]), &Timing::default());
    let identity = Identity { instance: InstanceId(2), slot: "slot".to_owned(), boot_id: BOOT.to_owned() };
    let folder = db.folder().join("journal");
    std::fs::create_dir_all(&folder).unwrap();
    let (testimony, _files) = JournalContents::of_folder(&folder).unwrap();
    reaper::recover(&campaign.store, &identity, &resolver, Arc::new(testimony)).await.unwrap();
}

fn journal(db: &Database, boot: &str) -> Journal {
    Journal::create(&db.folder().join("journal"), InstanceId(1), boot).unwrap()
}

/// Writes the history of four claims: one ended, one begun, two of which there is no line.
fn reconcile(journal: &Journal, leased: &Leased, claimed: &[Claimed]) {
    let key = |n: usize| leased.settlement(&claimed[n], Verdict::untouched()).key;
    journal.leased(leased.lease());
    journal.begin(key(0)).unwrap();
    journal.outcome(key(0), &Verdict { state: DeliveryState::Sent, counted: true, ..Verdict::untouched() });
    journal.begin(key(1)).unwrap();
}

async fn rows(campaign: &Campaign) -> Vec<DeliveryRow> {
    let id = campaign.id;
    let list = move |conn: &mut Conn| deliveries::list(conn, id, None, ContactId(0), 10);
    let listed = campaign.store.run(Lane::Read, "test", list).await.unwrap();
    listed.into_iter().map(|(delivery, _)| delivery).collect()
}

/// Lets the time pass that an unanswered call may take.
async fn wait_out_the_call(campaign: &Campaign) {
    sql(campaign, "UPDATE deliveries SET due_at = 0; UPDATE pages SET due_at = 0").await;
}

both_backends! {
    async fn an_unanswered_call_is_repeated_only_when_it_cannot_be_on_the_wire_any_more(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        register(&campaign, BOOT).await;
        let leased = campaign.lease().await.unwrap();
        leased.claim_for(provider(true), 2).await;
        let pool = pool(true);
        let call = channels::build(&pool).unwrap().call_timeout();
        assert!(call >= Duration::from_secs(20));
        restart(db, &campaign, pool).await;
        assert!(campaign.lease().await.is_none(), "the first call may still be under way");
        let longest = Duration::from_millis(500) + call + Duration::from_millis(2_000);
        for row in rows(&campaign).await {
            assert_eq!(row.state, DeliveryState::Pending);
            assert!(row.due_at >= row.claimed_at.unwrap().plus(longest), "{row:?}");
        }
        wait_out_the_call(&campaign).await;
        assert!(campaign.lease().await.unwrap().claim_for(provider(true), 2).await.iter().all(|claimed| claimed.ambiguous));
    }

    async fn a_contact_that_changed_since_an_unanswered_attempt_is_not_asked_again(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        register(&campaign, BOOT).await;
        campaign.lease().await.unwrap().claim_for(provider(true), 2).await;
        sql(&campaign, "UPDATE contacts SET first_name = 'Another', version = version + 1 WHERE id = 2").await;
        restart(db, &campaign, pool(true)).await;
        wait_out_the_call(&campaign).await;
        let again = campaign.lease().await.unwrap().claim_for(provider(true), 2).await;
        assert_eq!(again.iter().map(|claimed| claimed.contact).collect::<Vec<_>>(), [ContactId(1)]);
        let books = campaign.books().await;
        assert_eq!((books.sending, books.uncertain), (1, 1));
        let changed = rows(&campaign).await.swap_remove(1);
        let reason = changed.reason.unwrap_or_default();
        assert!(reason.contains("the contact changed"), "{reason}");
    }

    async fn a_contact_that_changed_is_asked_again_in_the_words_that_were_kept(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(1).await;
        let words = said(Some("person1@example.com"));
        record(&campaign.store, vec![unanswered(&leased, &claimed[0], Some(words))]).await.unwrap();
        sql(&campaign, "UPDATE contacts SET first_name = 'Another', version = version + 1").await;
        let again = leased.claim(1).await;
        assert_eq!(again[0].content.as_ref().map(|kept| kept.message.subject.as_str()), Some("one"));
    }

    async fn a_contact_whose_address_changed_is_not_asked_again_under_the_same_key(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(2).await;
        let words = |n: usize| Some(said(Some(&format!("person{}@example.com", n + 1))));
        let batch = (0..2).map(|n| unanswered(&leased, &claimed[n], words(n))).collect();
        record(&campaign.store, batch).await.unwrap();
        sql(&campaign, "UPDATE contacts SET email = 'new@example.com', version = version + 1 WHERE id = 2").await;
        let again = leased.claim(2).await;
        assert_eq!(again.iter().map(|claimed| claimed.contact).collect::<Vec<_>>(), [ContactId(1)]);
        assert_eq!(campaign.books().await.uncertain, 1);
        let reason = rows(&campaign).await.swap_remove(1).reason.unwrap_or_default();
        assert!(reason.contains("address changed"), "{reason}");
    }

    async fn what_an_earlier_version_kept_is_read_and_stands_while_the_contact_does(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(2).await;
        let batch = claimed.iter().map(|one| unanswered(&leased, one, Some(said(None)))).collect();
        record(&campaign.store, batch).await.unwrap();
        // As a version without these columns and fields left it.
        sql(&campaign, "UPDATE deliveries SET provider_fingerprint = NULL").await;
        sql(&campaign, "UPDATE contacts SET email = 'new@example.com', version = version + 1 WHERE id = 2").await;
        let again = leased.claim(2).await;
        assert_eq!(again.iter().map(|claimed| claimed.contact).collect::<Vec<_>>(), [ContactId(1)]);
        assert_eq!(again[0].content.as_ref().map(|kept| kept.message.subject.as_str()), Some("one"));
        assert!(again[0].key_until.is_some(), "the key's end is still known");
    }

    async fn a_pool_with_another_provider_asks_nobody_again_under_an_old_key(db: &Database) {
        let campaign = Campaign::packed(db, 3, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim_for(provider(true), 3).await;
        // One was put off for certain: whoever the pool sends through may have it.
        let deferred = Settlement { key_valid_ms: Some(60_000), ..leased.settlement(&claimed[2], Verdict::untouched()) };
        let batch = vec![unanswered(&leased, &claimed[0], None), unanswered(&leased, &claimed[1], None), deferred];
        record(&campaign.store, batch).await.unwrap();
        let moved = pool_of(WebhookConfig { server: ServerConfig::at("http://127.0.0.1:2/"), ..webhook(true) });
        let again = leased.claim_for(moved.fingerprint(), 3).await;
        assert_eq!(again.iter().map(|claimed| claimed.contact).collect::<Vec<_>>(), [ContactId(3)]);
        assert_eq!(again[0].key_until, None, "what the first provider said of its key is nothing to the second");
        assert_eq!(campaign.books().await.uncertain, 2);
        let reason = rows(&campaign).await.swap_remove(0).reason.unwrap_or_default();
        assert!(reason.contains("another provider"), "{reason}");
    }

    async fn a_pool_that_sends_in_another_form_asks_nobody_again_under_an_old_key(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim_for(provider(true), 1).await;
        record(&campaign.store, vec![unanswered(&leased, &claimed[0], None)]).await.unwrap();
        let reworded = pool_of(WebhookConfig { body: Some(r#"{"to":"{to}"}"#.to_owned()), ..webhook(true) });
        let again = leased.claim_for(reworded.fingerprint(), 2).await;
        assert_eq!(again.iter().map(|claimed| claimed.contact).collect::<Vec<_>>(), [ContactId(2)]);
        let reason = rows(&campaign).await.swap_remove(0).reason.unwrap_or_default();
        assert!(reason.contains("the pool's settings change the message"), "{reason}");
    }

    async fn who_agreed_to_messages_that_come_twice_is_asked_again_through_another_provider(db: &Database) {
        let campaign = Campaign::packed(db, 1, 10).await;
        sql(&campaign, "UPDATE campaigns SET on_uncertain = 'resend'").await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim_for(provider(true), 1).await;
        record(&campaign.store, vec![unanswered(&leased, &claimed[0], None)]).await.unwrap();
        assert_eq!(leased.claim_for(provider(false), 1).await.len(), 1);
    }

    async fn a_start_with_another_provider_leaves_what_is_in_doubt_uncertain(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        register(&campaign, BOOT).await;
        // Claimed for a relay that knows no keys; the pool's name is that of a keyed webhook by now.
        campaign.lease().await.unwrap().claim_for(provider(false), 2).await;
        restart(db, &campaign, pool(true)).await;
        assert_eq!(campaign.books().await.uncertain, 2);
    }

    async fn a_journal_from_another_boot_presumes_nothing_not_begun(db: &Database) {
        let campaign = Campaign::packed(db, 4, 10).await;
        register(&campaign, EARLIER).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim_for(provider(false), 4).await;
        reconcile(&journal(db, EARLIER), &leased, &claimed);
        restart(db, &campaign, pool(false)).await;
        let books = campaign.books().await;
        // What was written down did happen; what was not may have happened all the same.
        assert_eq!((books.sent, books.uncertain, books.pending), (1, 3, 0));
    }

    async fn after_another_boot_a_provider_that_honours_keys_is_asked_again_in_time(db: &Database) {
        let campaign = Campaign::packed(db, 4, 10).await;
        register(&campaign, EARLIER).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim_for(provider(true), 4).await;
        reconcile(&journal(db, EARLIER), &leased, &claimed);
        restart(db, &campaign, pool(true)).await;
        assert!(campaign.lease().await.is_none(), "each of them may still be under way");
        wait_out_the_call(&campaign).await;
        let again = campaign.lease().await.unwrap().claim_for(provider(true), 4).await;
        assert_eq!((again.len(), campaign.books().await.sent), (3, 1), "what was written down did happen");
        assert!(again.iter().all(|claimed| claimed.ambiguous && claimed.key_until.is_some()));
    }

    async fn a_journal_of_this_boot_tells_what_was_not_begun(db: &Database) {
        let campaign = Campaign::packed(db, 4, 10).await;
        register(&campaign, BOOT).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim_for(provider(false), 4).await;
        reconcile(&journal(db, BOOT), &leased, &claimed);
        restart(db, &campaign, pool(false)).await;
        let books = campaign.books().await;
        assert_eq!((books.sent, books.uncertain, books.pending), (1, 1, 2));
    }

    async fn a_key_that_ended_long_ago_begins_anew_when_an_operator_has_it_sent_again(db: &Database) {
        let campaign = Campaign::packed(db, 2, 10).await;
        let leased = campaign.lease().await.unwrap();
        let claimed = leased.claim(2).await;
        let batch = claimed.iter().map(|one| unanswered(&leased, one, None)).collect();
        record(&campaign.store, batch).await.unwrap();
        sql(&campaign, "UPDATE deliveries SET provider_key_until = 1 WHERE contact_id = 1").await;
        sql(&campaign, "UPDATE contacts SET version = version + 1 WHERE id = 2").await;
        assert!(leased.claim(2).await.is_empty(), "neither can be asked again by itself");
        let page = leased.id();
        let resolve = move |conn: &mut Conn| deliveries::resolve_pages(conn, &[page], None, Resolution::Pending);
        assert_eq!(write(&campaign.store, resolve).await.unwrap(), 2);
        let again = leased.claim(2).await;
        // The other key is known for as long as the provider said when it first heard it.
        assert_eq!(again.iter().map(|one| one.key_until.is_some()).collect::<Vec<_>>(), [false, true]);
    }
}
