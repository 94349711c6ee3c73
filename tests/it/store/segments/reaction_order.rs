//! In which order reactions are done, and what one that fails keeps waiting.

use serde_json::{Value, json};
use volley::domain::ids::{CampaignId, ContactId, ReactionId};
use volley::domain::instant::UtcInstant;
use volley::domain::reactions::{CampaignNews, ReactionKind};
use volley::store::reactions::over::{self, Retried};
use volley::store::reactions::{self, NewReaction, known_targets};
use volley::store::{Conn, engine};

use super::reactions::{desk, react, reacting, switch, tag, tags_of, untag, write};
use super::world::{contact, create, open, settle, worker};
use crate::support::both_backends;

const BROKEN: &str =
    "UPDATE reactions_due SET content = REPLACE(content, '\"add_tag\"', '\"sing\"') WHERE event = 'segment.entered'";
const REPAIRED: &str = "UPDATE reactions_due SET content = REPLACE(content, '\"sing\"', '\"add_tag\"'), due_at = 0";
const ALL: &str = "SELECT count(*) AS n FROM reactions_due";

/// A tag while the contact is a member.
fn inside(conn: &mut Conn) -> ContactId {
    create(
        conn,
        &reacting(
            "VIPs",
            json!({ "tag": "vip" }),
            json!([
                { "on": "entered", "do": [{ "add_tag": "inside" }] }, { "on": "left", "do": [{ "remove_tag": "inside" }] },
            ]),
        ),
    );
    contact(conn, "ann@example.com", json!({}))
}

fn launched() -> NewReaction {
    NewReaction {
        kind: ReactionKind::Notice,
        segment: None,
        contact: None,
        campaign: Some(CampaignId(1)),
        key: reactions::key_of("campaign-1-1"),
        event: CampaignNews::Launched.as_str().to_owned(),
        at: UtcInstant(0),
        depth: 0,
        target: None,
        content: Value::Null.to_string(),
        refused: None,
    }
}

both_backends! {
    async fn a_change_that_fails_is_not_overtaken_by_the_next_one_of_its_contact(db: &Database) {
        let store = open(db).await;
        let (ann, bob) = write(&store, |conn| (inside(conn), contact(conn, "bob@example.com", json!({})))).await;
        react(&store).await;
        write(&store, move |conn| tag(conn, ann, "vip")).await;
        settle(&store).await;
        db.execute(BROKEN);
        write(&store, move |conn| { untag(conn, ann, "vip"); tag(conn, bob, "vip"); }).await;
        react(&store).await;
        write(&store, move |conn| assert_eq!(tags_of(conn, bob), ["inside", "vip"], "others do not wait")).await;
        assert_eq!(db.number(ALL), 2, "the leave waits for the entry");
        db.execute(REPAIRED);
        react(&store).await;
        assert_eq!(db.number(ALL), 0);
        write(&store, move |conn| assert!(tags_of(conn, ann).is_empty())).await;
    }

    async fn what_a_later_leave_has_undone_is_not_done_again_by_hand(db: &Database) {
        let store = open(db).await;
        let ann = write(&store, inside).await;
        react(&store).await;
        write(&store, move |conn| tag(conn, ann, "vip")).await;
        settle(&store).await;
        db.execute(BROKEN);
        db.execute("UPDATE reactions_due SET attempts = 8, at = at - 1000");
        react(&store).await;
        let failed = ReactionId(db.number("SELECT id AS n FROM reactions_due WHERE state = 'failed'"));
        write(&store, move |conn| untag(conn, ann, "vip")).await;
        react(&store).await;
        db.execute("UPDATE reactions_due SET content = REPLACE(content, '\"sing\"', '\"add_tag\"')");
        write(&store, move |conn| {
            assert_eq!(over::retry(conn, failed).unwrap(), Retried::Overtaken);
            assert_eq!(over::retry_some(conn, None, ReactionId(0)).unwrap(), (0, None));
        }).await;
        react(&store).await;
        write(&store, move |conn| assert!(tags_of(conn, ann).is_empty())).await;
    }

    async fn an_entry_and_what_is_to_follow_are_stored_together_or_not_at_all(db: &Database) {
        let store = open(db).await;
        let ann = write(&store, inside).await;
        react(&store).await;
        write(&store, move |conn| tag(conn, ann, "vip")).await;
        db.execute("ALTER TABLE reactions_due RENAME TO reactions_away");
        assert!(worker(&store).keep_up().await.is_err());
        assert_eq!(db.number("SELECT count(*) AS n FROM segment_transitions"), 0);
        db.execute("ALTER TABLE reactions_away RENAME TO reactions_due");
        settle(&store).await;
        assert_eq!(db.number("SELECT count(*) AS n FROM segment_transitions"), 1);
        assert_eq!(db.number(ALL), 1);
    }

    async fn calls_follow_the_changes_of_their_transition(db: &Database) {
        let store = open(db).await;
        let ann = write(&store, |conn| {
            create(conn, &reacting("VIPs", json!({ "tag": "vip" }), json!([
                { "on": "entered", "do": [{ "call": "crm" }, { "add_tag": "seen" }] }, { "on": "entered", "do": [{ "call": "chat" }, { "call": "crm" }] },
            ])));
            contact(conn, "ann@example.com", json!({}))
        }).await;
        react(&store).await;
        write(&store, move |conn| tag(conn, ann, "vip")).await;
        settle(&store).await;
        let calls = "SELECT count(*) AS n FROM reactions_due WHERE kind = 'call'";
        assert_eq!((db.number(ALL), db.number(calls)), (1, 0));
        desk(&store).work().await.unwrap();
        assert_eq!((db.number(ALL), db.number(calls)), (2, 2), "each target once");
        assert_eq!(db.number("SELECT count(DISTINCT key) AS n FROM reactions_due"), 1);
        write(&store, move |conn| assert_eq!(tags_of(conn, ann), ["seen", "vip"])).await;
    }

    async fn what_is_told_of_campaigns_does_not_wait_behind_contacts(db: &Database) {
        let store = open(db).await;
        let people: Vec<ContactId> = write(&store, |conn| {
            create(conn, &reacting("VIPs", json!({ "tag": "vip" }), json!([{ "on": "entered", "do": [{ "add_tag": "seen" }] }])));
            (0..500).map(|n| contact(conn, &format!("p{n}@example.com"), json!({}))).collect()
        }).await;
        react(&store).await;
        write(&store, move |conn| people.iter().for_each(|who| tag(conn, *who, "vip"))).await;
        settle(&store).await;
        write(&store, |conn| { let now = engine::now(conn).unwrap(); reactions::add(conn, &[launched()], now).unwrap(); }).await;
        let mut desk = desk(&store);
        for _ in 0..2 {
            desk.work().await.unwrap();
        }
        assert_eq!(db.number("SELECT count(*) AS n FROM reactions_due WHERE kind = 'notice'"), 0);
        assert!(db.number(ALL) > 0, "contacts still wait");
    }

    async fn an_event_of_a_campaign_goes_to_targets_of_other_instances_too(db: &Database) {
        let store = open(db).await;
        write(&store, |conn| conn.write(|conn| {
            known_targets::say(conn, &[("chat".to_owned(), CampaignNews::ALL.to_vec()), ("crm".to_owned(), Vec::new())])?;
            let now = engine::now(conn)?;
            reactions::add(conn, &[launched()], now)
        }).unwrap()).await;
        // This instance has no target.
        desk(&store).work().await.unwrap();
        assert_eq!(db.number("SELECT count(*) AS n FROM reactions_due WHERE kind = 'call' AND target = 'chat'"), 1);
        assert_eq!(db.number(ALL), 1);
        // Of an instance that has been gone for long, nobody knows whether it comes back.
        db.execute("DELETE FROM reactions_due");
        db.execute("UPDATE known_targets SET seen_at = seen_at - 600001");
        write(&store, |conn| { let now = engine::now(conn).unwrap(); reactions::add(conn, &[launched()], now).unwrap(); }).await;
        desk(&store).work().await.unwrap();
        assert_eq!(db.number(ALL), 0);
    }

    async fn a_segment_with_a_reaction_that_cannot_be_read_is_switched_off_all_the_same(db: &Database) {
        let store = open(db).await;
        let (id, ann) = write(&store, |conn| {
            let id = create(conn, &reacting("VIPs", json!({ "tag": "vip" }), json!([])));
            create(conn, &reacting("Others", json!({ "tag": "vip" }), json!([{ "on": "entered", "do": [{ "add_tag": "seen" }] }])));
            (id, contact(conn, "ann@example.com", json!({})))
        }).await;
        react(&store).await;
        db.execute(&format!("UPDATE segments SET reactions = '[{{\"on\":\"entered\",\"do\":[{{\"send\":1}}]}}]' WHERE id = {id}"));
        write(&store, move |conn| tag(conn, ann, "vip")).await;
        react(&store).await;
        write(&store, move |conn| {
            assert_eq!(tags_of(conn, ann), ["seen", "vip"], "other segments go on");
            switch(conn, id, false);
        }).await;
    }
}
