//! What waits is looked for along an index, however much is set for later.

use std::sync::{Arc, Mutex};

use diesel::connection::InstrumentationEvent;
use diesel::prelude::*;
use diesel::sql_types::Text;
use volley::domain::ids::ContactId;
use volley::store::segments::queue::{self, Shard};
use volley::store::{Conn, Lane, engine};

use super::world::open;
use crate::support::both_backends;

/// How many contacts have a timer.
const TIMERS: i64 = 20_000;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    text: String,
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// The statements that are run from now on.
fn heard(conn: &mut Conn) -> Arc<Mutex<Vec<String>>> {
    let statements = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&statements);
    let listen = move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            heard.lock().unwrap().push(text.split(" -- binds").next().unwrap_or_default().to_owned());
        }
    };
    match conn {
        Conn::Pg(conn) => conn.set_instrumentation(listen),
        Conn::Sqlite(conn) => conn.set_instrumentation(listen),
    }
    statements
}

/// How a statement that looks for timers finds them.
fn look_at(conn: &mut Conn, statement: &str, value: i64) {
    match conn {
        Conn::Pg(conn) => {
            let statement = statement.replace("$1", &value.to_string());
            let lines: Vec<Line> =
                diesel::sql_query(format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {statement}")).load(conn).unwrap();
            let plan = lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n");
            assert!(plan.contains("contact_timers"), "{plan}");
            let passed_over: i64 = plan
                .split("Rows Removed by Filter: ")
                .skip(1)
                .filter_map(|rest| rest.lines().next()?.parse::<i64>().ok())
                .sum();
            assert!(passed_over < 100, "{passed_over} timers that are not due were read:\n{plan}");
        }
        Conn::Sqlite(conn) => {
            let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(conn).unwrap();
            let timers: Vec<&str> =
                steps.iter().map(|step| step.detail.as_str()).filter(|text| text.contains(" c ")).collect();
            assert!(!timers.is_empty(), "the statement does not look at timers: {statement}");
            assert!(timers.iter().all(|text| text.contains("contact_timers_due (shard=?")), "{timers:?}");
        }
    }
}

both_backends! {
    async fn timers_that_are_not_due_cost_nothing_however_many_there_are(db: &Database) {
        let store = open(db).await;
        store.run(Lane::Write, "look", |conn| {
            let now = engine::now(conn)?;
            let later: Vec<_> = (1..=TIMERS).map(|contact| (ContactId(contact), now.plus_ms(3_600_000 + contact))).collect();
            for some in later.chunks(1_000) {
                queue::set_timers(conn, some)?;
            }
            match conn {
                Conn::Pg(conn) => diesel::sql_query("ANALYZE contact_timers").execute(conn),
                Conn::Sqlite(conn) => diesel::sql_query("ANALYZE").execute(conn),
            }
            .unwrap();
            let statements = heard(conn);
            assert!(!queue::is_any_waiting(conn)?, "none is due");
            assert_eq!(queue::waiting(conn, now)?.due, 0);
            assert_eq!(conn.write(|conn| queue::lock_one_with_work(conn, Shard(0)))?, None);
            let statements: Vec<String> =
                statements.lock().unwrap().iter().filter(|text| text.contains("contact_timers")).cloned().collect();
            assert_eq!(statements.len(), 3, "{statements:#?}");
            for (statement, value) in statements.iter().zip([0, now.0, 0]) {
                look_at(conn, statement, value);
            }
            queue::set_timers(conn, &[(ContactId(7), now)])?;
            assert!(queue::is_any_waiting(conn)?, "one is due");
            Ok(())
        }).await.unwrap();
    }
}
