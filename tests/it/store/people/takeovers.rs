//! What an address has refused goes to the contact that gains it, and nobody's lifting takes another refusal along.

use std::time::Duration;

use volley::domain::channel::ChannelKind;
use volley::domain::import::suppressions::Target;
use volley::domain::people::consent::{EVERYTHING, Reason, Source};
use volley::domain::people::contact::{BuiltIn, ContactDraft};
use volley::domain::people::standing::{Grounds, Standing};
use volley::services::By;
use volley::services::people::restore_refusals::restore_refusals;
use volley::services::people::standings::{Refusal, RefusalScope, refuse};
use volley::services::people::suppress::{Suppression, set};
use volley::store::people::consent::{Ledger, Scribe};
use volley::store::people::contacts::{self, ContactChange, Joining, Upserted};
use volley::store::people::lists::{self, NewList};
use volley::store::people::refusals::RefusalBook;
use volley::store::people::suppressions;
use volley::store::{Conn, StoreError, engine};

use super::known::{People, api, draft, refusal};
use crate::support::database::number;
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

const PHONE: &str = "+44 20 7946 0123";

fn with_phone(mut draft: ContactDraft) -> ContactDraft {
    draft.set(BuiltIn::Phone, PHONE).unwrap();
    draft
}

impl People {
    async fn upsert(&self, draft: ContactDraft) -> volley::domain::ids::ContactId {
        let upsert = move |conn: &mut Conn| contacts::upsert(conn, &api(), &draft, &Joining::NOTHING);
        match self.bare(upsert).await {
            Upserted::Created(row, _) | Upserted::Updated(row) => row.id,
            Upserted::Conflict(ids) => panic!("a conflict with {ids:?}"),
        }
    }
}

both_backends! {
    async fn a_contact_that_gains_an_address_which_refused_everything_refuses_it_all(db: &Database) {
        let people = People::of(db).await;
        let list = people.list(NewList::named("News")).await;
        let ann = people.contact("", "ann@example.com").await;
        people.refuse(refusal(Some(ann), RefusalScope::Everything)).await;
        let bob = people.contact("", "bob@example.com").await;
        // Bob's own act is later than Ann's refusal. He said it of another address.
        people.subscribe(bob, list, Grounds::OwnAct).await;
        assert!(people.bare(move |conn| contacts::delete(conn, &Scribe::of(Source::DELETION), ann)).await);
        people.change_email(bob, "ann@example.com", false).await;
        assert_eq!(people.standing(bob, list).await, Some(Standing::Unsubscribed));
        assert!(people.refuses_everything("ann@example.com").await);
    }

    async fn who_agreed_again_keeps_that_at_a_former_address(db: &Database) {
        let people = People::of(db).await;
        let list = people.list(NewList::named("News")).await;
        let ann = people.contact("", "ann@example.com").await;
        people.refuse(refusal(Some(ann), RefusalScope::Everything)).await;
        people.subscribe(ann, list, Grounds::OwnAct).await;
        for email in ["new@example.com", "ann@example.com"] {
            people.change_email(ann, email, true).await;
            assert_eq!(people.standing(ann, list).await, Some(Standing::Subscribed), "{email}");
        }
    }

    async fn a_person_who_refused_everything_and_was_deleted_comes_back_by_the_phone_and_still_refuses(db: &Database) {
        let people = People::of(db).await;
        let ann = people.upsert(with_phone(draft("", "ann@example.com"))).await;
        people.refuse(refusal(Some(ann), RefusalScope::Everything)).await;
        assert!(people.bare(move |conn| contacts::delete(conn, &Scribe::of(Source::DELETION), ann)).await);
        let again = people.upsert(with_phone(draft("", "other@example.com"))).await;
        assert_ne!(again, ann);
        assert!(people.refuses_everything("other@example.com").await);
    }

    async fn a_phone_that_is_added_brings_its_refusal_of_everything_to_the_email(db: &Database) {
        let people = People::of(db).await;
        let ann = people.upsert(with_phone(ContactDraft::default())).await;
        people.refuse(refusal(Some(ann), RefusalScope::Everything)).await;
        assert!(people.bare(move |conn| contacts::delete(conn, &Scribe::of(Source::DELETION), ann)).await);
        let bob = people.contact("", "bob@example.com").await;
        let change = ContactChange { set: with_phone(ContactDraft::default()), ..ContactChange::default() };
        people.bare(move |conn| contacts::change(conn, &api(), bob, &change).map(drop)).await;
        assert!(people.refuses_everything("bob@example.com").await);
    }

    async fn a_restored_refusal_of_a_list_that_the_backup_does_not_know_refuses_everything(db: &Database) {
        let data = tempfile::tempdir().unwrap();
        let people = People::filing(db, data.path()).await;
        let list = people.list(NewList::named("News")).await;
        people.import(&["ann@example.com"], list, None).await;
        let ann = people.find("ann@example.com").await;
        people.unsubscribe(ann, list).await;
        // As the backup is: from before the list was made.
        people.run(|conn| {
            diesel::RunQueryDsl::execute(diesel::sql_query("DELETE FROM consent_log"), conn)
                .map_err(StoreError::query("restore"))
        }).await;
        people.bare(move |conn| lists::delete(conn, list).map(drop)).await;
        let book = RefusalBook::below(data.path());
        assert_eq!(restore_refusals(&people.store, &book, &By::start()).await.unwrap(), 1);
        assert!(people.refuses_everything("ann@example.com").await);
    }

    async fn a_restored_backup_from_before_a_change_of_address_refuses_under_the_old_one(db: &Database) {
        let data = tempfile::tempdir().unwrap();
        let people = People::filing(db, data.path()).await;
        let list = people.list(NewList::named("News")).await;
        let ann = people.contact("a", "old@example.com").await;
        people.subscribe(ann, list, Grounds::Claimed).await;
        people.change_email(ann, "new@example.com", true).await;
        // By the link of a message that went to the old address.
        let address = Some((ChannelKind::Email, "old@example.com".to_owned()));
        people.refuse(Refusal { address, ..refusal(Some(ann), RefusalScope::Topics(vec![list])) }).await;
        people.run(|conn| {
            for statement in [
                "DELETE FROM consent_log",
                "DELETE FROM suppressions",
                "UPDATE list_members SET status = 'subscribed', status_at = NULL",
                "UPDATE contacts SET email = 'old@example.com'",
            ] {
                diesel::RunQueryDsl::execute(diesel::sql_query(statement), conn).map_err(StoreError::query("restore"))?;
            }
            Ok(())
        }).await;
        let book = RefusalBook::below(data.path());
        assert_eq!(restore_refusals(&people.store, &book, &By::start()).await.unwrap(), 2);
        assert_eq!(people.standing(ann, list).await, Some(Standing::Unsubscribed));
    }

    async fn a_file_that_is_older_than_what_the_person_agreed_to_does_not_undo_it(db: &Database) {
        let people = People::of(db).await;
        let (news, offers) = (people.list(NewList::named("News")).await, people.list(NewList::named("Offers")).await);
        let other = people.list(NewList::named("Other")).await;
        let ann = people.contact("", "ann@example.com").await;
        people.subscribe(ann, news, Grounds::OwnAct).await;
        people.subscribe(ann, other, Grounds::OwnAct).await;
        people.subscribe(ann, offers, Grounds::Overridden).await;
        let exported = people.run(|conn| Ok(engine::now(conn)?.plus_ms(-60_000))).await;
        let import = |topic, at| {
            let target = Target::parse("ann@example.com", None).unwrap();
            let row = Suppression { target, topic, reason: Reason::Unsubscribed, at };
            people.run(move |conn| set(conn, &Scribe::of(Source::IMPORT), &By::start(), &[row]))
        };
        import(EVERYTHING, Some(exported)).await;
        import(news, Some(exported)).await;
        assert_eq!(people.standing(ann, news).await, Some(Standing::Subscribed));
        assert_eq!(people.standing(ann, offers).await, Some(Standing::Unsubscribed), "an operator is not the person");
        let rows = people.suppressed("ann@example.com").await;
        assert!(rows.iter().all(|row| row.unsubscribed_at == Some(exported)), "what was agreed to later passes it");
        // Nobody knows whether this was before.
        import(news, None).await;
        assert_eq!(people.standing(ann, news).await, Some(Standing::Unsubscribed));
        assert_eq!(people.standing(ann, other).await, Some(Standing::Subscribed));
        import(EVERYTHING, Some(exported.plus_ms(600_000))).await;
        assert_eq!(people.standing(ann, other).await, Some(Standing::Unsubscribed), "it was said later");
    }
}

/// Sessions that wait for a lock of another one.
const WAITING: &str = "SELECT count(*) AS n FROM pg_stat_activity \
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

#[test]
fn a_refusal_that_is_said_while_an_operator_lifts_the_one_before_stays() {
    let Some(db) = Database::postgres("a_refusal_that_is_said_while_an_operator_lifts") else { return };
    actix_rt::System::new().block_on(async {
        let people = People::of(&db).await;
        let ann = people.contact("", "ann@example.com").await;
        people.refuse(refusal(Some(ann), RefusalScope::Everything)).await;
        let mut operator = db.connect();
        let addresses = [(ChannelKind::Email, "ann@example.com".to_owned())];
        let mut person = db.connect();
        let mut watcher = db.connect();
        let saying = operator
            .write(|conn| {
                let scribe = api();
                let mut ledger = Ledger::new(&scribe);
                suppressions::lift(conn, &mut ledger, &addresses, EVERYTHING, Reason::Unsubscribed, None)?;
                ledger.close(conn)?;
                let saying = std::thread::spawn(move || {
                    let all = [refusal(Some(ann), RefusalScope::Everything)];
                    person.write(|conn| refuse(conn, &RefusalBook::default(), &By::start(), &all)).unwrap();
                });
                wait_until("the refusal waits for the lifting, or is stored", Duration::from_secs(10), || {
                    saying.is_finished() || number(&mut watcher, WAITING) > 0
                });
                Ok::<_, StoreError>(saying)
            })
            .unwrap();
        saying.join().unwrap();
        assert!(people.refuses_everything("ann@example.com").await, "it was said after the lifting");
    });
}

#[test]
fn a_refusal_of_a_contact_that_is_deleted_and_made_anew_meanwhile_is_the_new_ones() {
    let Some(db) = Database::postgres("a_refusal_of_a_contact_that_is_deleted_meanwhile") else { return };
    actix_rt::System::new().block_on(async {
        let people = People::of(&db).await;
        let list = people.list(NewList::named("News")).await;
        let ann = people.contact("", "ann@example.com").await;
        let (mut operator, mut person, mut watcher) = (db.connect(), db.connect(), db.connect());
        let saying = operator
            .write(|conn| {
                diesel::RunQueryDsl::execute(diesel::sql_query("UPDATE contacts SET deleted_at = 1"), conn)
                    .map_err(StoreError::query("delete"))?;
                let scribe = api();
                let mut ledger = Ledger::new(&scribe);
                let joining = Joining { list: Some(list), ..Joining::NOTHING };
                let now = engine::now(conn)?;
                contacts::apply(conn, &mut ledger, &[draft("", "ann@example.com")], &joining, now)?;
                ledger.close(conn)?;
                let saying = std::thread::spawn(move || {
                    let all = [refusal(Some(ann), RefusalScope::Topics(vec![list]))];
                    person.write(|conn| refuse(conn, &RefusalBook::default(), &By::start(), &all)).unwrap()
                });
                wait_until("the refusal waits for the deletion", Duration::from_secs(10), || {
                    saying.is_finished() || number(&mut watcher, WAITING) > 0
                });
                Ok::<_, StoreError>(saying)
            })
            .unwrap();
        let again = people.contact("", "ann@example.com").await;
        assert_eq!(saying.join().unwrap()[0].contacts, [again], "who has the address now");
        assert_eq!(people.standing(again, list).await, Some(Standing::Unsubscribed));
    });
}
