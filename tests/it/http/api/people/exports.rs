//! Contacts and members as files, and back again.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use volley::domain::ids::ContactId;
use volley::domain::people::standing::Standing;
use volley::store::people::contact_filter::{self, ContactFilter};
use volley::store::people::exports;

use crate::support::api::{Api, id};
use crate::support::server::{ROOT_KEY, Server};
use crate::support::waiting::wait_for;
use crate::support::{Database, both_backends};

/// The lines of an export as JSON, without what is of its database.
fn exported(api: &Api, path: &str) -> Vec<Value> {
    let found = api.get(path);
    // A single line is JSON by itself.
    let text = found.as_str().map_or_else(|| found.to_string(), ToOwned::to_owned);
    let mut all: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for one in &mut all {
        let fields = one.as_object_mut().unwrap();
        for own in ["id", "version", "introduced_at", "created_at", "updated_at", "status_at"] {
            fields.remove(own);
        }
    }
    all.sort_by_key(|one| (one["email"].to_string(), one["external_id"].to_string()));
    all
}

/// What holds messages back, by address.
fn suppressed(all: &[Value]) -> Vec<(String, Vec<&str>)> {
    let mut found = Vec::new();
    for one in all {
        let words = one["suppressed"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
        let mut words: Vec<&str> = words.collect();
        words.sort_unstable();
        found.push((one["email"].as_str().or(one["external_id"].as_str()).unwrap().to_owned(), words));
    }
    found
}

/// Without how they stand on lists, which a file of contacts brings to no list.
fn without_lists(mut all: Vec<Value>) -> Vec<Value> {
    for one in &mut all {
        one.as_object_mut().unwrap().remove("lists");
        let words = one["suppressed"].as_array_mut().unwrap();
        words.sort_by_key(ToString::to_string);
    }
    all
}

fn csv(api: &Api, path: &str) -> String {
    api.get(path).as_str().unwrap().to_owned()
}

#[track_caller]
fn imported(server: &Server, query: &str, csv: &str) -> Value {
    let path = format!("/v1/contacts/import{query}");
    let accepted = server.send("POST", &path, &[("Content-Type", "text/csv")], csv.as_bytes());
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let api = server.api();
    wait_for("the import ends", Duration::from_secs(60), || {
        let import = api.get(&format!("/v1/imports/{}", id(&accepted.body)));
        ["completed", "failed"].contains(&import["status"].as_str().unwrap()).then_some(import)
    })
}

/// People; some of them have refused.
fn people(api: &Api) -> i64 {
    let ann = id(&api.post(
        "/v1/contacts",
        &json!({
            "external_id": "'c-1", "email": "ann@example.com", "phone": "+442079460123", "first_name": "=Ann",
            "last_name": "O'Neil, \"Jr\"", "timezone": "Europe/Berlin", "locale": "de-DE",
            "attributes": { "orders": 3, "vip": true, "colours": ["red", 7], "note": "two\nlines" },
        }),
    ));
    api.post(&format!("/v1/contacts/{ann}/tags"), &json!({ "add": ["VIP", "a|b"] }));
    for email in ["bob@example.com", "cleo@example.com", "dora@blocked.example", "eve@example.com"] {
        api.post("/v1/contacts", &json!({ "email": email }));
    }
    api.post("/v1/contacts", &json!({ "external_id": "+1+1" }));
    api.post("/v1/contacts", &json!({ "email": "fred@example.com", "phone": "+442079460124" }));
    for body in [
        json!({ "address": "bob@example.com" }),
        json!({ "address": "cleo@example.com", "reason": "complained" }),
        json!({ "domain": "blocked.example" }),
        json!({ "address": "+442079460124", "channel": "sms", "reason": "stopped" }),
        json!({ "address": "fred@example.com", "reason": "bounced" }),
        json!({ "address": "+1+1", "channel": "http", "reason": "blocked" }),
    ] {
        api.post("/v1/suppressions", &body);
    }
    let news = api.create_list("News");
    api.post(&format!("/v1/lists/{news}/subscribe"), &json!({ "contact_id": ann, "source": "shop" }));
    api.post(&format!("/v1/lists/{news}/subscribe"), &json!({ "email": "fred@example.com" }));
    api.post(&format!("/v1/lists/{news}/unsubscribe"), &json!({ "email": "eve@example.com" }));
    news
}

both_backends! {
    fn contacts_come_back_as_they_were_and_a_no_stays_one(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        people(&api);
        let before = exported(&api, "/v1/contacts/export?format=jsonl");
        assert_eq!(before.len(), 7);
        let found = suppressed(&before);
        let words = |name: &str| found.iter().find(|(one, _)| one == name).unwrap().1.clone();
        assert_eq!(words("ann@example.com"), Vec::<&str>::new());
        assert_eq!(words("bob@example.com"), ["unsubscribed"]);
        assert_eq!(words("cleo@example.com"), ["email:complained"]);
        assert_eq!(words("dora@blocked.example"), ["email:blocked"]);
        assert_eq!(words("fred@example.com"), ["email:bounced", "sms:stopped"]);
        assert_eq!(words("+1+1"), ["http:blocked"]);
        assert_eq!(before[0]["lists"], json!(["news:subscribed"]), "{before:?}");
        assert_eq!(before[0]["attributes"]["colours"], json!(["red", 7]), "types stay");
        let file = csv(&api, "/v1/contacts/export");
        let (header, first) = (file.lines().next().unwrap().trim_start_matches('\u{feff}'), file.lines().nth(1).unwrap());
        assert_eq!(
            header,
            "contact_id,external_id,email,phone,first_name,last_name,timezone,locale,tags,attributes,suppressed,lists,untracked,\
             introduced_at,created_at,updated_at"
        );
        assert!(first.contains(",''c-1,ann@example.com,'+442079460123,'=Ann,\"O'Neil, \"\"Jr\"\"\",Europe/Berlin,de-DE,\"a|b, vip\","), "{first}");
        for query in ["", "?raw=true"] {
            let other = Database::sqlite();
            let elsewhere = Server::on(&other);
            let done = imported(&elsewhere, "", &csv(&api, &format!("/v1/contacts/export{query}")));
            assert_eq!((&done["rows_created"], &done["rows_rejected"], &done["dropped_cells"]), (&json!(7), &json!(0), &json!(0)), "{done}");
            let after = exported(&elsewhere.api(), "/v1/contacts/export?format=jsonl");
            assert_eq!(without_lists(after), without_lists(before.clone()), "{query}");
            let held = |api: &Api, query: &str| api.get(&format!("/v1/contacts?suppressed={query}"))["pagination"]["total_count"].clone();
            assert_eq!(held(&elsewhere.api(), "false"), json!(3), "ann, eve, and who has no address");
        }
        let again = imported(&server, "", &file);
        assert_eq!((&again["rows_updated"], &again["rows_rejected"]), (&json!(7), &json!(0)), "{again}");
        let after = exported(&api, "/v1/contacts/export?format=jsonl");
        assert_eq!(without_lists(after), without_lists(before), "and where it comes from, nothing changes");
    }

    fn a_file_of_contacts_subscribes_nobody_who_has_refused_some_list(db: &Database) {
        let server = Server::on(db);
        people(&server.api());
        let file = csv(&server.api(), "/v1/contacts/export");
        let other = Database::sqlite();
        let elsewhere = Server::on(&other);
        let list = elsewhere.api().create_list("Offers");
        let done = imported(&elsewhere, &format!("?list={list}"), &file);
        assert_eq!((&done["rows_created"], &done["rows_rejected"]), (&json!(6), &json!(1)), "{done}");
        assert_eq!((&done["rejected"][0]["column"], &done["rejected"][0]["code"]), (&json!("lists"), &json!("not_subscribed")));
        let members = exported(&elsewhere.api(), &format!("/v1/lists/{list}/members/export?format=jsonl"));
        let emails: Vec<_> = members.iter().map(|one| one["email"].as_str()).collect();
        assert_eq!(emails, [Some("ann@example.com")], "who is not written to is not put on it");
        // The file is known although a column is gone.
        let rest = |line: &str| line.split_once(',').unwrap().1.to_owned();
        let without_ids = file.lines().map(rest).collect::<Vec<_>>().join("\r\n");
        assert!(without_ids.starts_with("external_id,"), "{without_ids}");
        let other = Database::sqlite();
        let elsewhere = Server::on(&other);
        let list = elsewhere.api().create_list("Magazine");
        let done = imported(&elsewhere, &format!("?list={list}"), &without_ids);
        assert_eq!((&done["rows_created"], &done["rejected"][0]["code"]), (&json!(6), &json!("not_subscribed")), "{done}");
    }

    fn the_members_of_one_list_join_another_only_where_they_have_not_refused_it(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let news = people(&api);
        let offers = api.create_list("Offers");
        for (list, act, email) in [
            (news, "subscribe", "bob@example.com"), (news, "subscribe", "cleo@example.com"), (news, "unsubscribe", "dora@blocked.example"),
            (offers, "unsubscribe", "ann@example.com"), (offers, "subscribe", "eve@example.com"),
        ] {
            api.post(&format!("/v1/lists/{list}/{act}"), &json!({ "email": email }));
        }
        let file = csv(&api, &format!("/v1/lists/{news}/members/export"));
        assert!(file.lines().all(|line| line.contains("status_list") || line.contains(",news,")), "{file}");
        // The file of an earlier version does not name its list.
        let older = file.lines().map(|line| {
            let mut cells: Vec<&str> = line.split(',').collect();
            let place = cells.iter().position(|cell| *cell == "news" || *cell == "status_list").unwrap();
            cells.remove(place);
            cells.join(",")
        });
        let older = older.collect::<Vec<_>>().join("\r\n");
        let stand = |api: &Api| -> Vec<String> {
            let all = exported(api, "/v1/lists/offers/members/export?format=jsonl");
            all.iter().map(|one| format!("{} {}", one["email"].as_str().unwrap(), one["status"].as_str().unwrap())).collect()
        };
        for (name, text) in [("new", &file), ("older", &older)] {
            let other = Database::sqlite();
            let elsewhere = Server::on(&other);
            let list = elsewhere.api().create_list("Offers");
            let done = imported(&elsewhere, &format!("?list={list}"), text);
            assert_eq!(
                stand(&elsewhere.api()),
                ["ann@example.com unsubscribed", "eve@example.com subscribed"],
                "{name}: nobody joins whose address is not written to: {done}"
            );
            assert_eq!((&done["rows_created"], &done["rows_rejected"]), (&json!(6), &json!(0)), "{name}: {done}");
        }
        // Where it comes from: nobody joins who has refused, and nobody leaves who has refused the other list.
        imported(&server, &format!("?list={offers}"), &file);
        assert_eq!(stand(&api)[0], "ann@example.com unsubscribed");
        assert!(stand(&api).contains(&"eve@example.com subscribed".to_owned()), "{:?}", stand(&api));
        // A file of contacts says it as well.
        let contacts = csv(&api, "/v1/contacts/export");
        let other = Database::sqlite();
        let elsewhere = Server::on(&other);
        let list = elsewhere.api().create_list("Offers");
        imported(&elsewhere, &format!("?list={list}"), &contacts);
        assert_eq!(stand(&elsewhere.api())[0], "ann@example.com unsubscribed");
    }

    fn members_come_back_as_they_stood(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let news = people(&api);
        let doubtful = id(&api.post("/v1/lists", &json!({ "name": "Doubtful", "double_opt_in": true })));
        api.post(&format!("/v1/lists/{doubtful}/subscribe"), &json!({ "email": "ann@example.com" }));
        let path = |list: i64| format!("/v1/lists/{list}/members/export");
        let of = |api: &Api, list: i64| exported(api, &format!("{}?format=jsonl", path(list)));
        let stand = |all: &[Value]| -> Vec<_> { all.iter().map(|one| (one["email"].to_string(), one["status"].to_string())).collect() };
        let before = of(&api, news);
        assert_eq!(stand(&before).len(), 3);
        assert_eq!(before[0]["source"], "api: shop");
        assert!(csv(&api, &path(news)).contains(",attributes,status,status_at,source,status_list,suppressed,"));
        let other = Database::sqlite();
        let elsewhere = Server::on(&other);
        let there = elsewhere.api();
        for (list, name) in [(news, "News"), (doubtful, "Doubtful")] {
            let made = there.create_list(name);
            let done = imported(&elsewhere, &format!("?list={made}"), &csv(&api, &path(list)));
            assert_eq!(done["rows_rejected"], 0, "{done}");
            assert_eq!(stand(&of(&there, made)), stand(&of(&api, list)), "{name}");
            assert_eq!(suppressed(&of(&there, made)), suppressed(&of(&api, list)), "{name}");
            if list == news {
                assert_eq!(of(&there, made)[0]["source"], "import: api: shop");
                imported(&elsewhere, &format!("?list={made}"), &csv(&there, &path(made)));
                assert_eq!(of(&there, made)[0]["source"], "import: api: shop", "it does not grow");
            }
        }
        assert_eq!(of(&api, doubtful)[0]["status"], "unconfirmed");
        let refused = exported(&api, &format!("{}?format=jsonl&standing=unsubscribed", path(news)));
        assert_eq!(stand(&refused), [("\"eve@example.com\"".to_owned(), "\"unsubscribed\"".to_owned())]);
        assert_eq!(server.send("GET", &path(999), &[], b"").code(), "list_not_found");
    }

    fn each_contact_is_in_a_file_once_whatever_the_filter(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        // More than are read at once.
        let list = api.a_list_of(2_300);
        people(&api);
        api.post("/v1/contacts/tags", &json!({ "filter": { "search": "person11" }, "add": ["some"] }));
        for filter in ["", "search=person2", "tag=some", &format!("list={list}"), "list=news&standing=unsubscribed", "suppressed=true", "suppressed=false", "email=bob@example.com"] {
            let count = api.get(&format!("/v1/contacts?{filter}"))["pagination"]["total_count"].as_i64().unwrap();
            let file = csv(&api, &format!("/v1/contacts/export?raw=true&{filter}"));
            let ids: Vec<i64> = file.lines().skip(1).filter_map(|line| line.split(',').next()?.parse().ok()).collect();
            assert_eq!(i64::try_from(ids.len()).unwrap(), count, "{filter}");
            assert!(count > 0 && ids.is_sorted_by(|one, next| one < next), "{filter}");
        }
        assert_eq!(exported(&api, &format!("/v1/lists/{list}/members/export?format=jsonl")).len(), 2_300);
        for (query, code) in [
            ("format=xml", "not_allowed"), ("format=jsonl&raw=true", "not_allowed"), ("standing=subscribed", "required"), ("page=2", "unknown_parameter"),
        ] {
            let refused = server.send("GET", &format!("/v1/contacts/export?{query}"), &[], b"");
            assert_eq!((refused.status, refused.code()), (400, code), "{query}");
        }
    }

    fn changes_meanwhile_repeat_nobody_and_lose_only_who_is_gone(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.a_list_of(30);
        let until = server.ask(contact_filter::newest);
        let ids = |part: &exports::Part| part.people.iter().map(|one| one.contact.id.0).collect::<Vec<_>>();
        let part = |after| server.ask(move |conn| exports::contacts(conn, &ContactFilter::default(), (after, until), 10));
        let first = part(ContactId(0));
        let gone = first.next.unwrap().0 + 1;
        let seen = ids(&first)[0];
        assert_eq!(server.send("DELETE", &format!("/v1/contacts/{gone}"), &[], b"").status, 204);
        assert_eq!(server.send("PATCH", &format!("/v1/contacts/{seen}"), &[("Content-Type", "application/json")], br#"{"first_name":"New"}"#).status, 200);
        api.post("/v1/contacts", &json!({ "email": "late@example.com" }));
        let (mut all, mut next) = (ids(&first), first.next);
        while let Some(after) = next {
            let more = part(after);
            all.extend(ids(&more));
            next = more.next;
        }
        assert_eq!(all.len(), 29);
        assert!(all.is_sorted_by(|one, next| one < next) && !all.contains(&gone));
        let none = server.ask(move |conn| {
            let who = (volley::domain::ids::ListId(list), Some(Standing::Unsubscribed));
            exports::members(conn, who, (ContactId(0), ContactId(120_000)), 10)
        });
        assert!(none.people.is_empty() && none.next == Some(ContactId(50_000)), "a rare kind is no long read");
    }

    fn contacts_with_much_in_their_attributes_are_sent_in_small_parts(db: &Database) {
        let server = Server::on(db);
        many_with(&server, 600, 20_000);
        for path in ["/v1/contacts/export?format=jsonl", "/v1/contacts/export?search=many"] {
            let parts = Download::begin(&server, path).parts();
            assert!(parts.iter().sum::<usize>() > 600 * 20_000, "{path}: {parts:?}");
            assert!(parts.iter().all(|bytes| *bytes < 5 << 20), "{path}: a part is as long as its contacts are: {parts:?}");
        }
    }

    fn the_file_of_a_campaign_that_is_deleted_meanwhile_does_not_look_whole(db: &Database) {
        let server = Server::on(db);
        many(&server, 50_000);
        let api = server.api();
        let campaign = id(&api.post("/v1/campaigns", &json!({ "name": "Gone", "channel": "email" })));
        server.execute(format!(
            "INSERT INTO deliveries (campaign_id, contact_id, page_id, state) SELECT {campaign}, id, 0, 'pending' FROM contacts"
        ));
        for format in ["csv", "jsonl"] {
            let mut whole = Download::begin(&server, &format!("/v1/campaigns/{campaign}/deliveries/export?format={format}"));
            let (text, is_whole) = whole.rest();
            assert!(is_whole && text.contains("many50000@example.com"), "{format}: {}", text.len());
        }
        let mut broken = Download::begin(&server, &format!("/v1/campaigns/{campaign}/deliveries/export?format=jsonl"));
        broken.first_contact();
        assert_eq!(server.send("DELETE", &format!("/v1/campaigns/{campaign}"), &[], b"").status, 204);
        let (text, is_whole) = broken.rest();
        assert!(!is_whole && !text.contains("many50000@example.com"), "{}", text.len());
    }

    fn a_file_is_sent_while_it_is_read_and_one_that_breaks_off_does_not_look_whole(db: &Database) {
        let server = Server::on(db);
        // More than the buffers on the way hold.
        many(&server, 50_000);
        let last = server.ask(contact_filter::newest);
        let mut download = Download::begin(&server, "/v1/contacts/export?format=jsonl");
        assert!(download.head.starts_with("HTTP/1.1 200 OK"), "{}", download.head);
        server.execute(format!("DELETE FROM contacts WHERE id = {last}"));
        let (text, is_whole) = download.rest();
        let name = |number: i64| format!("many{number}@example.com");
        assert!(is_whole && text.contains(&name(1)) && text.contains(&name(49_999)));
        assert!(!text.contains(&name(50_000)), "the end was not read when the beginning was sent");
        let mut broken = Download::begin(&server, "/v1/contacts/export?format=jsonl");
        assert!(broken.first_contact().contains(&name(1)));
        server.execute("ALTER TABLE contacts RENAME TO contacts_away".to_owned());
        let (text, is_whole) = broken.rest();
        server.execute("ALTER TABLE contacts_away RENAME TO contacts".to_owned());
        assert!(!is_whole && !text.contains(&name(49_999)), "{}", text.len());
        for path in ["/v1/lists/{list}/members/export", "/v1/contacts/export?list={list}"] {
            let list = server.api().create_list("Many");
            server.execute(format!(
                "INSERT INTO list_members (list_id, contact_id, status, created_at) SELECT {list}, id, 'subscribed', 0 FROM contacts"
            ));
            let mut broken = Download::begin(&server, &path.replace("{list}", &list.to_string()));
            broken.first_contact();
            // A deleted list has no members any more.
            assert_eq!(server.send("DELETE", &format!("/v1/lists/{list}"), &[], b"").status, 204);
            let (text, is_whole) = broken.rest();
            assert!(!is_whole && !text.contains(&name(49_999)), "{path}: {}", text.len());
        }
        // One that goes away is no trouble.
        drop(Download::begin(&server, "/v1/contacts/export"));
        assert_eq!(exported(&server.api(), "/v1/contacts/export?format=jsonl&search=many4999").len(), 11);
    }
}

/// Contacts with much to say, put in behind the API's back.
fn many(server: &Server, count: i64) {
    many_with(server, count, 600);
}

/// The same with attributes of so many bytes.
fn many_with(server: &Server, count: i64, bytes: usize) {
    let filler = "x".repeat(bytes);
    server.execute(format!(
        "INSERT INTO contacts (email, attributes, version, created_at, updated_at) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         SELECT 'many' || i || '@example.com', '{{\"filler\":\"{filler}\"}}', 1, 0, 0 FROM n"
    ));
}

/// An answer that is read bit by bit.
struct Download {
    head: String,
    reader: BufReader<TcpStream>,
}

impl Download {
    /// Asks, and reads the head of the answer.
    fn begin(server: &Server, path: &str) -> Self {
        let mut socket = TcpStream::connect(server.addr).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nAuthorization: Bearer {ROOT_KEY}\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        Self { head, reader }
    }

    /// The first line with a contact.
    fn first_contact(&mut self) -> String {
        let mut line = String::new();
        while !line.contains('@') {
            line.clear();
            assert_ne!(self.reader.read_line(&mut line).unwrap(), 0, "the answer has ended");
        }
        line
    }

    /// How many bytes each part has that the server has sent at once.
    fn parts(&mut self) -> Vec<usize> {
        let mut all = Vec::new();
        loop {
            let mut length = String::new();
            self.reader.read_line(&mut length).unwrap();
            let length = usize::from_str_radix(length.trim(), 16).unwrap();
            // With the line break at its end.
            self.reader.read_exact(&mut vec![0; length + 2]).unwrap();
            if length == 0 {
                return all;
            }
            all.push(length);
        }
    }

    /// Everything behind what was read, and whether its end is the answer's.
    fn rest(&mut self) -> (String, bool) {
        let mut bytes = Vec::new();
        // A connection that is cut off may end in an error.
        let _cut = self.reader.read_to_end(&mut bytes);
        (String::from_utf8_lossy(&bytes).into_owned(), bytes.ends_with(b"\r\n0\r\n\r\n"))
    }
}
