//! Files that say what people agreed to, beside the same files without it.

use std::fmt::Write;
use std::time::Instant;

use serde_json::json;

use crate::figures::{median, number};
use crate::support::people::address;
use crate::support::volley::Volley;
use crate::{Backend, support::Database};

/// What a file has beside names and addresses.
const KINDS: [(&str, &str, &str); 3] = [
    ("names and addresses", "", ""),
    ("and `status`, `status_at`, `source`", ",status,status_at,source", "≥ 0.7"),
    ("and `tags`", ",status,status_at,source,tags", "≥ 0.7"),
];

/// Of twenty people one has refused and one has not confirmed.
fn csv(people: usize, columns: &str) -> String {
    let mut csv = format!("email,first_name,last_name,city{columns}\n");
    for n in 1..=people {
        write!(csv, "{},First{n},Last{n},Town {}", address(n), n % 17).expect("text");
        let status = ["unsubscribed", "unconfirmed"].get(n % 20).unwrap_or(&"subscribed");
        if !columns.is_empty() {
            write!(csv, ",{status},2026-01-{:02}T08:30:00Z,old newsletter", n % 28 + 1).expect("text");
        }
        if columns.ends_with("tags") {
            write!(csv, ",town {}", n % 17).expect("text");
        }
        csv.push('\n');
    }
    csv
}

/// Measures on one database and prints its rows: each file into an empty database, in turn, so many times.
pub(crate) fn measure(backend: Backend, people: usize, rounds: usize) {
    println!("\nImporting {people} contacts into a list\n");
    println!("| database | columns | rows/s | to the first | target |");
    println!("|---|---|---:|---:|---:|");
    let Some(db) = backend.database() else { return };
    let mut rates = KINDS.map(|_| Vec::new());
    for round in 0..rounds {
        for n in 0..KINDS.len() {
            let kind = (round + n) % KINDS.len();
            rates[kind].push(import(backend, &db, people, KINDS[kind].1));
        }
    }
    for ((what, _, target), measured) in KINDS.iter().zip(&rates) {
        let kept: Vec<f64> = measured.iter().zip(&rates[0]).map(|(rate, first)| rate / first).collect();
        let (rate, kept) = (median(measured), median(&kept));
        println!("| {} | {what} | {rate:.0} | {kept:.2} | {target} |", backend.name());
    }
}

/// Rows a second, from the upload's first byte to the end of the import.
fn import(backend: Backend, db: &Database, people: usize, columns: &str) -> f64 {
    let own;
    let builder = match backend {
        Backend::Sqlite => {
            own = Database::sqlite();
            Volley::on(&own)
        }
        Backend::Postgres => Volley::on(db).database(&db.server().create_database()),
    };
    // Of its own: refusals that an earlier import has filed are stored again in a database that does not know them.
    let data = tempfile::tempdir().expect("a temporary folder");
    let volley = builder.settings("[log]\nlevel = \"warn\"").data_dir(data.path()).start();
    let api = volley.api();
    let (list, csv) = (api.create_list("everyone"), csv(people, columns));
    let began = Instant::now();
    let import = api.import_csv(list, &csv);
    let took = began.elapsed();
    assert_eq!(import["rows_created"], json!(people), "{import}");
    volley.stop();
    number(people) / took.as_secs_f64()
}
