//! How many statements a refusal takes: a campaign beside many of them pays for each.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use diesel::connection::InstrumentationEvent;
use diesel::{Connection, RunQueryDsl};
use volley::domain::ids::{CampaignId, ContactId, ListId};
use volley::domain::instant::UtcInstant;
use volley::domain::people::standing::Standing;
use volley::services::people::say_no::{SaidNo, What, say_no};
use volley::store::people::lists::NewList;
use volley::store::people::refusals::RefusalBook;
use volley::store::{Conn, StoreError};

use super::known::People;
use crate::support::both_backends;

/// BEGIN; the topics of the campaigns; the contacts; their standings; the lists and the clock; the touches; the new standings; the log; COMMIT.
const OF_TOPICS: usize = 9;

/// Without the topics of a campaign; the addresses are read and written besides.
const OF_EVERYTHING: usize = 10;

/// Runs `work` in a transaction as the desk does, and says which statements that took.
fn statements(
    conn: &mut Conn,
    work: impl FnOnce(&mut Conn) -> Result<(), StoreError>,
) -> Result<Vec<String>, StoreError> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&heard);
    let listen = move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            notes.lock().unwrap().push(query.to_string());
        }
    };
    match conn {
        Conn::Pg(conn) => conn.set_instrumentation(listen),
        Conn::Sqlite(conn) => conn.set_instrumentation(listen),
    }
    conn.write_along_indexes(work)?;
    match conn {
        Conn::Pg(conn) => conn.set_instrumentation(|_: InstrumentationEvent<'_>| {}),
        Conn::Sqlite(conn) => conn.set_instrumentation(|_: InstrumentationEvent<'_>| {}),
    }
    Ok(std::mem::take(&mut *heard.lock().unwrap()))
}

/// How many there are. SQLite writes rows one by one: those of one table are one.
fn count(statements: &[String]) -> usize {
    let table =
        |text: &String| text.strip_prefix("INSERT INTO ").and_then(|rest| rest.split(' ').next()).map(str::to_owned);
    let tables: BTreeSet<String> = statements.iter().filter_map(table).collect();
    statements.iter().filter(|text| table(text).is_none()).count() + tables.len()
}

fn said(contacts: impl IntoIterator<Item = i64>, what: What) -> Vec<SaidNo> {
    let one = |contact| SaidNo {
        contact: ContactId(contact),
        what,
        campaign: None,
        source: "one_click".to_owned(),
        at: UtcInstant(0),
        ip: None,
        user_agent: None,
    };
    contacts.into_iter().map(one).collect()
}

async fn refuse(people: &People, said: Vec<SaidNo>) -> Vec<String> {
    let store = move |conn: &mut Conn| statements(conn, |conn| say_no(conn, &RefusalBook::default(), &said).map(drop));
    people.bare(store).await
}

/// A campaign about a list, and people on it.
async fn site(people: &People, emails: usize) -> (ListId, CampaignId) {
    let list = people.list(NewList::named("News")).await;
    let emails: Vec<String> = (1..=emails).map(|n| format!("p{n}@example.com")).collect();
    people.import(&emails.iter().map(String::as_str).collect::<Vec<_>>(), list, None).await;
    people
        .run(move |conn| {
            let insert = format!(
                "INSERT INTO campaigns (id, name, channel, status, pool, topic_id, created_at, updated_at) \
             VALUES (1, 'a', 'email', 'sending', 'main', {list}, 0, 0)"
            );
            diesel::sql_query(insert).execute(conn).map(drop).map_err(StoreError::query("insert"))
        })
        .await;
    (list, CampaignId(1))
}

both_backends! {
    async fn a_refusal_by_a_link_takes_no_more_statements_than_it_needs(db: &Database) {
        let people = People::of(db).await;
        let (list, campaign) = site(&people, 3).await;
        let one = refuse(&people, said([1], What::Campaign(campaign))).await;
        assert!(count(&one) <= OF_TOPICS, "{}: {one:#?}", count(&one));
        assert_eq!(people.standing(ContactId(1), list).await, Some(Standing::Unsubscribed));
        let again = refuse(&people, said([1], What::Campaign(campaign))).await;
        assert!(count(&again) <= OF_TOPICS - 3, "nothing is written: {again:#?}");
        let everything = refuse(&people, said([2], What::Everything)).await;
        assert!(count(&everything) <= OF_EVERYTHING, "{}: {everything:#?}", count(&everything));
        assert!(people.refuses_everything("p2@example.com").await);
    }

    async fn ten_gathered_refusals_take_as_many_statements_as_one(db: &Database) {
        let people = People::of(db).await;
        let (list, campaign) = site(&people, 20).await;
        let ten = refuse(&people, said(1..=10, What::Campaign(campaign))).await;
        assert!(count(&ten) <= OF_TOPICS, "{}: {ten:#?}", count(&ten));
        let everything = refuse(&people, said(11..=20, What::Everything)).await;
        assert!(count(&everything) <= OF_EVERYTHING, "{}: {everything:#?}", count(&everything));
        for contact in 1..=20 {
            assert_eq!(people.standing(ContactId(contact), list).await, Some(Standing::Unsubscribed), "{contact}");
        }
    }
}
