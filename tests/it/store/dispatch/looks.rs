//! How the claim's look at consent is carried out: along indexes, row by row, whatever the database knows of its tables.

use std::sync::{Arc, Mutex};

use diesel::connection::InstrumentationEvent;
use diesel::prelude::*;
use diesel::sql_types::Text;
use volley::domain::ids::ContactId;
use volley::store::dispatch::claims::{self, Claim};
use volley::store::{Conn, Lane};

use crate::store::dispatch::packed::{Campaign, Leased, PROVIDER, execute, write};
use crate::support::both_backends;

/// Five lists with half of the people on each, twenty thousand suppressed addresses, a few refused topics.
const PEOPLE: &str = "
    INSERT INTO lists (id, name, created_at, updated_at) VALUES (1, 'a', 0, 0), (2, 'b', 0, 0), (3, 'c', 0, 0), (4, 'd', 0, 0),
        (5, 'e', 0, 0);
    INSERT INTO list_members (list_id, contact_id, created_at)
        SELECT l.id, c.id, 0 FROM lists AS l CROSS JOIN contacts AS c WHERE c.id % 2 = l.id % 2;
    INSERT INTO suppressions (address, channel, topic, unsubscribed_at, created_at, updated_at)
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000)
        SELECT 'person' || (n * 7) || '@example.com', 'email', 0, 0, 0, 0 FROM n;
    INSERT INTO suppressions (address, channel, topic, unsubscribed_at, created_at, updated_at)
        VALUES ('person3@example.com', 'email', 1, 0, 0, 0);
    INSERT INTO blocked_domains (domain, blocked_at) VALUES ('example.org', 0);";

/// What a plan may not do. The last two are how PostgreSQL and SQLite would go through everybody who has refused a topic, for each
/// recipient; whether anybody has is answered by the index alone.
const FORBIDDEN: [&str; 9] = [
    "hashed SubPlan",
    "Sort",
    "Bitmap",
    "Hash Join",
    "Merge Join",
    "Seq Scan on suppressions",
    "TEMP B-TREE",
    "Index Scan using suppressions_topic",
    "USING INDEX suppressions_topic",
];

#[derive(diesel::QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    #[diesel(column_name = "QUERY PLAN")]
    line: String,
}

#[derive(diesel::QueryableByName)]
struct Detail {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// The look's text and its values, as the claim runs it.
fn statement(conn: &mut Conn, claim: Claim) -> (String, Vec<String>) {
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
    claims::claim(conn, claim).map(drop).unwrap();
    match conn {
        Conn::Pg(conn) => conn.set_instrumentation(|_: InstrumentationEvent<'_>| {}),
        Conn::Sqlite(conn) => conn.set_instrumentation(|_: InstrumentationEvent<'_>| {}),
    }
    let statements = statements.lock().unwrap();
    let look = statements.iter().find(|text| text.contains("suppressions AS s")).expect("the claim looks");
    let (text, binds) = look.split_once(" -- binds: ").expect("it has values");
    let binds = binds.trim().trim_matches(['[', ']']).split(", ").map(str::to_owned).collect();
    (text.to_owned(), binds)
}

/// What the database plans to do for it.
fn plans(conn: &mut Conn, (text, binds): &(String, Vec<String>)) -> Vec<String> {
    match conn {
        Conn::Pg(conn) => ["force_custom_plan", "force_generic_plan"]
            .into_iter()
            .map(|mode| {
                let run = |conn: &mut PgConnection, text: &str| diesel::sql_query(text).execute(conn).unwrap();
                run(conn, &format!("SET plan_cache_mode = {mode}"));
                let types = vec!["BIGINT"; binds.len()].join(", ");
                run(conn, &format!("PREPARE look ({types}) AS {text}"));
                let explain = format!("EXPLAIN EXECUTE look ({})", binds.join(", "));
                let lines: Vec<Line> = diesel::sql_query(explain).load(conn).unwrap();
                run(conn, "DEALLOCATE look");
                run(conn, "RESET plan_cache_mode");
                let lines: Vec<String> = lines.into_iter().map(|line| line.line).collect();
                format!("{mode}\n{}", lines.join("\n"))
            })
            .collect(),
        Conn::Sqlite(conn) => {
            let lines: Vec<Detail> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {text}")).load(conn).unwrap();
            let lines: Vec<String> = lines.into_iter().map(|line| line.detail).collect();
            vec![lines.join("\n")]
        }
    }
}

fn complaints(plan: &str) -> Vec<String> {
    let scans = plan.lines().filter(|line| {
        // SQLite: a walk through a whole table. One row of `blocked_domains` or of the refused topics is enough to end it.
        line.trim_start().strip_prefix("SCAN ").is_some_and(|rest| {
            !rest.contains("suppressions_topic")
                && !rest.starts_with("blocked_domains")
                && !rest.contains("CONSTANT ROW")
        }) || ["deliveries", "contacts", "list_members", "suppressions"]
            .iter()
            .any(|table| line.contains(&format!("Seq Scan on {table}")))
    });
    let forbidden = FORBIDDEN.iter().filter(|word| plan.contains(**word)).map(|word| (*word).to_owned());
    scans.map(str::to_owned).chain(forbidden).collect()
}

fn claim_of(leased: &Leased) -> Claim {
    Claim {
        page: leased.id(),
        campaign: leased.campaign.id,
        token: leased.token,
        after: ContactId(0),
        limit: 5,
        provider: PROVIDER,
    }
}

both_backends! {
    async fn the_look_at_consent_goes_along_indexes_with_and_without_statistics(db: &Database) {
        let campaign = Campaign::packed(db, 1_000, 1_000).await;
        write(&campaign.store, |conn| {
            execute(conn, PEOPLE);
            Ok(())
        })
        .await
        .unwrap();
        let leased = campaign.lease().await.unwrap();
        let claim = claim_of(&leased);
        for analyzed in [false, true] {
            for channel in ["email", "sms", "http"] {
                for topics in [0, 1, 3, 5] {
                    let ask = move |conn: &mut Conn| {
                        execute(conn, &format!(
                            "DELETE FROM audience_lists; UPDATE campaigns SET channel = '{channel}';
                             INSERT INTO audience_lists (campaign_id, list_id) SELECT 1, id FROM lists WHERE id <= {topics};"
                        ));
                        if analyzed {
                            execute(conn, "ANALYZE");
                        }
                        let statement = statement(conn, claim);
                        for plan in plans(conn, &statement) {
                            let complaints = complaints(&plan);
                            assert!(
                                complaints.is_empty(),
                                "{channel}, {topics} topics, analyzed {analyzed}: {complaints:#?}\n{plan}\n{}",
                                statement.0
                            );
                        }
                        Ok(())
                    };
                    campaign.store.run(Lane::Hot, "look", ask).await.unwrap();
                }
            }
        }
    }
}
