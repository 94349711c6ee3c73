//! A refusal is never lost: not by a delete, another reason, a new address, an import, a restored backup.

use volley::domain::channel::ChannelKind;
use volley::domain::ids::{ContactId, ListId};
use volley::domain::people::consent::{Act, EVERYTHING, Reason, Source, addresses_of};
use volley::domain::people::contact::{BuiltIn, Fields};
use volley::domain::people::standing::{Grounds, Standing};
use volley::services::By;
use volley::services::people::prune_unconfirmed::prune_unconfirmed;
use volley::services::people::restore_refusals::restore_refusals;
use volley::services::people::standings::{Refusal, RefusalScope, Subscribed, refuse};
use volley::store::people::consent::{Ledger, Scribe};
use volley::store::people::contacts;
use volley::store::people::lists::{self, ListChange, NewList};
use volley::store::people::refusals::RefusalBook;
use volley::store::people::suppressions::{self, Entry};
use volley::store::{StoreError, engine};

use super::known::{People, api, draft, refusal};
use crate::support::both_backends;

both_backends! {
    async fn who_unsubscribed_and_is_deleted_and_imported_again_stays_unsubscribed(db: &Database) {
        let people = People::of(db).await;
        let list = people.list(NewList::named("News")).await;
        let other = people.list(NewList::named("Other")).await;
        people.import(&["ann@example.com", "bob@example.com"], list, None).await;
        let ann = people.find("ann@example.com").await;
        people.unsubscribe(ann, list).await;
        assert!(people.bare(move |conn| contacts::delete(conn, &Scribe::of(Source::DELETION), ann)).await);
        people.import(&["Ann@Example.com".to_lowercase().as_str()], list, None).await;
        people.import(&["ann@example.com"], other, None).await;
        let again = people.find("ann@example.com").await;
        assert_ne!(again, ann);
        assert_eq!(people.standing(again, list).await, Some(Standing::Unsubscribed));
        assert_eq!(people.standing(again, other).await, Some(Standing::Subscribed), "the other list was not refused");
    }

    async fn an_import_that_says_subscribed_does_not_undo_a_refusal(db: &Database) {
        let people = People::of(db).await;
        let list = people.list(NewList::named("News")).await;
        people.import(&["ann@example.com"], list, None).await;
        let ann = people.find("ann@example.com").await;
        people.unsubscribe(ann, list).await;
        for said in [None, Some(Standing::Subscribed), Some(Standing::Unconfirmed)] {
            people.import(&["ann@example.com", "new@example.com"], list, said).await;
            assert_eq!(people.standing(ann, list).await, Some(Standing::Unsubscribed), "{said:?}");
        }
        let members = people.bare(move |conn| lists::add_members(conn, &api(), list, &[ann])).await;
        assert!(matches!(members, lists::Membership::Done { changed: 0, members: 1 }), "{members:?}");
        let Subscribed::Done(tally) = people.subscribe(ann, list, Grounds::Claimed).await else { panic!("not done") };
        assert_eq!((tally.stay_refused, tally.subscribed), (1, 0));
        people.subscribe(ann, list, Grounds::Overridden).await;
        assert_eq!(people.standing(ann, list).await, Some(Standing::Subscribed));
        people.import(&["ann@example.com"], list, Some(Standing::Unsubscribed)).await;
        assert_eq!(people.standing(ann, list).await, Some(Standing::Unsubscribed), "an import can bring a refusal");
    }

    async fn taking_somebody_off_a_list_does_not_forget_that_they_unsubscribed(db: &Database) {
        let people = People::of(db).await;
        let list = people.list(NewList::named("News")).await;
        people.import(&["ann@example.com", "bob@example.com"], list, None).await;
        let (ann, bob) = (people.find("ann@example.com").await, people.find("bob@example.com").await);
        people.unsubscribe(ann, list).await;
        let removed = people.bare(move |conn| lists::remove_members(conn, &api(), list, &[ann, bob])).await;
        assert!(matches!(removed, lists::Membership::Done { changed: 1, members: 0 }), "{removed:?}");
        assert_eq!(people.standing(ann, list).await, Some(Standing::Unsubscribed));
        assert_eq!(people.standing(bob, list).await, None);
    }

    async fn who_refused_everything_refuses_it_at_a_new_address(db: &Database) {
        let people = People::of(db).await;
        let list = people.list(NewList::named("News")).await;
        let ann = people.contact("a", "old@example.com").await;
        people.subscribe(ann, list, Grounds::Claimed).await;
        let refused = people.refuse(refusal(Some(ann), RefusalScope::Everything)).await;
        assert!(refused.everything && refused.contacts == [ann]);
        assert_eq!(people.standing(ann, list).await, Some(Standing::Unsubscribed), "all standings say so, too");
        assert!(people.refuses_everything("old@example.com").await);
        people.change_email(ann, "new@example.com", false).await;
        assert!(people.refuses_everything("new@example.com").await);
        assert!(people.refuses_everything("old@example.com").await);
        // The same by an upsert, as an import does it.
        people.contact("a", "third@example.com").await;
        assert!(people.refuses_everything("third@example.com").await);
        let at = "SELECT count(DISTINCT unsubscribed_at) AS n FROM suppressions WHERE topic = 0";
        assert_eq!(people.number(at).await, 1, "since the first time: what was agreed to later still counts");
    }

    async fn an_address_that_is_given_up_keeps_the_refusals_of_lists(db: &Database) {
        let people = People::of(db).await;
        let list = people.list(NewList::named("News")).await;
        let ann = people.contact("a", "old@example.com").await;
        people.unsubscribe(ann, list).await;
        people.change_email(ann, "new@example.com", false).await;
        assert_eq!(people.standing(ann, list).await, Some(Standing::Unsubscribed));
        people.import(&["old@example.com"], list, None).await;
        let reborn = people.find("old@example.com").await;
        assert_ne!(reborn, ann);
        assert_eq!(people.standing(reborn, list).await, Some(Standing::Unsubscribed));
        // Who takes the address over by a change does, too.
        let bob = people.contact("b", "bob@example.com").await;
        people.subscribe(bob, list, Grounds::Claimed).await;
        assert!(people.bare(move |conn| contacts::delete(conn, &api(), reborn)).await);
        people.change_email(bob, "old@example.com", true).await;
        assert_eq!(people.standing(bob, list).await, Some(Standing::Unsubscribed));
    }

    async fn who_subscribes_again_does_not_get_the_refusal_back_from_the_own_address(db: &Database) {
        let people = People::of(db).await;
        let list = people.list(NewList::named("News")).await;
        let ann = people.contact("", "ann@example.com").await;
        people.unsubscribe(ann, list).await;
        assert!(people.bare(move |conn| contacts::delete(conn, &api(), ann)).await);
        let again = people.find("ann@example.com").await;
        assert_eq!(people.standing(again, list).await, Some(Standing::Unsubscribed));
        people.subscribe(again, list, Grounds::OwnAct).await;
        assert!(people.suppressed("ann@example.com").await.is_empty());
        people.contact("a", "ann@example.com").await;
        assert_eq!(people.standing(again, list).await, Some(Standing::Subscribed));
    }

    async fn a_new_address_needs_a_confirmation_again_where_the_list_asks_for_one(db: &Database) {
        let people = People::of(db).await;
        let list = people.list(NewList { double_opt_in: true, ..NewList::named("News") }).await;
        let plain = people.list(NewList::named("Plain")).await;
        let ann = people.contact("a", "ann@example.com").await;
        people.subscribe(ann, list, Grounds::Claimed).await;
        assert_eq!(people.standing(ann, list).await, Some(Standing::Unconfirmed));
        people.subscribe(ann, list, Grounds::OwnAct).await;
        people.subscribe(ann, plain, Grounds::Claimed).await;
        people.change_email(ann, "ann@example.org", true).await;
        assert_eq!(people.standing(ann, list).await, Some(Standing::Subscribed), "the caller says that it is confirmed");
        people.change_email(ann, "ann@example.net", false).await;
        assert_eq!(people.standing(ann, list).await, Some(Standing::Unconfirmed));
        assert_eq!(people.standing(ann, plain).await, Some(Standing::Subscribed));
    }

    async fn one_reason_does_not_overwrite_another_one(db: &Database) {
        let people = People::of(db).await;
        let ann = people.contact("", "ann@example.com").await;
        people.refuse(refusal(Some(ann), RefusalScope::Everything)).await;
        people.run(move |conn| {
            let scribe = api();
            let mut ledger = Ledger::new(&scribe);
            let now = engine::now(conn)?;
            let entry = |reason, at| Entry {
                address: "ann@example.com".to_owned(),
                channel: ChannelKind::Email,
                topic: EVERYTHING,
                reason,
                at,
                contact: None,
                act: None,
                is_said: true,
            };
            let soft = entry(Reason::SoftBounced, now.plus_ms(1));
            suppressions::set(conn, &mut ledger, &[soft, entry(Reason::Complained, now)])?;
            let address = [(ChannelKind::Email, "ann@example.com".to_owned())];
            suppressions::lift(conn, &mut ledger, &address, EVERYTHING, Reason::SoftBounced, None)?;
            suppressions::lift(conn, &mut ledger, &address, EVERYTHING, Reason::Complained, None)?;
            ledger.close(conn)
        }).await;
        assert!(people.refuses_everything("ann@example.com").await);
        for row in people.suppressed("ann@example.com").await {
            assert_eq!(row.reasons(), [Reason::Unsubscribed], "{}", row.channel);
        }
    }

    async fn a_second_refusal_changes_nothing(db: &Database) {
        let people = People::of(db).await;
        let list = people.list(NewList::named("News")).await;
        let ann = people.contact("", "ann@example.com").await;
        people.subscribe(ann, list, Grounds::Claimed).await;
        for scope in [RefusalScope::CampaignTopics(vec![list]), RefusalScope::Everything] {
            people.refuse(refusal(Some(ann), scope.clone())).await;
            let lines = people.number("SELECT count(*) AS n FROM consent_log").await;
            let at = people.number("SELECT status_at AS n FROM list_members").await;
            people.refuse(refusal(Some(ann), scope)).await;
            assert_eq!(people.number("SELECT count(*) AS n FROM consent_log").await, lines);
            assert_eq!(people.number("SELECT status_at AS n FROM list_members").await, at);
        }
    }

    async fn a_campaigns_refusal_means_the_topics_that_the_person_stands_on(db: &Database) {
        let people = People::of(db).await;
        let (news, offers) = (people.list(NewList::named("News")).await, people.list(NewList::named("Offers")).await);
        let all = people.list(NewList { default_opt_in: true, ..NewList::named("All") }).await;
        let ann = people.contact("", "ann@example.com").await;
        people.subscribe(ann, news, Grounds::Claimed).await;
        let topics = RefusalScope::CampaignTopics(vec![news, offers]);
        let refused = people.refuse(refusal(Some(ann), topics.clone())).await;
        assert_eq!((refused.topics, refused.everything), (vec![news], false));
        assert_eq!(people.standing(ann, offers).await, None, "she never was on it");
        assert_eq!(people.refuse(refusal(Some(ann), topics)).await.topics, [], "and repeating it does not refuse more");
        let refused = people.refuse(refusal(Some(ann), RefusalScope::CampaignTopics(vec![all]))).await;
        assert_eq!(refused.topics, [all], "a list that counts everybody is stood on without a row");
        // Taken off the list after the message was sent.
        let bob = people.contact("", "bob@example.com").await;
        let refused = people.refuse(refusal(Some(bob), RefusalScope::CampaignTopics(vec![offers]))).await;
        assert_eq!(refused.topics, [offers]);
        let refused = people.refuse(refusal(Some(bob), RefusalScope::CampaignTopics(vec![ListId(4_711)]))).await;
        assert!(refused.everything, "the topic is gone");
    }

    async fn a_link_of_a_deleted_contact_refuses_for_the_address_and_for_the_one_who_has_it_now(db: &Database) {
        let people = People::of(db).await;
        let list = people.list(NewList::named("News")).await;
        people.import(&["ann@example.com"], list, None).await;
        let ann = people.find("ann@example.com").await;
        assert!(people.bare(move |conn| contacts::delete(conn, &api(), ann)).await);
        let scope = RefusalScope::CampaignTopics(vec![list]);
        people.refuse(refusal(Some(ann), scope.clone())).await;
        people.import(&["ann@example.com"], list, None).await;
        let second = people.find("ann@example.com").await;
        assert_eq!(people.standing(second, list).await, Some(Standing::Unsubscribed));
        people.subscribe(second, list, Grounds::OwnAct).await;
        people.refuse(refusal(Some(ann), scope)).await;
        assert_eq!(people.standing(second, list).await, Some(Standing::Unsubscribed), "by the old link");
    }

    async fn a_restored_backup_gets_the_refusals_that_it_does_not_know(db: &Database) {
        let data = tempfile::tempdir().unwrap();
        let people = People::filing(db, data.path()).await;
        let list = people.list(NewList::named("News")).await;
        people.import(&["ann@example.com", "bob@example.com", "cleo@example.com", "zoe@example.com"], list, None).await;
        let ann = people.find("ann@example.com").await;
        let (bob, cleo) = (people.find("bob@example.com").await, people.find("cleo@example.com").await);
        let zoe = people.find("zoe@example.com").await;
        people.unsubscribe(ann, list).await;
        people.refuse(refusal(Some(bob), RefusalScope::Everything)).await;
        people.unsubscribe(cleo, list).await;
        let by = By::start();
        let fresh = || RefusalBook::below(data.path());
        assert_eq!(restore_refusals(&people.store, &fresh(), &by).await.unwrap(), 0, "the database has them all");
        // As the backup is: it knows none of it, and Cleo not at all. Zoe has her id.
        people.run(|conn| {
            for statement in [
                "DELETE FROM consent_log",
                "DELETE FROM suppressions",
                "UPDATE list_members SET status = 'subscribed', status_at = NULL",
            ] {
                diesel::RunQueryDsl::execute(diesel::sql_query(statement), conn).map_err(StoreError::query("restore"))?;
            }
            Ok(())
        }).await;
        people.change_email(cleo, "other@example.com", false).await;
        let restored = restore_refusals(&people.store, &fresh(), &by).await.unwrap();
        assert!(restored >= 3, "{restored}");
        assert_eq!(people.standing(ann, list).await, Some(Standing::Unsubscribed));
        assert_eq!(people.standing(bob, list).await, Some(Standing::Unsubscribed));
        assert!(people.refuses_everything("bob@example.com").await);
        assert_eq!(people.standing(cleo, list).await, Some(Standing::Subscribed), "an id alone is not believed");
        assert_eq!(people.standing(zoe, list).await, Some(Standing::Subscribed));
        people.import(&["cleo@example.com"], list, None).await;
        let reborn = people.find("cleo@example.com").await;
        assert_eq!(people.standing(reborn, list).await, Some(Standing::Unsubscribed), "her address still refuses");
        assert_eq!(restore_refusals(&people.store, &fresh(), &by).await.unwrap(), 0, "once is enough");
    }

    async fn the_log_has_address_and_client_of_a_persons_own_act_only(db: &Database) {
        use volley::domain::people::consent::Client;
        let people = People::of(db).await;
        let list = people.list(NewList::named("News")).await;
        let ann = people.contact("", "ann@example.com").await;
        let client = Some(Client { ip: Some("192.0.2.7".to_owned()), user_agent: Some("Mail/1".to_owned()) });
        people.subscribe(ann, list, Grounds::Claimed).await;
        people.refuse(Refusal {
            source: Source::API,
            client: client.clone(),
            ..refusal(Some(ann), RefusalScope::Topics(vec![list]))
        }).await;
        let known = "SELECT count(*) AS n FROM consent_log WHERE address IS NOT NULL OR ip IS NOT NULL";
        assert_eq!(people.number(known).await, 0);
        people.subscribe(ann, list, Grounds::Overridden).await;
        people.refuse(Refusal { client, ..refusal(Some(ann), RefusalScope::Topics(vec![list])) }).await;
        let own = "SELECT count(*) AS n FROM consent_log WHERE address = 'ann@example.com' AND ip = '192.0.2.7' AND \
                   user_agent = 'Mail/1' AND before = 'subscribed' AND after = 'unsubscribed' AND source = 'one_click' AND \
                   refusal_id IS NOT NULL";
        assert_eq!(people.number(own).await, 1);
        assert_eq!(people.number("SELECT count(*) AS n FROM consent_log").await, 4);
    }

    async fn a_write_that_changes_no_standing_leaves_its_time_and_source(db: &Database) {
        let people = People::of(db).await;
        let list = people.list(NewList::named("News")).await;
        let ann = people.contact("", "ann@example.com").await;
        people.subscribe(ann, list, Grounds::OwnAct).await;
        people.run(|conn| {
            diesel::RunQueryDsl::execute(diesel::sql_query("UPDATE list_members SET status_at = 17"), conn)
                .map_err(StoreError::query("age"))
        }).await;
        people.import(&["ann@example.com"], list, Some(Standing::Subscribed)).await;
        people.subscribe(ann, list, Grounds::Overridden).await;
        let same = "SELECT count(*) AS n FROM list_members WHERE status_at = 17 AND source = 'confirmation'";
        assert_eq!(people.number(same).await, 1);
    }

    async fn a_list_counts_everybody_or_asks_for_confirmations_but_not_both(db: &Database) {
        let people = People::of(db).await;
        let list = people.list(NewList { double_opt_in: true, ..NewList::named("News") }).await;
        let change = ListChange { default_opt_in: Some(true), ..ListChange::default() };
        let changed = people.bare(move |conn| lists::change(conn, list, &change)).await;
        assert!(matches!(changed, lists::ListChanged::BothOptIns), "{changed:?}");
        let change = ListChange { default_opt_in: Some(true), double_opt_in: Some(false), ..ListChange::default() };
        let changed = people.bare(move |conn| lists::change(conn, list, &change)).await;
        assert!(matches!(changed, lists::ListChanged::Done(_)), "{changed:?}");
    }

    async fn a_subscription_that_nobody_confirms_goes_after_a_while_and_a_refusal_stays(db: &Database) {
        let people = People::of(db).await;
        let list = people.list(NewList { double_opt_in: true, ..NewList::named("News") }).await;
        let (ann, bob) = (people.contact("", "ann@example.com").await, people.contact("", "bob@example.com").await);
        let cleo = people.contact("", "cleo@example.com").await;
        for contact in [ann, cleo] {
            people.subscribe(contact, list, Grounds::Claimed).await;
        }
        people.unsubscribe(bob, list).await;
        let age = format!("UPDATE list_members SET status_at = status_at - 2678400000 WHERE contact_id <> {cleo}");
        people.run(move |conn| {
            diesel::RunQueryDsl::execute(diesel::sql_query(age), conn).map_err(StoreError::query("age"))
        }).await;
        assert_eq!(prune_unconfirmed(&people.store, 0).await.unwrap(), 0, "0 keeps all");
        assert_eq!(prune_unconfirmed(&people.store, 30).await.unwrap(), 1);
        assert_eq!(people.standing(ann, list).await, None);
        assert_eq!(people.standing(cleo, list).await, Some(Standing::Unconfirmed));
        assert_eq!(people.standing(bob, list).await, Some(Standing::Unsubscribed));
    }

    async fn many_refusals_at_once_are_stored_like_one(db: &Database) {
        let people = People::of(db).await;
        let list = people.list(NewList::named("News")).await;
        let emails: Vec<String> = (0..300).map(|n| format!("p{n}@example.com")).collect();
        people.import(&emails.iter().map(String::as_str).collect::<Vec<_>>(), list, None).await;
        let book = people.book.clone();
        let refused = people.run(move |conn| {
            let all: Vec<Refusal> = (1..=300)
                .map(|id| refusal(Some(ContactId(id)), RefusalScope::CampaignTopics(vec![list])))
                .chain([refusal(Some(ContactId(7)), RefusalScope::Everything)])
                .collect();
            refuse(conn, &book, &By::start(), &all)
        }).await;
        assert_eq!(refused.len(), 301);
        let left = "SELECT count(*) AS n FROM list_members WHERE status <> 'unsubscribed'";
        assert_eq!(people.number(left).await, 0);
        assert!(people.refuses_everything("p6@example.com").await);
    }
}

#[test]
fn an_act_that_waited_counts_from_when_it_was_said() {
    use volley::domain::instant::UtcInstant;
    let act = Act { at: Some(UtcInstant(5)), ..Act::of(Source::ONE_CLICK) };
    assert_eq!(act.said_by(UtcInstant(9)), UtcInstant(5));
    assert_eq!(act.said_by(UtcInstant(3)), UtcInstant(3), "never in the future");
}

#[test]
fn channel_http_goes_by_the_address_that_it_uses() {
    let mut draft = draft("c-1", "ann@example.com");
    draft.set(BuiltIn::Phone, "+44 20 7946 0123").unwrap();
    let http = |fields: &Fields| {
        let all = addresses_of(fields);
        all.into_iter().find(|(channel, _)| *channel == ChannelKind::Http).map(|(_, address)| address)
    };
    assert_eq!(http(&draft.fields).as_deref(), Some("ann@example.com"));
    draft.fields.email = None;
    assert_eq!(http(&draft.fields).as_deref(), Some("+442079460123"));
    draft.fields.phone = None;
    assert_eq!(http(&draft.fields).as_deref(), Some("c-1"));
}
