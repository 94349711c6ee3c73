//! What operators decide is not kept waiting by those who read.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use serde_json::json;
use volley::domain::channel::ChannelKind;
use volley::store::Conn;

use crate::support::Database;
use crate::support::api::id;
use crate::support::server::{Server, sandbox};
use crate::support::waiting::wait_until;

const LONG: Duration = Duration::from_secs(30);

/// More than there are connections for reads.
const READERS: usize = 12;

fn run(conn: &mut Conn, statements: &str) {
    match conn {
        Conn::Pg(conn) => conn.batch_execute(statements).unwrap(),
        Conn::Sqlite(conn) => conn.batch_execute(statements).unwrap(),
    }
}

#[test]
fn a_pause_does_not_wait_behind_reads_that_hang() {
    let Some(db) = Database::postgres(module_path!()) else { return };
    let server = Server::with(&db, |settings| {
        settings.pools = vec![sandbox("slow", ChannelKind::Email, 0.0)];
        settings.pools[0].rate_per_second = 1.0;
        settings.pools[0].burst = Some(1);
        settings.database.read_timeout_ms = 3_000;
    });
    let api = server.api();
    let list = api.a_list_of(20);
    let body = json!({
        "name": "A", "channel": "email", "pool": "slow", "subject": "s", "body_text": "x",
        "audience": { "lists": [list] },
    });
    let campaign = id(&api.post("/v1/campaigns", &body));
    api.send(campaign);
    api.wait(campaign, "somebody was sent to", LONG, |seen| seen.stats.sent > 0);
    let mut other = db.connect();
    run(&mut other, "BEGIN; LOCK TABLE templates IN ACCESS EXCLUSIVE MODE");
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let api = api.another();
            std::thread::spawn(move || api.try_get("/v1/templates").map(|answer| answer.status))
        })
        .collect();
    let waiting = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND relation = 'templates'::regclass";
    wait_until("every connection for reads hangs", LONG, || db.number(waiting) >= 4);
    let asked = Instant::now();
    let paused = api.another().try_post(&format!("/v1/campaigns/{campaign}/pause"), &json!({})).unwrap();
    let took = asked.elapsed();
    assert_eq!(paused.status, 200, "{}", paused.body);
    assert!(took < Duration::from_secs(1), "the pause took {took:?}");
    run(&mut other, "ROLLBACK");
    for reader in readers {
        reader.join().unwrap().unwrap();
    }
    assert_eq!(api.try_get("/v1/templates").unwrap().status, 200, "reads go on");
}

#[test]
fn asking_whether_an_instance_is_ready_writes_nothing() {
    const ASKED: i64 = 300;
    let Some(db) = Database::postgres(module_path!()) else { return };
    let server = Server::on(&db);
    let beats = || {
        db.number(
            "SELECT coalesce(sum(n_tup_upd), 0)::bigint AS n FROM pg_stat_user_tables WHERE relname = 'instances'",
        )
    };
    let before = beats();
    for _ in 0..ASKED {
        let answer = server.raw(b"GET /readyz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // The server counts with a delay: by the time that it shows later heartbeats, it shows what was asked before.
    let asked = beats();
    wait_until("heartbeats go on", LONG, || beats() >= asked.max(before) + 3);
    let written = beats() - before;
    assert!(written < ASKED / 2, "{written} writes for {ASKED} questions");
}
