//! The claim's look at consent, beside the same statement without it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use tokio::runtime::Runtime;
use volley::config::secret::Secret;
use volley::domain::dispatch::fingerprint::ProviderFingerprint;
use volley::domain::dispatch::lease::LeaseToken;
use volley::domain::ids::{CampaignId, ContactId, PageId};
use volley::store::dispatch::claims::{self, Claim};
use volley::store::{Conn, Lane, Store};

use crate::figures::median;
use crate::support::Database;
use crate::support::database::number;

/// Recipients of a page: one claim takes them all.
const PAGE: u32 = 500;

/// The lowest contact id: no other value of the statement is as low as this and as high as the ids of one page.
const FIRST: u32 = 1_000_001;

const CAMPAIGN: i64 = 77;

/// Costs in microseconds of CPU time for each recipient, and the most that the look may add with so many topics.
const TOPICS: [(u32, &str); 3] = [(0, ""), (1, "≤ 5"), (3, "≤ 8")];

/// A statement of the claim, for any page.
struct Statement {
    text: String,
    values: Vec<i64>,
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    contact_id: i64,
}

fn execute(conn: &mut Conn, script: &str) {
    match conn {
        Conn::Pg(conn) => conn.batch_execute(script),
        Conn::Sqlite(conn) => conn.batch_execute(script),
    }
    .expect("the statement is right");
}

/// Numbers from `first` on, and addresses that do not stand beside those of their neighbours: a product with an odd number is
/// another one for each number below 2^32.
fn addresses(first: u32, count: u32) -> String {
    format!(
        "WITH RECURSIVE n (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM n WHERE n < {}) \
         SELECT n, 'person' || ((n * 2654435761) % 4294967296) || '@example.com' AS address FROM n",
        first + count - 1
    )
}

fn people(pages: u32) -> String {
    let count = pages * PAGE;
    format!(
        "INSERT INTO contacts (id, email, first_name, created_at, updated_at)
            SELECT p.n, p.address, 'First', 0, 0 FROM ({}) AS p;
        INSERT INTO lists (id, name, created_at, updated_at) VALUES (11, 'a', 0, 0), (12, 'b', 0, 0), (13, 'c', 0, 0);
        INSERT INTO list_members (list_id, contact_id, created_at) SELECT l.id, c.id, 0 FROM lists AS l CROSS JOIN contacts AS c;
        INSERT INTO campaigns (id, name, channel, status, pool, created_at, updated_at)
            VALUES ({CAMPAIGN}, 'a', 'email', 'sending', 'main', 0, 0);
        INSERT INTO pages (id, campaign_id, seq, pool, first_contact_id, last_contact_id, size, state, due_at, lease_token,
                lease_until, pending, sending, sent, failed, skipped, uncertain)
            VALUES (1, {CAMPAIGN}, 1, 'main', {FIRST}, {last}, {PAGE}, 'leased', 0, 7, 9000000000000, {PAGE}, 0, 0, 0, 0, 0);
        INSERT INTO deliveries (campaign_id, contact_id, page_id, state)
            SELECT {CAMPAIGN}, id, 1 + (id - {FIRST}) / {PAGE}, 'pending' FROM contacts ORDER BY id;",
        addresses(FIRST, count),
        last = FIRST + PAGE - 1
    )
}

/// Addresses that no contact has, refused altogether or about one topic.
fn suppress(first: u32, count: u32, topic: u32) -> String {
    format!(
        "INSERT INTO suppressions (address, channel, topic, unsubscribed_at, created_at, updated_at)
            SELECT p.address, 'email', {topic}, 1, 0, 0 FROM ({}) AS p;",
        addresses(first, count)
    )
}

/// The statement with which a claim finds its recipients, as the claim itself runs it.
fn of_a_claim(conn: &mut Conn) -> Statement {
    let statements = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&statements);
    let listen = move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            heard.lock().unwrap().push(query.to_string());
        }
    };
    match conn {
        Conn::Pg(conn) => conn.set_instrumentation(listen),
        Conn::Sqlite(conn) => conn.set_instrumentation(listen),
    }
    let claim = Claim {
        page: PageId(1),
        campaign: CampaignId(CAMPAIGN),
        token: LeaseToken(7),
        after: ContactId(0),
        limit: i64::from(PAGE),
        provider: ProviderFingerprint(1 << 32 | 1),
    };
    claims::claim(conn, claim).map(drop).expect("the claim");
    match conn {
        Conn::Pg(conn) => conn.set_instrumentation(|_: InstrumentationEvent<'_>| {}),
        Conn::Sqlite(conn) => conn.set_instrumentation(|_: InstrumentationEvent<'_>| {}),
    }
    execute(
        conn,
        "UPDATE deliveries SET state = 'pending', token = NULL, claim_no = 0 WHERE state <> 'pending';
         UPDATE pages SET pending = size, sending = 0, skipped = 0;",
    );
    let statements = statements.lock().unwrap();
    let found = statements.iter().find(|text| text.contains("suppressions AS s")).expect("the claim looks");
    let (text, values) = found.split_once(" -- binds: ").expect("it has values");
    let values = values.trim().trim_matches(['[', ']']).split(", ").map(|value| value.parse().expect("a number"));
    Statement { text: text.to_owned(), values: values.collect() }
}

/// A statement without its look.
fn plain(text: &str) -> String {
    let (columns, rest) = text.split_once(", c.introduced_at").expect("the look's first column");
    let (_, from) = rest.split_once(" FROM deliveries AS d").expect("the first table");
    let (from, rest) = from.split_once(" LEFT JOIN suppressions AS s").expect("the look's join");
    let (_, condition) = rest.split_once(" WHERE d.campaign_id").expect("the condition");
    format!("{columns} FROM deliveries AS d{from} WHERE d.campaign_id{condition}")
}

impl Statement {
    fn values_of(&self, page: u32) -> Vec<i64> {
        let ids = i64::from(FIRST)..i64::from(FIRST + PAGE);
        let shift = |value: &i64| if ids.contains(value) { value + i64::from(page * PAGE) } else { *value };
        self.values.iter().map(shift).collect()
    }

    /// The statement about one page, with its values in it.
    fn about(&self, page: u32) -> String {
        let values = self.values_of(page);
        values.iter().fold(self.text.clone(), |text, value| text.replacen('?', &value.to_string(), 1))
    }
}

/// CPU time of this thread, or of the process that serves this connection.
fn cpu(conn: &mut Conn) -> Duration {
    let whose = match conn {
        Conn::Pg(_) => format!("/proc/{}/schedstat", number(conn, "SELECT pg_backend_pid()::BIGINT AS n")),
        Conn::Sqlite(_) => "/proc/thread-self/schedstat".to_owned(),
    };
    let times = std::fs::read_to_string(whose).expect("it lives");
    let nanos = times.split_whitespace().next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanos.expect("a number"))
}

/// Looks at every page once. Microseconds of CPU time for each recipient.
fn cost(conn: &mut Conn, statement: &Statement, with_look: bool, pages: u32) -> f64 {
    let shaped = |text: String| if with_look { text } else { plain(&text) };
    let is_prepared = matches!(conn, Conn::Pg(_));
    if is_prepared {
        let types = vec!["BIGINT"; statement.values.len()].join(", ");
        execute(conn, &format!("PREPARE look ({types}) AS {}", shaped(statement.text.clone())));
    }
    let before = cpu(conn);
    for page in 0..pages {
        let rows: Vec<Row> = match conn {
            Conn::Pg(conn) => {
                let values: Vec<String> = statement.values_of(page).iter().map(i64::to_string).collect();
                diesel::sql_query(format!("EXECUTE look ({})", values.join(", "))).load(conn)
            }
            Conn::Sqlite(conn) => diesel::sql_query(shaped(statement.about(page))).load(conn),
        }
        .expect("the look");
        assert_eq!(rows.len(), usize::try_from(PAGE).expect("a count"), "recipients of page {page}");
        assert_eq!(rows[0].contact_id, i64::from(FIRST + page * PAGE));
    }
    let used = cpu(conn) - before;
    if is_prepared {
        execute(conn, "DEALLOCATE look");
    }
    used.as_secs_f64() * 1e6 / f64::from(pages * PAGE)
}

/// Measures one campaign of so many topics, and prints its row.
fn row(runtime: &Runtime, store: &Store, start: &str, (topics, target): (u32, &str), rounds: u32, pages: u32) {
    let run = move |conn: &mut Conn| {
        execute(
            conn,
            &format!(
                "DELETE FROM audience_lists; INSERT INTO audience_lists (campaign_id, list_id) \
                 SELECT {CAMPAIGN}, id FROM lists WHERE id <= 10 + {topics};"
            ),
        );
        let statement = of_a_claim(conn);
        let (mut without, mut with) = (Vec::new(), Vec::new());
        // The first round only warms up.
        for round in 0..=rounds {
            let (plain, look) = (cost(conn, &statement, false, pages), cost(conn, &statement, true, pages));
            if round > 0 {
                without.push(plain);
                with.push(look);
            }
        }
        Ok((without, with))
    };
    let (without, with) = runtime.block_on(store.run(Lane::Hot, "look", run)).expect("the look");
    let more: Vec<f64> = with.iter().zip(&without).map(|(with, without)| with - without).collect();
    let [without, with, more] = [without, with, more].map(|costs| median(&costs));
    println!("| {start} | {topics} | {without:.2} | {with:.2} | {more:.2} | {target} |");
}

/// Prints what stands above the rows.
pub(crate) fn head() {
    println!("\nThe claim's look: CPU time of the database for each recipient, in microseconds\n");
    println!("| database | refused addresses | topics | without the look | with it | more | target |");
    println!("|---|---|---:|---:|---:|---:|---:|");
}

/// Measures the look on one database: with nobody refused, with many, and with some of them about single topics.
pub(crate) fn measure(name: &str, db: &Database, refused: u32, is_quick: bool) {
    let (rounds, pages) = if is_quick { (1, 40) } else { (5, 200) };
    let runtime = Runtime::new().expect("a runtime");
    let settings = volley::config::Database { url: Secret::new(db.url()), ..volley::config::Database::default() };
    let store = Store::open(&settings).expect("the database");
    runtime.block_on(store.migrate()).expect("the tables");
    let mut conn = db.connect();
    execute(&mut conn, &people(pages));
    let measure = |refused: &str| {
        for asked in TOPICS {
            row(&runtime, &store, &format!("{name} | {refused}"), asked, rounds, pages);
        }
    };
    measure("0");
    let first = FIRST + pages * PAGE;
    execute(&mut conn, &suppress(first, refused, 0));
    measure(&refused.to_string());
    for topic in [11, 12, 13] {
        execute(&mut conn, &suppress(first + topic * 1_000, 1_000, topic));
    }
    measure(&format!("{refused}, and 1000 about each topic"));
}
