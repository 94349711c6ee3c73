//! The audience is that of the launch: who joins a list later is not sent to.

use volley::domain::campaigns::CampaignEvent;
use volley::domain::campaigns::audience::Audience;
use volley::domain::ids::{ContactId, ListId};
use volley::domain::people::consent::Source;
use volley::store::dispatch::deliveries;
use volley::store::dispatch::packing::Packed;
use volley::store::people::consent::Scribe;
use volley::store::people::lists;
use volley::store::{Conn, Lane, campaigns};

use crate::store::dispatch::packed::{Campaign, number};
use crate::support::both_backends;

/// Two lists: contacts 1 to 5, and 4 to 7. Contacts 8 to 12 are on none.
const LISTS: &str = "
    INSERT INTO lists (id, name, created_at, updated_at) VALUES (1, 'a', 0, 0), (2, 'b', 0, 0);
    INSERT INTO list_members (list_id, contact_id, created_at) VALUES
        (1, 1, 0), (1, 2, 0), (1, 3, 0), (1, 4, 0), (1, 5, 0), (2, 4, 0), (2, 5, 0), (2, 6, 0), (2, 7, 0);";

fn audience(lists: &[i64]) -> Audience {
    Audience::of_lists(lists.iter().copied().map(ListId).collect())
}

fn api() -> Scribe {
    Scribe::of(Source::API)
}

async fn join(campaign: &Campaign, list: i64, ids: &'static [i64]) {
    let ids: Vec<ContactId> = ids.iter().copied().map(ContactId).collect();
    let joined =
        campaign.store.run(Lane::Write, "join", move |conn| lists::add_members(conn, &api(), ListId(list), &ids));
    joined.await.unwrap();
}

async fn leave(campaign: &Campaign, list: i64, contact: i64) {
    let left = move |conn: &mut Conn| lists::remove_members(conn, &api(), ListId(list), &[ContactId(contact)]);
    campaign.store.run(Lane::Write, "leave", left).await.unwrap();
}

/// Packs to the end. Who is in the books, and how many were announced.
async fn packed(campaign: &Campaign) -> (Vec<i64>, i64) {
    while campaign.pack_page(2).await.unwrap() != Packed::Done {}
    let id = campaign.id;
    let look = move |conn: &mut Conn| {
        let listed = deliveries::list(conn, id, None, ContactId(0), 100)?;
        Ok((listed, campaigns::packing(conn, id)?.unwrap().expected))
    };
    let (listed, expected) = campaign.store.run(Lane::Read, "look", look).await.unwrap();
    campaign.books().await;
    (listed.into_iter().map(|(delivery, _)| delivery.contact_id.0).collect(), expected)
}

both_backends! {
    async fn who_joins_a_list_after_the_launch_is_not_in_the_audience(db: &Database) {
        let campaign = Campaign::launched_to(db, 12, audience(&[1]), LISTS).await;
        join(&campaign, 1, &[8, 9, 10]).await;
        assert_eq!(packed(&campaign).await, (vec![1, 2, 3, 4, 5], 5));
    }

    async fn who_joins_one_of_several_lists_after_the_launch_is_not_in_the_audience(db: &Database) {
        let campaign = Campaign::launched_to(db, 12, audience(&[1, 2]), LISTS).await;
        // Who is in the audience by one list stays in it.
        join(&campaign, 2, &[1, 8, 12]).await;
        assert_eq!(packed(&campaign).await, (vec![1, 2, 3, 4, 5, 6, 7], 7));
    }

    async fn who_joins_while_packing_is_paused_is_not_in_the_audience(db: &Database) {
        let campaign = Campaign::launched_to(db, 12, audience(&[1]), LISTS).await;
        assert!(matches!(campaign.pack_page(2).await.unwrap(), Packed::Page { size: 2, .. }));
        campaign.event(CampaignEvent::Pause).await.unwrap();
        join(&campaign, 1, &[6, 11]).await;
        campaign.event(CampaignEvent::Resume).await.unwrap();
        assert_eq!(packed(&campaign).await, (vec![1, 2, 3, 4, 5], 5));
    }

    async fn who_leaves_a_list_and_comes_back_after_the_launch_is_not_in_the_audience(db: &Database) {
        let campaign = Campaign::launched_to(db, 12, audience(&[1]), LISTS).await;
        leave(&campaign, 1, 3).await;
        // Contact 2 is on the list already: to add it again changes nothing.
        join(&campaign, 1, &[2, 3]).await;
        assert_eq!(packed(&campaign).await, (vec![1, 2, 4, 5], 5));
    }

    async fn nobody_joins_in_the_very_millisecond_of_the_launch(db: &Database) {
        let campaign = Campaign::launched_to(db, 12, audience(&[1]), LISTS).await;
        let id = campaign.id;
        let look = move |conn: &mut Conn| {
            lists::add_members(conn, &api(), ListId(1), &[ContactId(8)])?;
            let launched = campaigns::find(conn, id)?.unwrap().launched_at.unwrap();
            let members = "SELECT created_at AS n FROM list_members WHERE contact_id = 8";
            Ok((launched.0, number(conn, members)))
        };
        let (launched, joined) = campaign.store.run(Lane::Write, "join", look).await.unwrap();
        assert!(joined > launched, "{joined} {launched}");
    }
}
