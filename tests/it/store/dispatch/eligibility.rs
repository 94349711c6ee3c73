//! Who may be sent to: one answer, asked of one contact or of many in SQL.

use std::collections::BTreeMap;

use volley::domain::channel::ChannelKind;
use volley::domain::dispatch::delivery::{DeliveryState, SkipReason};
use volley::domain::dispatch::eligibility::{Contactable, address_for};
use volley::domain::ids::ContactId;
use volley::store::dispatch::deliveries;
use volley::store::dispatch::eligibility::skip_reason;
use volley::store::{Conn, campaigns};

use crate::store::dispatch::packed::{Campaign, execute, write};
use crate::support::both_backends;

/// The values of a contact's row, of the fields that decide.
fn literal(value: Option<&str>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| format!("'{value}'"))
}

both_backends! {
    fn one_contact_and_many_are_judged_alike(db: &Database) {
        drop(db.connect());
        for bits in 0..16_u8 {
            let given = |bit: u8, value: &'static str| (bits & (1 << bit) != 0).then_some(value);
            let contact = Contactable {
                email: given(0, "someone@example.com"),
                phone: given(1, "+431234567"),
                external_id: given(2, "crm-1"),
                is_deleted: given(3, "deleted").is_some(),
            };
            let row = format!(
                "(SELECT {} AS email, {} AS phone, {} AS external_id, {} AS deleted_at) AS c",
                literal(contact.email),
                literal(contact.phone),
                literal(contact.external_id),
                if contact.is_deleted { "1" } else { "NULL" }
            );
            for channel in ChannelKind::ALL.iter().copied() {
                let expected = address_for(channel, contact).err();
                let reasons = [None, Some(SkipReason::ContactDeleted), Some(SkipReason::NoAddress)];
                let matching = reasons.into_iter().filter(|reason| {
                    let holds = match reason {
                        None => "IS NULL".to_owned(),
                        Some(reason) => format!("= '{}'", reason.as_str()),
                    };
                    db.number(&format!("SELECT count(*) AS n FROM {row} WHERE {} {holds}", skip_reason(channel))) == 1
                });
                assert_eq!(matching.collect::<Vec<_>>(), [expected], "{channel} {contact:?}");
            }
        }
    }
}

/// What is held against an address, by a digit of the contact's number.
const HELD: [Option<&str>; 9] = [
    None,
    Some("unsubscribed_at = 700"),
    Some("bounced_at = 1"),
    Some("complained_at = 1"),
    Some("blocked_at = 1"),
    Some("soft_until = 9000000000000"),
    Some("soft_until = 1"),
    // Its domain is blocked.
    None,
    Some("stopped_at = 1"),
];

const STANDINGS: [Option<&str>; 5] =
    [None, Some("subscribed"), Some("unconfirmed"), Some("unsubscribed"), Some("moved")];

/// When a standing on the first list was written, and where it came from.
const ACTS: [(i64, &str); 3] = [(600, "import"), (600, "page"), (800, "confirmation")];

/// A contact, one for each way to stand.
#[derive(Debug, Clone, Copy)]
struct Person {
    id: i64,
    held: usize,
    first: Option<&'static str>,
    act: (i64, &'static str),
    /// The address has refused the first list, at 700.
    refused_first: bool,
    is_introduced: bool,
    second: Option<&'static str>,
}

fn people() -> Vec<Person> {
    let digits = |mut n: usize| {
        let mut digit = |base: usize| {
            let digit = n % base;
            n /= base;
            digit
        };
        Person {
            id: 0,
            held: digit(HELD.len()),
            first: STANDINGS[digit(STANDINGS.len())],
            act: ACTS[digit(ACTS.len())],
            refused_first: digit(2) == 1,
            is_introduced: digit(2) == 1,
            second: [None, Some("subscribed"), Some("unsubscribed")][digit(3)],
        }
    };
    let all = HELD.len() * STANDINGS.len() * ACTS.len() * 2 * 2 * 3;
    (0..all).map(|n| Person { id: i64::try_from(n).unwrap() + 1, ..digits(n) }).collect()
}

/// What is asked of them.
#[derive(Debug, Clone, Copy)]
struct Terms {
    category: &'static str,
    /// Lists 1 and 2 have members; the others have none.
    topics: &'static [i64],
    default_opt_in: bool,
}

impl Person {
    fn email(&self) -> String {
        let domain = if self.held == 7 { "blocked.example" } else { "example.com" };
        format!("person{}@{domain}", self.id)
    }

    /// Who may be sent a campaign, in the words of the rules.
    fn skipped(&self, terms: Terms) -> Option<&'static str> {
        if matches!(self.held, 2..=5 | 7) {
            return Some("suppressed");
        }
        if terms.category == "transactional" {
            return None;
        }
        // Nothing that was agreed to since passes it.
        if self.held == 8 {
            return Some("unsubscribed");
        }
        let asks_first = terms.topics.contains(&1);
        let own_act = (asks_first && self.first == Some("subscribed") && self.act.1 != "import").then_some(self.act.0);
        if self.held == 1 && own_act.is_none_or(|at| at <= 700) {
            return Some("unsubscribed");
        }
        let standings = terms.topics.iter().map(|topic| match topic {
            1 if self.refused_first && own_act.is_none_or(|at| at <= 700) => Some("unsubscribed"),
            1 => self.first,
            2 => self.second,
            _ => None,
        });
        let standings: Vec<_> = standings.collect();
        let by_default =
            terms.default_opt_in && self.is_introduced && asks_first && standings[0] != Some("unsubscribed");
        if standings.is_empty() || by_default || standings.contains(&Some("subscribed")) {
            return None;
        }
        let found = ["unsubscribed", "unconfirmed"].into_iter().find(|standing| standings.contains(&Some(standing)));
        found.or(Some("not_subscribed"))
    }

    fn rows(&self) -> String {
        let Self { id, held, first, act, refused_first, is_introduced, second } = *self;
        let email = self.email();
        let introduced = if is_introduced { "0" } else { "NULL" };
        let mut rows = format!("UPDATE contacts SET email = '{email}', introduced_at = {introduced} WHERE id = {id};");
        if let Some(reason) = HELD[held] {
            let (column, at) = reason.split_once(" = ").unwrap();
            rows.push_str(&format!(
                "INSERT INTO suppressions (address, channel, topic, {column}, created_at, updated_at) \
                 VALUES ('{email}', 'email', 0, {at}, 0, 0);"
            ));
        }
        if refused_first {
            rows.push_str(&format!(
                "INSERT INTO suppressions (address, channel, topic, unsubscribed_at, created_at, updated_at) \
                 VALUES ('{email}', 'email', 1, 700, 0, 0);"
            ));
        }
        for (list, status, (at, source)) in [(1, first, act), (2, second, (500, "import"))] {
            if let Some(status) = status {
                rows.push_str(&format!(
                    "INSERT INTO list_members (list_id, contact_id, created_at, status, status_at, source) \
                     VALUES ({list}, {id}, 0, '{status}', {at}, '{source}');"
                ));
            }
        }
        rows
    }
}

/// Puts everybody back, and asks something else.
fn ask(conn: &mut Conn, terms: Terms) {
    let Terms { category, topics, default_opt_in } = terms;
    let mut script = format!(
        "UPDATE deliveries SET state = 'pending', reason = NULL, settled_at = NULL, token = NULL; \
         UPDATE pages SET pending = size, sending = 0, skipped = 0; DELETE FROM page_skips; DELETE FROM audience_lists; \
         UPDATE campaigns SET category = '{category}'; UPDATE lists SET default_opt_in = {default_opt_in} WHERE id = 1;"
    );
    for topic in topics {
        script.push_str(&format!("INSERT INTO audience_lists (campaign_id, list_id) VALUES (1, {topic});"));
    }
    execute(conn, &script);
}

both_backends! {
    async fn a_claim_takes_those_whom_the_rules_allow_and_no_others(db: &Database) {
        let people = people();
        let size = i64::try_from(people.len()).unwrap();
        let campaign = Campaign::packed(db, size, size).await;
        let mut script = "INSERT INTO blocked_domains (domain, blocked_at) VALUES ('blocked.example', 1);".to_owned();
        for list in 1..=5 {
            script.push_str(&format!("INSERT INTO lists (id, name, created_at, updated_at) VALUES ({list}, 'L{list}', 0, 0);"));
        }
        script.extend(people.iter().map(Person::rows));
        write(&campaign.store, move |conn| {
            execute(conn, &script);
            Ok(())
        })
        .await
        .unwrap();
        let leased = campaign.lease().await.unwrap();
        let ask_of = |category, topics, default_opt_in| Terms { category, topics, default_opt_in };
        for terms in [
            ask_of("marketing", &[1][..], false),
            ask_of("marketing", &[1, 2], false),
            ask_of("marketing", &[1, 3, 4, 5], false),
            ask_of("marketing", &[1, 2, 3, 4, 5], false),
            ask_of("marketing", &[1], true),
            ask_of("marketing", &[1, 2, 3], true),
            ask_of("marketing", &[1, 2, 3, 4], true),
            ask_of("marketing", &[], false),
            ask_of("transactional", &[1, 2], false),
        ] {
            write(&campaign.store, move |conn| {
                ask(conn, terms);
                Ok(())
            })
            .await
            .unwrap();
            let claimed = leased.claim(size).await;
            let mut found: BTreeMap<i64, Option<String>> =
                claimed.iter().map(|claimed| (claimed.contact.0, None)).collect();
            let id = campaign.id;
            let (skipped, counted) = write(&campaign.store, move |conn| {
                let skipped = deliveries::list(conn, id, Some(DeliveryState::Skipped), ContactId(0), size)?;
                let row = campaigns::find(conn, id)?.expect("the campaign");
                Ok((skipped, campaigns::details(conn, &[row])?.remove(0).skips))
            })
            .await
            .unwrap();
            found.extend(skipped.into_iter().map(|(row, _)| (row.contact_id.0, row.reason)));
            let mut by_reason = BTreeMap::<String, i64>::new();
            for person in &people {
                let (expected, found) = (person.skipped(terms), found[&person.id].as_deref());
                if terms.topics.len() > 3 && person.refused_first && person.first != Some("subscribed") {
                    // Of many topics, a refusal by the address alone is not told apart from never having agreed.
                    assert_eq!(found.is_some(), expected.is_some(), "{terms:?} {person:?}");
                } else {
                    assert_eq!(found, expected, "{terms:?} {person:?}");
                }
                if let Some(reason) = found {
                    *by_reason.entry(reason.to_owned()).or_default() += 1;
                }
            }
            assert_eq!(counted, by_reason, "{terms:?}");
            assert_eq!(campaign.books().await.skipped, by_reason.values().sum::<i64>());
        }
    }

    async fn each_channel_asks_the_address_that_it_goes_to(db: &Database) {
        let campaign = Campaign::packed(db, 6, 6).await;
        let leased = campaign.lease().await.unwrap();
        let rows = "UPDATE contacts SET phone = '+43' || id, external_id = 'crm-' || id; \
            UPDATE contacts SET email = NULL WHERE id IN (3, 4, 5, 6); UPDATE contacts SET phone = NULL WHERE id IN (5, 6); \
            INSERT INTO suppressions (address, channel, bounced_at, created_at, updated_at) VALUES \
            ('person1@example.com', 'email', 1, 0, 0), ('person1@example.com', 'http', 1, 0, 0), \
            ('+431', 'sms', 1, 0, 0), ('+432', 'sms', 1, 0, 0), ('+432', 'http', 1, 0, 0), \
            ('+433', 'sms', 1, 0, 0), ('+433', 'http', 1, 0, 0), ('+434', 'whatsapp', 1, 0, 0), ('+434', 'http', 1, 0, 0), \
            ('crm-5', 'http', 1, 0, 0), ('crm-6', 'email', 1, 0, 0);";
        write(&campaign.store, move |conn| {
            execute(conn, rows);
            Ok(())
        })
        .await
        .unwrap();
        for (channel, allowed) in [
            ("email", &[2_i64][..]),
            ("sms", &[4]),
            ("whatsapp", &[1, 2, 3]),
            // By the email address, else the number, else the external id.
            ("http", &[2, 6]),
        ] {
            write(&campaign.store, move |conn| {
                ask(conn, Terms { category: "transactional", topics: &[], default_opt_in: false });
                execute(conn, &format!("UPDATE campaigns SET channel = '{channel}'"));
                Ok(())
            })
            .await
            .unwrap();
            let claimed: Vec<i64> = leased.claim(6).await.iter().map(|claimed| claimed.contact.0).collect();
            assert_eq!(claimed, allowed, "{channel}");
        }
    }
}
