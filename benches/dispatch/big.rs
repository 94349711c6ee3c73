//! A large audience: import, packing, the first hand-over, memory, statistics, and the rate beside millions of rows.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};
use serde_json::{Value, json};
use volley::verify::ports::free_port;

use crate::dispatch::{POOL, Run, pool, start_afresh};
use crate::memory::memory_mb;
use crate::server::Server;
use crate::support::Database;
use crate::support::api::Api;
use crate::support::people;
use crate::support::volley::Volley;
use crate::{Backend, Wire, gauge, per_second};

/// A pool whose provider is not there: what is sent through it is packed and no more.
const NOWHERE: &str = "nowhere";

/// How long anything of this size may take.
const LIMIT: Duration = Duration::from_secs(600);

/// The parts that may be asked for by name; all of them need the import.
pub(crate) const PARTS: [&str; 4] = ["import", "packing", "launch", "memory"];

/// A large audience on one database.
struct Big {
    db: Database,
    server: Server,
    volley: Volley,
    people: u32,
    /// Everyone.
    list: i64,
}

/// Measures an audience of `people` on one database and prints a table of what came out. `wants` says which parts.
pub(crate) fn measure(backend: Backend, people: u32, recipients: u32, wants: impl Fn(&str) -> bool) {
    let Some(db) = backend.database() else { return };
    println!("\n{people} contacts on {}\n\n| what | measured | target |\n|---|---:|---:|", backend.name());
    let mut big = Big::import(db, people);
    if wants("memory") {
        big.memory(recipients);
    }
    if wants("packing") {
        big.packing();
    }
    if wants("launch") {
        big.launch("everyone", &json!({ "all": true }));
        big.launch("a list", &json!({ "lists": [big.list] }));
    }
    big.volley.stop();
}

/// Prints a row of the table.
fn row(what: &str, measured: &str, target: &str) {
    println!("| {what} | {measured} | {target} |");
}

fn count(number: u32) -> usize {
    usize::try_from(number).expect("a count")
}

impl Big {
    /// Starts the program on an empty database and imports everyone.
    fn import(db: Database, people: u32) -> Self {
        let server = Server::start(Wire::Webhook);
        let volley = Volley::on(&db)
            .settings("[log]\nlevel = \"warn\"")
            .pool(pool(POOL, Wire::Webhook, server.port()))
            .pool(pool(NOWHERE, Wire::Webhook, free_port()))
            .start();
        let api = volley.api();
        let csv = people::csv(count(people));
        let list = api.create_list("everyone");
        let (first, cpu) = import(&volley, &api, list, &csv);
        row("CSV import, rows/s", &format!("{:.0}", per_second(people, first)), "≥ 50,000");
        row("its CPU, µs a row", &format!("{:.1}", cpu.as_secs_f64() * 1e6 / f64::from(people)), "");
        let (again, _) = import(&volley, &api, list, &csv);
        row("the same file again, rows/s", &format!("{:.0}", per_second(people, again)), "");
        row("peak memory of both, MB", &format!("{:.0}", memory_mb(volley.pid(), "VmHWM")), "≤ 80");
        Self { db, server, volley, people, list }
    }

    /// The same campaign to few and to all, and to few again beside everything that was sent before.
    fn memory(&mut self, recipients: u32) {
        let few = self.volley.api().a_list_of(count(recipients));
        let empty = self.run(few, recipients);
        let few_memory = memory_mb(self.volley.pid(), "VmHWM");
        row("messages/s to few, on an empty table", &format!("{:.0}", empty.rate), "");
        row("peak memory of that, MB", &format!("{few_memory:.0}"), "≤ 80");
        let all = self.run(self.list, self.people);
        let memory = memory_mb(self.volley.pid(), "VmHWM");
        row("messages/s to all", &format!("{:.0}", all.rate), "");
        row("CPU µs a message", &format!("{:.1}", all.micros_each(self.people)), "≤ 50");
        row("peak memory of that, MB", &format!("{memory:.0}"), "≤ 80");
        row("peak memory, all beside few", &format!("{:.2}", memory / few_memory), "≤ 1.15");
        insert_old_deliveries(&self.db, self.list, 2);
        let beside = self.run(few, recipients);
        row("messages/s to few, beside all these and twice as many", &format!("{:.0}", beside.rate), "");
        row("that beside an empty table", &format!("{:.2}", beside.rate / empty.rate), "≥ 0.85");
    }

    /// One campaign in a process that has done nothing before.
    fn run(&mut self, list: i64, recipients: u32) -> Run {
        start_afresh(&mut self.volley);
        Run::measure(&self.volley, &mut self.server, Wire::Webhook, list, recipients)
    }

    /// Packing beside the same rows in one statement, and what a look at the packed campaign costs.
    fn packing(&mut self) {
        for (name, audience) in [("everyone", json!({ "all": true })), ("a list", json!({ "lists": [self.list] }))] {
            let before = bare_packing(&self.db);
            let api = start_afresh(&mut self.volley);
            let campaign = api.create_campaign(
                "http",
                NOWHERE,
                self.list,
                &json!({ "audience": audience, "topic_id": self.list }),
            );
            let began = Instant::now();
            api.send(campaign);
            let all = u64::from(self.people);
            api.wait(campaign, "everyone is packed", LIMIT, |campaign| campaign.stats.total == all);
            let packing = began.elapsed();
            row(&format!("packing {name}, rows/s"), &format!("{:.0}", per_second(self.people, packing)), "");
            let statistics = statistics(&api, campaign).as_secs_f64() * 1e3;
            self.stop(&api, campaign);
            let bare = (before + bare_packing(&self.db)) / 2;
            row("bare INSERT … SELECT, rows/s", &format!("{:.0}", per_second(self.people, bare)), "");
            let times = packing.as_secs_f64() / bare.as_secs_f64();
            row(&format!("packing {name}, times bare"), &format!("{times:.2}"), "≤ 3");
            row("GET of that campaign, p99, ms", &format!("{statistics:.2}"), "≤ 5");
        }
    }

    /// From POST send to the first acceptance.
    fn launch(&mut self, name: &str, audience: &Value) {
        let mut firsts = [0.0; 3];
        for first in &mut firsts {
            let api = start_afresh(&mut self.volley);
            let campaign =
                api.create_campaign("http", POOL, self.list, &json!({ "audience": audience, "topic_id": self.list }));
            let already = self.server.taken();
            let began = Instant::now();
            api.send(campaign);
            let taken = self.server.wait_taken(already + 1, Duration::from_millis(1));
            *first = (taken - began).as_secs_f64() * 1e3;
            self.stop(&api, campaign);
        }
        firsts.sort_unstable_by(f64::total_cmp);
        let measured = format!("{:.0} ({:.0} … {:.0})", firsts[1], firsts[0], firsts[2]);
        row(&format!("POST send to the first acceptance, {name}, ms"), &measured, "≤ 300");
    }

    /// Stops a campaign and waits until nothing of it is left to do.
    fn stop(&self, api: &Api, campaign: i64) {
        api.stop(campaign);
        api.wait(campaign, "the stop has swept up", LIMIT, |campaign| {
            campaign.stats.pending + campaign.stats.sending == 0
        });
    }
}

/// Imports a file into a list. How long it took, from the upload's first byte, and the engine's processor time.
fn import(volley: &Volley, api: &Api, list: i64, csv: &str) -> (Duration, Duration) {
    let (cpu, began) = (gauge::cpu(volley.pid()), Instant::now());
    api.import_csv(list, csv);
    (began.elapsed(), gauge::cpu(volley.pid()) - cpu)
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

/// Adds the deliveries of campaigns that ended long ago: everyone on the list, so many times.
fn insert_old_deliveries(db: &Database, list: i64, times: i64) {
    for campaign in 1..=times {
        let statement = format!(
            "INSERT INTO deliveries (campaign_id, contact_id, page_id, attempts, settled_at, state)
            SELECT {}, contact_id, contact_id / 1000, 1, 1, 'sent' FROM list_members WHERE list_id = {list}
            ORDER BY contact_id",
            1_000_000 + campaign
        );
        execute(db, &statement);
    }
}

/// The rows of a packed campaign in one statement, with nothing to resume and nothing to count.
fn bare_packing(db: &Database) -> Duration {
    const SQLITE: &str = include_str!("../../migrations/sqlite/2026-11-21-000000_create_core/up.sql");
    let like = if db.url().starts_with("sqlite://") {
        let (_, columns) = SQLITE.split_once("CREATE TABLE deliveries (").expect("the table is made there");
        let (columns, _) = columns.split_once(") WITHOUT ROWID;").expect("its end");
        format!("CREATE TABLE bare ({columns}) WITHOUT ROWID")
    } else {
        "CREATE TABLE bare (LIKE deliveries INCLUDING ALL)".to_owned()
    };
    execute(db, &like);
    let began = Instant::now();
    execute(
        db,
        "INSERT INTO bare (campaign_id, contact_id, page_id, state)
        SELECT 1, id, id / 1000, 'pending' FROM contacts WHERE deleted_at IS NULL ORDER BY id",
    );
    let took = began.elapsed();
    execute(db, "DROP TABLE bare");
    took
}

/// Runs a statement on a connection of its own, as durably as the program does.
fn execute(db: &Database, statement: &str) {
    let url = db.url();
    match url.strip_prefix("sqlite://") {
        Some(file) => {
            let mut connection = SqliteConnection::establish(file).expect("open the file");
            connection
                .batch_execute("PRAGMA busy_timeout = 60000; PRAGMA synchronous = FULL; PRAGMA cache_size = -16000")
                .expect("set the connection up");
            connection.batch_execute(statement).expect("run the statement");
        }
        None => {
            let mut connection = PgConnection::establish(&url).expect("reach the database");
            connection.batch_execute(statement).expect("run the statement");
        }
    }
}
