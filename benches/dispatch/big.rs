//! A large audience: import, packing, the first hand-over, memory, statistics, and the rate beside millions of rows.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};
use serde_json::json;

use crate::dispatch::{POOL, Run, pool, start_afresh};
use crate::server::Server;
use crate::support::Database;
use crate::support::api::Api;
use crate::support::people;
use crate::support::ports::free_port;
use crate::support::volley::Volley;
use crate::{Backend, Wire, gauge, per_second};

/// Measures an audience of `people` on one database and prints a table of what came out.
pub(crate) fn measure(backend: Backend, people: u32, recipients: u32) {
    let Some(db) = backend.database() else { return };
    let wire = Wire::Webhook;
    let mut server = Server::start(wire);
    let mut volley = Volley::on(&db)
        .settings("[log]\nlevel = \"warn\"")
        .pool(pool(POOL, wire, server.port()))
        .pool(pool("nowhere", wire, free_port()))
        .start();
    let api = volley.api();
    println!("\n{} contacts on {}\n\n| what | measured |\n|---|---:|", people, backend.name());
    let row = |what: &str, measured: String| println!("| {what} | {measured} |");

    let list = api.create_list("everyone");
    let csv = people::csv(usize::try_from(people).expect("a count"));
    let began = Instant::now();
    api.import_csv(list, &csv);
    drop(csv);
    row("import, rows/s", format!("{:.0}", per_second(people, began.elapsed())));
    row("peak memory of the import, MB", format!("{:.0}", gauge::peak_memory_mb(volley.pid())));
    let small = api.create_list("some");
    api.import_csv(small, &people::csv(usize::try_from(recipients).expect("a count")));

    start_afresh(&mut volley);
    let empty = Run::measure(&volley, &mut server, wire, small, recipients);
    row("messages/s to the small audience, on an empty table", format!("{:.0}", empty.rate));
    let small_memory = gauge::peak_memory_mb(volley.pid());
    row("peak memory of that, MB", format!("{small_memory:.0}"));

    // Nobody can be handed over, so what is measured is packing alone.
    let api = start_afresh(&mut volley);
    let packed = api.create_campaign(wire.channel(), "nowhere", list, &json!({}));
    let began = Instant::now();
    api.send(packed);
    let limit = Duration::from_secs(600);
    api.wait(packed, "everyone is packed", limit, |campaign| campaign.stats.total == u64::from(people));
    let packing = began.elapsed();
    row("packing, rows/s", format!("{:.0}", per_second(people, packing)));
    row("statistics, p99, ms", format!("{:.2}", statistics(&api, packed).as_secs_f64() * 1e3));
    api.stop(packed);
    api.wait(packed, "the stop has swept up", limit, |campaign| campaign.stats.skipped == u64::from(people));

    start_afresh(&mut volley);
    let large = Run::measure(&volley, &mut server, wire, list, people);
    row("launch to first acceptance, ms", format!("{:.0}", large.first.as_secs_f64() * 1e3));
    row("messages/s to the whole audience", format!("{:.0}", large.rate));
    row("CPU µs a message", format!("{:.1}", large.micros_each(people)));
    let memory = gauge::peak_memory_mb(volley.pid());
    row("peak memory of that, MB", format!("{memory:.0} ({:.2})", memory / small_memory));

    start_afresh(&mut volley);
    let beside = Run::measure(&volley, &mut server, wire, small, recipients);
    row(
        "messages/s to the small audience, on that table",
        format!("{:.0} ({:.2})", beside.rate, beside.rate / empty.rate),
    );
    volley.stop();

    let bare = bare_packing(&db);
    row("bare INSERT … SELECT, rows/s", format!("{:.0}", per_second(people, bare)));
    row("packing beside bare, times", format!("{:.2}", packing.as_secs_f64() / bare.as_secs_f64()));
}

/// The slowest but nine of a thousand looks at a campaign.
fn statistics(api: &Api, campaign: i64) -> Duration {
    let mut looks: Vec<Duration> = (0..1_000)
        .map(|_| {
            let began = Instant::now();
            api.campaign(campaign);
            began.elapsed()
        })
        .collect();
    looks.sort_unstable();
    looks[989]
}

/// The same rows in one statement, with nothing to resume and nothing to count.
fn bare_packing(db: &Database) -> Duration {
    const INSERT: &str = "INSERT INTO bare (campaign_id, contact_id, page_id, state)
        SELECT 1, id, id / 1000, 'pending' FROM contacts WHERE deleted_at IS NULL ORDER BY id";
    let url = db.url();
    match url.strip_prefix("sqlite://") {
        Some(file) => {
            let mut connection = SqliteConnection::establish(file).expect("open the file");
            let like = "CREATE TABLE bare (campaign_id BIGINT NOT NULL, contact_id BIGINT NOT NULL, page_id BIGINT NOT
                NULL, due_at BIGINT NOT NULL DEFAULT 0, claim_no INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL
                DEFAULT 0, deaths INTEGER NOT NULL DEFAULT 0, ambiguous BOOLEAN NOT NULL DEFAULT FALSE, state TEXT NOT
                NULL, PRIMARY KEY (campaign_id, contact_id)) WITHOUT ROWID";
            timed(&mut connection, like, INSERT)
        }
        None => {
            let mut connection = PgConnection::establish(&url).expect("reach the database");
            timed(&mut connection, "CREATE TABLE bare (LIKE deliveries INCLUDING ALL)", INSERT)
        }
    }
}

fn timed(connection: &mut impl SimpleConnection, before: &str, statement: &str) -> Duration {
    connection.batch_execute(before).expect("make the table");
    let began = Instant::now();
    connection.batch_execute(statement).expect("run the statement");
    began.elapsed()
}
