//! The keys of links.

use std::time::{Duration, Instant};

use volley::domain::ids::{CampaignId, ContactId, ListId};
use volley::domain::instant::UtcInstant;
use volley::domain::people::link::{Kid, Link, LinkKey};
use volley::services::By;
use volley::services::people::links::{CampaignLinks, Links};
use volley::services::people::rotate_links::rotate_links;
use volley::store::people::link_keys;
use volley::store::{Conn, Lane, Store};

use super::open;
use crate::support::both_backends;

const UNSUBSCRIBE: Link = Link::Unsubscribe { campaign: CampaignId(1), contact: ContactId(2) };

async fn newest(store: &Store) -> LinkKey {
    store.transact(Lane::Write, "find the key", link_keys::newest_or_first).await.unwrap()
}

async fn linked(store: &Store) -> Links {
    let links = Links::new(store.clone(), Some("https://mail.example.com".to_owned()));
    links.prepare().await.unwrap();
    links
}

/// The token of a link's address.
fn token(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

both_backends! {
    async fn the_newest_key_signs_and_the_others_go_on_verifying(db: &Database) {
        let store = open(db).await;
        let links = linked(&store).await;
        let old = newest(&store).await;
        let sent = old.sign(&UNSUBSCRIBE);
        let kid = rotate_links(&store, &By::command_line()).await.unwrap();
        assert_eq!(newest(&store).await.kid(), kid);
        assert_ne!(kid, old.kid());
        // Also for a process that starts after the rotation.
        for links in [links, linked(&store).await] {
            assert_eq!(links.open(&sent).await.unwrap(), Some((UNSUBSCRIBE, old.kid())));
        }
    }

    async fn a_rotation_while_the_clock_is_behind_makes_the_newest_key_all_the_same(db: &Database) {
        let store = open(db).await;
        newest(&store).await;
        db.execute("UPDATE link_keys SET created_at = created_at + 3600000");
        let kid = rotate_links(&store, &By::command_line()).await.unwrap();
        assert_eq!(newest(&store).await.kid(), kid);
    }

    async fn two_instances_that_start_on_an_empty_database_share_one_key(db: &Database) {
        let store = open(db).await;
        let (one, two) = (linked(&store).await, linked(&store).await);
        let sent = newest(&store).await.sign(&UNSUBSCRIBE);
        assert!(one.open(&sent).await.unwrap().is_some() && two.open(&sent).await.unwrap().is_some());
        assert_eq!(db.number("SELECT count(*) AS n FROM link_keys"), 1);
    }

    async fn an_unknown_kid_is_looked_up_at_most_once_a_second(db: &Database) {
        let store = open(db).await;
        let links = linked(&store).await;
        let forged = LinkKey::new(Kid::parse("zzzz").unwrap(), &[7; 32]).sign(&UNSUBSCRIBE);
        let looked_at = Instant::now();
        assert_eq!(links.open(&forged).await.unwrap(), None);
        let made = store.transact(Lane::Write, "rotate", |conn: &mut Conn| link_keys::create(conn)).await.unwrap();
        let sent = made.sign(&UNSUBSCRIBE);
        let mut answers = Vec::new();
        while answers.last() != Some(&true) {
            answers.push(links.open(&sent).await.unwrap().is_some());
            assert!(looked_at.elapsed() < Duration::from_secs(20), "the new key is never looked up");
        }
        assert!(looked_at.elapsed() >= Duration::from_secs(1), "it was looked up after {:?}", looked_at.elapsed());
    }

    async fn a_known_kid_asks_the_database_nothing(db: &Database) {
        let store = open(db).await;
        let links = linked(&store).await;
        let sent = newest(&store).await.sign(&UNSUBSCRIBE);
        // A database that has lost its keys opens what this process knows.
        db.execute("DELETE FROM link_keys");
        assert!(links.open(&sent).await.unwrap().is_some());
        links.refresh().await.unwrap();
        assert!(links.open(&sent).await.unwrap().is_some());
    }

    async fn the_links_of_a_campaign_are_the_same_each_time(db: &Database) {
        let store = open(db).await;
        let links = linked(&store).await;
        let launched_at = UtcInstant(1_800_000_000_000);
        let of = |key: LinkKey| CampaignLinks::new(links.base().unwrap().clone(), key, CampaignId(1), launched_at);
        let (one, two) = (of(newest(&store).await), of(newest(&store).await));
        assert_eq!(one.unsubscribe(ContactId(2)), two.unsubscribe(ContactId(2)));
        assert_eq!(one.preferences(ContactId(2)), two.preferences(ContactId(2)));
        assert_ne!(one.unsubscribe(ContactId(2)), one.unsubscribe(ContactId(3)));
        let url = one.unsubscribe(ContactId(2));
        assert!(url.starts_with("https://mail.example.com/u/"), "{url}");
        assert_eq!(links.open(token(&url)).await.unwrap().unwrap().0, UNSUBSCRIBE);
        let (preferences, _) = links.open(token(&one.preferences(ContactId(2)))).await.unwrap().unwrap();
        assert_eq!(preferences, Link::preferences(CampaignId(1), ContactId(2), launched_at));
    }

    async fn a_confirmation_names_list_contact_and_address(db: &Database) {
        let store = open(db).await;
        let links = linked(&store).await;
        db.execute("INSERT INTO contacts (id, email, attributes, version, created_at, updated_at) VALUES (4, 'ann@example.com', '{}', 1, 0, 0)");
        let urls = links.confirm_urls(ListId(3), vec![ContactId(4), ContactId(5)]).await.unwrap();
        let (contact, url) = urls.into_iter().next().unwrap();
        assert_eq!(contact, ContactId(4));
        assert!(url.starts_with("https://mail.example.com/confirm/"), "{url}");
        let (link, kid) = links.open(token(&url)).await.unwrap().unwrap();
        let Link::Confirm { list, contact, address, .. } = link else { panic!("{link:?}") };
        let key = links.key(kid).await.unwrap().unwrap();
        assert_eq!((list, contact, address), (ListId(3), ContactId(4), key.mark("ann@example.com")));
        assert_ne!(address, key.mark("bob@example.com"));
        let nowhere = Links::new(store.clone(), None);
        assert!(nowhere.confirm_urls(ListId(3), vec![ContactId(4)]).await.unwrap().is_empty());
    }
}
