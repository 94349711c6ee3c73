//! What setting suppressions holds on PostgreSQL, and in which order: two that come at the same time cannot block each other.

use std::time::Duration;

use diesel::RunQueryDsl;
use serde_json::json;
use volley::store::{Conn, StoreError};

use crate::support::Database;
use crate::support::database::number;
use crate::support::server::Server;
use crate::support::waiting::wait_until;

const WAITING: &str =
    "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

fn run(conn: &mut Conn, statement: &str) -> Result<(), StoreError> {
    diesel::sql_query(statement).execute(conn).map(drop).map_err(StoreError::query("test"))
}

/// Holds what `first` says. While the request waits for that, `then` must be had without waiting for the request.
fn held_meanwhile(db: &Database, server: &Server, first: &str, request: (&str, &str, &str), then: &[&str]) {
    let (mut other, mut watcher) = (db.connect(), db.connect());
    let (path, content_type, body) = request;
    std::thread::scope(|scope| {
        let asked = other.write(|conn| {
            run(conn, first)?;
            let headers = [("Content-Type", content_type)];
            let asked = scope.spawn(move || server.send("POST", path, &headers, body.as_bytes()));
            wait_until("the request waits", Duration::from_secs(10), || number(&mut watcher, WAITING) > 0);
            then.iter().try_for_each(|statement| run(conn, statement))?;
            Ok::<_, StoreError>(asked)
        });
        let answer = asked.unwrap().join().unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    });
}

#[test]
fn people_are_held_before_lists_and_lists_before_what_is_known_of_addresses() {
    let Some(db) = Database::postgres("people_are_held_before_lists") else { return };
    let server = Server::on(&db);
    let api = server.api();
    let list = api.create_list("News");
    api.post("/v1/contacts", &json!({ "email": "ann@example.com" }));
    api.post("/v1/suppressions", &json!({ "address": "ann@example.com", "reason": "blocked" }));
    let body = json!({ "address": "ann@example.com", "list": list.to_string() }).to_string();
    let request = ("/v1/suppressions", "application/json", body.as_str());
    let lists = "SELECT id FROM lists FOR UPDATE NOWAIT";
    let known = "SELECT address FROM suppressions FOR UPDATE NOWAIT";
    held_meanwhile(&db, &server, "SELECT id FROM contacts FOR UPDATE", request, &[lists, known]);
    held_meanwhile(&db, &server, "SELECT id FROM lists FOR UPDATE", request, &[known]);
}

#[test]
fn domains_are_blocked_last_and_in_the_order_of_their_names() {
    let Some(db) = Database::postgres("domains_are_blocked_last") else { return };
    let server = Server::on(&db);
    server.api().post("/v1/contacts", &json!({ "email": "ann@example.com" }));
    let csv = "address\n@z.example\n@m.example\nann@example.com\n";
    let request = ("/v1/suppressions/import", "text/csv", csv);
    let block = |domain: &str| format!("INSERT INTO blocked_domains (domain, blocked_at) VALUES ('{domain}', 1)");
    let wait_briefly = "SET LOCAL lock_timeout = '200ms'";
    let (block_m, block_z, block_other) = (block("m.example"), block("z.example"), block("a.example"));
    held_meanwhile(&db, &server, &block_m, request, &[wait_briefly, &block_z]);
    run(&mut db.connect(), "DELETE FROM blocked_domains").unwrap();
    let both = [wait_briefly, &block_z, &block_m, &block_other];
    held_meanwhile(&db, &server, "SELECT id FROM contacts FOR UPDATE", request, &both);
}
