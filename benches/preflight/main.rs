//! What a preflight costs: how long it takes, what it holds in memory, and what a campaign that is being sent loses by it.
//!
//! `cargo bench --bench preflight` measures the real program in a process of its own. Arguments, all optional:
//!
//! * words choose what is measured: a database (`sqlite`, `postgres`), a part (`alone`: while nothing is sent; `beside`: while a campaign is);
//! * `--contacts N` people on the list, 1,000,000 on PostgreSQL and 200,000 on SQLite unless given;
//! * `--quick` 20,000 people: too few for figures.
//!
//! One person in ten has no address, one in twenty is suppressed, one in twenty has unsubscribed, and one in five has no city.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed assumption of a measurement ends it, and its result is what it prints"
)]

#[allow(dead_code, unused_imports, unused_macros, reason = "shared with the tests, which use all of it")]
#[path = "../../tests/it"]
mod it {
    pub(crate) mod support;
}

#[path = "../support/memory.rs"]
mod memory;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use it::support::Database;
use it::support::api::Api;
use it::support::server::ROOT_KEY;
use it::support::volley::{Pool, Volley};
use it::support::waiting::wait_until;
use memory::memory_mb;
use serde_json::{Value, json};
use volley::store::Conn;

const DATABASES: [&str; 2] = ["sqlite", "postgres"];
const PARTS: [&str; 2] = ["alone", "beside"];

/// The list that everybody is on.
const LIST: i64 = 11;

/// How long anything of this size may take.
const LIMIT: Duration = Duration::from_secs(900);

/// How long the rate of a campaign is measured.
const MEASURED: Duration = Duration::from_secs(15);

fn statements(contacts: usize) -> String {
    format!(
        "INSERT INTO contacts (external_id, email, first_name, locale, attributes, introduced_at, created_at, updated_at)
            WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {contacts})
            SELECT 'c-' || id, CASE WHEN id % 10 = 3 THEN NULL ELSE 'person' || id || '@example.com' END, 'First', 'en',
                CASE WHEN id % 5 = 1 THEN '{{\"plan\":\"free\"}}' ELSE '{{\"plan\":\"free\",\"city\":\"Town ' || (id % 50) || '\"}}' END, 0, 0, 0
            FROM n ORDER BY id;
        INSERT INTO attribute_keys (name, created_at) VALUES ('city', 0) ON CONFLICT DO NOTHING;
        INSERT INTO lists (id, name, created_at, updated_at) VALUES ({LIST}, 'News', 0, 0);
        INSERT INTO list_members (list_id, contact_id, created_at, status)
            SELECT {LIST}, id, 0, CASE WHEN id % 20 = 7 THEN 'unsubscribed' ELSE 'subscribed' END FROM contacts ORDER BY id;
        INSERT INTO suppressions (address, channel, topic, blocked_at, created_at, updated_at)
            SELECT email, 'email', 0, 1, 0, 0 FROM contacts WHERE id % 20 = 11 AND email IS NOT NULL;"
    )
}

/// What was asked for on the command line.
struct Options {
    contacts: Option<usize>,
    words: Vec<String>,
}

impl Options {
    fn read() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
        let given = arguments.windows(2).rfind(|pair| pair[0] == "--contacts");
        let contacts = given.map(|pair| pair[1].parse().expect("a number after --contacts"));
        let is_quick = arguments.iter().any(|word| word == "--quick");
        let is_word = |word: &&String| !word.starts_with("--") && word.parse::<usize>().is_err();
        let words: Vec<String> = arguments.iter().filter(is_word).cloned().collect();
        let known = [&DATABASES[..], &PARTS[..]].concat();
        for word in &words {
            assert!(known.contains(&word.as_str()), "{word} is none of {}", known.join(", "));
        }
        Self { contacts: contacts.or(is_quick.then_some(20_000)), words }
    }

    /// Whether `word` is asked for, or none of its kind.
    fn wants(&self, word: &str, kind: &[&str]) -> bool {
        let names = |word: &str| self.words.iter().any(|named| named == word);
        names(word) || !kind.iter().any(|other| names(other))
    }
}

fn main() {
    let options = Options::read();
    for name in DATABASES.into_iter().filter(|name| options.wants(name, &DATABASES)) {
        let db = match name {
            "sqlite" => Some(Database::sqlite()),
            _ => Database::own_postgres("the measurements on PostgreSQL"),
        };
        let Some(db) = db else { continue };
        let contacts = options.contacts.unwrap_or(if name == "sqlite" { 200_000 } else { 1_000_000 });
        let volley = Volley::on(&db).pool(Pool::sandbox("main", "email")).start();
        fill(name, &db, contacts);
        for part in PARTS.into_iter().filter(|part| options.wants(part, &PARTS)) {
            match part {
                "alone" => alone(name, &volley, contacts),
                _ => beside(name, &volley),
            }
        }
        volley.stop();
    }
}

fn fill(name: &str, db: &Database, contacts: usize) {
    let began = Instant::now();
    let script = statements(contacts);
    match &mut db.connect() {
        Conn::Pg(conn) => conn.batch_execute(&script),
        Conn::Sqlite(conn) => conn.batch_execute(&script),
    }
    .expect("the statements are right");
    if name == "postgres" {
        // As autovacuum leaves tables that have been there for a while.
        db.execute("VACUUM (ANALYZE)");
        db.execute("CHECKPOINT");
    }
    println!("\n{name}: {contacts} people, filled in {:.0} s", began.elapsed().as_secs_f64());
}

fn draft(api: &Api, name: &str) -> i64 {
    let text = "Dear {first_name|friend}, good news from {city|town}. {{ unsubscribe_url }}\n".repeat(5);
    let html =
        "<p>Dear {first_name|friend}, good news from {city|town}. <a href=\"{{ unsubscribe_url }}\">No more</a></p>"
            .repeat(10);
    api.create_campaign("email", "main", LIST, &json!({ "name": name, "body_text": text, "body_html": html }))
}

/// The result of a preflight, and how long it took.
fn preflight(volley: &Volley, campaign: i64) -> (Value, Duration) {
    let began = Instant::now();
    let mut socket = TcpStream::connect(("127.0.0.1", volley.port())).expect("a connection");
    let request = format!(
        "POST /v1/campaigns/{campaign}/preflight HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Length: 0\r\n\
         Accept: application/x-ndjson\r\nAuthorization: Bearer {ROOT_KEY}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).expect("a request");
    let lines = BufReader::new(socket).lines().map_while(Result::ok);
    let result = lines.filter(|line| line.starts_with("{\"result\":")).last().expect("a result");
    let mut result: Value = serde_json::from_str(&result).expect("JSON");
    (result["result"].take(), began.elapsed())
}

fn alone(name: &str, volley: &Volley, contacts: usize) {
    println!("\nA preflight of {contacts} people while nothing is sent\n");
    println!("| database | s | people/s | messages made | MB before | MB most ever |");
    println!("|---|---:|---:|---:|---:|---:|");
    let api = volley.api();
    let before = memory_mb(volley.pid(), "VmRSS");
    for _ in 0..3 {
        let campaign = draft(&api, "Alone");
        let (report, took) = preflight(volley, campaign);
        assert_eq!(report["verdict"]["go"], true, "{}", report["verdict"]);
        let (messages, seconds) = (&report["funnel"]["messages"], took.as_secs_f64());
        let rate = f64::from(u32::try_from(contacts).expect("a count")) / seconds;
        let most = memory_mb(volley.pid(), "VmHWM");
        println!("| {name} | {seconds:.1} | {rate:.0} | {messages} | {before:.0} | {most:.0} |");
    }
}

/// How many of a campaign are sent a second, over a while.
fn rate(api: &Api, campaign: i64, over: Duration) -> f64 {
    let sent = || f64::from(u32::try_from(api.campaign(campaign).stats.sent).expect("a count"));
    let (before, began) = (sent(), Instant::now());
    std::thread::sleep(over);
    (sent() - before) / began.elapsed().as_secs_f64()
}

fn beside(name: &str, volley: &Volley) {
    println!("\nA campaign that is being sent, without and with a preflight beside it\n");
    println!("| database | sent/s without | sent/s with | lost |");
    println!("|---|---:|---:|---:|");
    let api = volley.api();
    let sending = draft(&api, "Being sent");
    let checked = draft(&api, "Checked");
    api.send(sending);
    wait_until("it is packed", LIMIT, || api.get(&format!("/v1/campaigns/{sending}"))["packing"]["done"] == true);
    let over = MEASURED.min(LIMIT);
    let without = rate(&api, sending, over);
    let with = std::thread::scope(|scope| {
        let running = scope.spawn(|| preflight(volley, checked));
        let with = rate(&volley.api(), sending, over);
        println!("(the preflight {} during all of it)", if running.is_finished() { "did not run" } else { "ran" });
        // It need not be waited for: ending the process ends it.
        api.stop(sending);
        let _ = running.join();
        with
    });
    println!("| {name} | {without:.0} | {with:.0} | {:.0} % |", (1.0 - with / without.max(1.0)) * 100.0);
}
