//! Many contacts in one request.

use std::time::Instant;

use serde_json::{Value, json};

use crate::figures::number;
use crate::support::Database;
use crate::support::people::address;
use crate::support::volley::Volley;

/// How a request names the member of this number.
type Member<'a> = &'a dyn Fn(usize) -> Value;

/// Contacts in one request: as many as it may have.
const AT_ONCE: usize = 10_000;

/// Measures on one database and prints its rows.
pub(crate) fn measure(name: &str, db: &Database, requests: usize) {
    let people = AT_ONCE * requests;
    println!("\nSubscribing and unsubscribing {people} contacts, {AT_ONCE} in a request\n");
    println!("| database | request | contacts/s |");
    println!("|---|---|---:|");
    let volley = Volley::on(db).settings("[log]\nlevel = \"warn\"").start();
    let api = volley.api();
    api.a_list_of(people);
    let first = db.number("SELECT min(id) AS n FROM contacts");
    let ids = |n: usize| json!({ "contact_id": first + i64::try_from(n).expect("a count") });
    let known = |n: usize| json!({ "email": address(n + 1) });
    let new = |n: usize| json!({ "email": address(people + n + 1) });
    let [one, two] = ["One", "Two"].map(|name| api.create_list(name));
    let rows: [(&str, i64, &str, Member<'_>); 5] = [
        ("subscribe, by id", one, "subscribe", &ids),
        ("the same again", one, "subscribe", &ids),
        ("subscribe, by address", two, "subscribe", &known),
        ("subscribe, by an address that no contact has yet", two, "subscribe", &new),
        ("unsubscribe, by id", one, "unsubscribe", &ids),
    ];
    for (what, list, verb, member) in rows {
        let bodies: Vec<Value> = (0..requests)
            .map(|request| {
                let members: Vec<Value> = (request * AT_ONCE..(request + 1) * AT_ONCE).map(member).collect();
                json!({ "members": members })
            })
            .collect();
        let began = Instant::now();
        for body in &bodies {
            api.post(&format!("/v1/lists/{list}/{verb}"), body);
        }
        println!("| {name} | {what} | {:.0} |", number(people) / began.elapsed().as_secs_f64());
    }
    volley.stop();
}
