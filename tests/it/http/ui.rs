//! The door of operators' pages, without a browser.

mod audit;
mod composer;
mod email_form;
mod entering;
mod figures;
mod imports;
mod needs;
mod pace;
mod people;
mod preflight;
mod search;
mod sizes;
mod system;
mod templates;
mod uncertain;
mod users;
mod ways;
mod why;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::json;
use volley::domain::channel::ChannelKind;
use volley::http::ui::door::POLICY;

use crate::support::server::{ROOT_KEY, Raw, Server, sandbox};
use crate::support::volley::Volley;
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

const LONG: std::time::Duration = std::time::Duration::from_secs(60);
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const OWN: (&str, &str) = ("Sec-Fetch-Site", "same-origin");

/// A browser of the tests' own: it keeps a cookie.
struct Visitor<'s> {
    server: &'s Server,
    cookie: String,
}

impl<'s> Visitor<'s> {
    fn nobody(server: &'s Server) -> Self {
        Self { server, cookie: String::new() }
    }

    /// Somebody who has signed in with a key.
    fn with_key(server: &'s Server, key: &str) -> Self {
        let entered = Self::nobody(server).press("/ui/enter", &format!("key={key}"));
        assert_eq!((entered.status, entered.header("location")), (303, Some("/ui")), "{entered:?}");
        Self { server, cookie: cookie(&entered) }
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Raw {
        let host = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.server.addr);
        let mut request = headers.iter().fold(host, |text, (name, value)| format!("{text}{name}: {value}\r\n"));
        if !self.cookie.is_empty() {
            request.push_str(&format!("Cookie: {}\r\n", self.cookie));
        }
        if method == "POST" {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        self.server.raw(format!("{request}\r\n{body}").as_bytes())
    }

    fn get(&self, path: &str) -> Raw {
        self.send("GET", path, &[], "")
    }

    fn press(&self, path: &str, form: &str) -> Raw {
        let origin = format!("http://{}", self.server.addr);
        self.send("POST", path, &[FORM, OWN, ("Origin", &origin)], form)
    }

    /// The key of the form on a page.
    fn form_key(&self, path: &str) -> String {
        let page = self.get(path);
        let after = text(&page).split("name=\"idempotency_key\" value=\"").nth(1).unwrap_or_else(|| panic!("{page:?}"));
        after.split('"').next().unwrap().to_owned()
    }
}

fn text(answer: &Raw) -> &str {
    answer.body.as_str().unwrap_or_default()
}

/// The cookie that an answer sets. Names of headers are lower case here, and the secret is in hex.
fn cookie(answer: &Raw) -> String {
    let set = answer.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {answer:?}"));
    set.split(';').next().unwrap().to_owned()
}

#[track_caller]
fn assert_page(answer: &Raw, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
        ("content-security-policy", &POLICY.to_ascii_lowercase()),
    ] {
        assert_eq!(answer.header(name), Some(value), "{answer:?}");
    }
    let page = text(answer);
    for foreign in ["style=", "<style", "onclick", "src=\"http"] {
        assert!(!page.contains(foreign), "{foreign} in {page}");
    }
    assert_eq!(page.matches("<h1").count(), 1, "{page}");
}

/// A server with a campaign that is being sent and goes slowly.
fn site(db: &Database) -> (Server, i64) {
    let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
    let api = server.api();
    let list = api.a_list_of(200);
    let campaign = api.create_campaign("email", "main", list, &json!({ "name": "Spring <b>", "rate_per_second": 5.0 }));
    api.send(campaign);
    wait_until("it is being sent", LONG, || api.campaign(campaign).stats.sent > 0);
    (server, campaign)
}

both_backends! {
    fn a_pause_by_form_is_done_once_and_its_receipt_is_on_the_page(db: &Database) {
        let (server, campaign) = site(db);
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let path = format!("/ui/campaigns/{campaign}");
        let page = visitor.get(&path);
        assert_page(&page, 200);
        assert!(text(&page).contains("Spring &#60;b&#62;") && !text(&page).contains("Spring <b>"), "{page:?}");
        let question = visitor.get(&format!("{path}/pause"));
        assert_page(&question, 200);
        assert!(text(&question).contains("are still to come"), "{question:?}");
        let form = format!("idempotency_key={}", visitor.form_key(&format!("{path}/pause")));
        let paused = visitor.press(&format!("{path}/pause"), &form);
        let receipt = format!("{path}#receipt");
        assert_eq!((paused.status, paused.header("location")), (303, Some(receipt.as_str())), "{paused:?}");
        let page = visitor.get(&path);
        assert!(text(&page).contains("1 instance acknowledged it within"), "{page:?}");
        // The way back and a second press do nothing any more, even after the campaign went on.
        let resume = format!("idempotency_key={}", visitor.form_key(&format!("{path}/resume")));
        assert_eq!(visitor.press(&format!("{path}/resume"), &resume).status, 303);
        assert_eq!(visitor.press(&format!("{path}/pause"), &form).status, 303);
        assert_eq!(server.api().campaign(campaign).status, "sending");
        let keyless = visitor.press(&format!("{path}/pause"), "");
        assert_page(&keyless, 400);
        assert!(text(&keyless).contains("idempotency_key_malformed"), "{keyless:?}");
    }

    fn a_stop_asks_for_the_name_and_a_wrong_name_does_nothing(db: &Database) {
        let (server, campaign) = site(db);
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let path = format!("/ui/campaigns/{campaign}/stop");
        let key = visitor.form_key(&path);
        let form = |name: &str| format!("idempotency_key={key}&name={name}");
        let refused = visitor.press(&path, &form("Spring"));
        assert_page(&refused, 422);
        let page = text(&refused);
        assert!(page.contains("name_differs") && page.contains("value=\"Spring\"") && page.contains("aria-invalid"), "{page}");
        assert_eq!(server.api().campaign(campaign).status, "sending");
        let stopped = visitor.press(&path, &form("Spring+%3Cb%3E"));
        assert_eq!(stopped.status, 303, "{stopped:?}");
        assert_eq!(server.api().campaign(campaign).status, "stopped");
        let again = visitor.press(&path, "idempotency_key=another&name=Spring+%3Cb%3E");
        assert_page(&again, 409);
        assert!(text(&again).contains("cannot stop: the campaign is stopped"), "{again:?}");
        let question = visitor.get(&path);
        assert!(text(&question).contains("cannot stop a campaign that is stopped"), "it is said before it is tried: {question:?}");
    }

    fn the_numbers_of_a_page_are_those_of_the_api(db: &Database) {
        let (server, campaign) = site(db);
        let api = server.api();
        api.post(&format!("/v1/campaigns/{campaign}/pause"), &json!({}));
        wait_until("nothing is under way", LONG, || api.campaign(campaign).stats.sending == 0);
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let overview = api.get("/v1/overview");
        let stats = &overview["active"][0]["stats"];
        assert_eq!(stats, &api.get(&format!("/v1/campaigns/{campaign}"))["stats"]);
        for path in ["/ui".to_owned(), "/ui/campaigns".to_owned(), format!("/ui/campaigns/{campaign}")] {
            let page = visitor.get(&path);
            assert_page(&page, 200);
            let label = format!("{} sent, {} pending; 200 altogether", stats["sent"], stats["pending"]);
            assert!(text(&page).contains(&label), "{label}: {page:?}");
        }
    }
}

#[test]
fn people_are_shown_by_their_state_and_the_books_are_counted() {
    let db = Database::sqlite();
    let server = Server::with_pools(&db, vec![sandbox("main", ChannelKind::Email, 0.5)]);
    let api = server.api();
    let campaign = api.create_campaign("email", "main", api.a_list_of(120), &json!({ "name": "Spring" }));
    api.send(campaign);
    let stats = api.wait_ended(campaign, LONG).stats;
    let visitor = Visitor::with_key(&server, ROOT_KEY);
    let base = format!("/ui/campaigns/{campaign}");
    let mut seen = Vec::new();
    let mut next = Some(format!("{base}/people?status=failed"));
    while let Some(path) = next {
        let page = visitor.get(&path);
        assert_page(&page, 200);
        let rows = text(&page).split("<tr><th scope=\"row\">").skip(1);
        seen.extend(rows.map(|row| row.split("</a>").next().unwrap().rsplit('>').next().unwrap().to_owned()));
        let link = text(&page).split("\" rel=\"next\"").next().filter(|before| before.len() < text(&page).len());
        next = link.map(|before| before.rsplit("href=\"").next().unwrap().replace("&#38;", "&"));
    }
    let mut failed: Vec<String> =
        api.deliveries(campaign, "failed").iter().map(crate::support::api::Api::address_of).collect();
    failed.sort();
    seen.sort();
    assert_eq!(seen, failed);
    assert!(u64::try_from(seen.len()).unwrap() == stats.failed && stats.failed > 20, "{stats:?}");
    let nobody = visitor.get(&format!("{base}/people?status=uncertain"));
    assert!(text(&nobody).contains("Nobody is uncertain."), "{nobody:?}");
    let books = visitor.get(&format!("{base}/books"));
    assert_page(&books, 200);
    assert!(text(&books).contains("The books balance"), "{books:?}");
    wait_until("the audit log says that people were shown", LONG, || {
        !api.get("/v1/audit-log?object=campaign&action=read")["data"].as_array().unwrap().is_empty()
    });
}

#[test]
fn what_goes_wrong_below_ui_is_a_page_with_the_words_of_a_problem() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let visitor = Visitor::with_key(&server, ROOT_KEY);
    for (path, status, code) in [
        ("/ui/nowhere", 404, "page_not_found"),
        ("/ui/campaigns/4711", 404, "campaign_not_found"),
        ("/ui/campaigns/x", 400, "id_malformed"),
        ("/ui/campaigns?status=asleep", 400, "not_allowed"),
        ("/ui/live?page=none", 400, "not_allowed"),
    ] {
        let answer = visitor.get(path);
        assert_page(&answer, status);
        let request_id = answer.header("x-request-id").unwrap();
        assert!(text(&answer).contains(code) && text(&answer).contains(request_id), "{path}: {answer:?}");
    }
    let reader = server.api().post("/v1/keys", &json!({ "name": "board", "scope": "read" }));
    let page = Visitor::with_key(&server, reader["secret"].as_str().unwrap()).get("/ui");
    assert!(!text(&page).contains("Needs attention"), "{page:?}");
}

#[test]
fn pages_are_compressed_and_their_parts_are_kept_for_as_long_as_they_stay_the_same() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let visitor = Visitor::with_key(&server, ROOT_KEY);
    let packed = visitor.send("GET", "/ui", &[("Accept-Encoding", "gzip")], "");
    assert_eq!((packed.status, packed.header("content-encoding")), (200, Some("gzip")), "{}", packed.head);
    let page = visitor.get("/ui");
    assert_eq!(page.header("cross-origin-opener-policy"), Some("same-origin"), "{page:?}");
    let parts = text(&page).split("\"/ui/assets/").skip(1).map(|after| after.split('"').next().unwrap());
    let mut seen = 0;
    for part in parts {
        let file = Visitor::nobody(&server).get(&format!("/ui/assets/{part}"));
        let kept = file.header("cache-control");
        assert_eq!((file.status, kept), (200, Some("public, max-age=31536000, immutable")), "{part}");
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        let (stem, extension) = (part.rsplit_once('-').unwrap().0, part.rsplit_once('.').unwrap().1);
        let other = visitor.get(&format!("/ui/assets/{stem}-0123456789ab.{extension}"));
        assert_eq!((other.status, other.header("cache-control"), &other.body), (200, Some("no-cache"), &file.body));
        seen += 1;
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn choices_are_kept_in_the_browser() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let visitor = Visitor::with_key(&server, ROOT_KEY);
    assert!(text(&visitor.get("/ui")).contains("data-theme=\"auto\" data-keys=\"on\""));
    let dark = visitor.press("/ui/theme", "theme=dark&next=%2Fui%2Fkeys");
    assert_eq!((dark.status, dark.header("location")), (303, Some("/ui/keys")), "{dark:?}");
    let off = visitor.press("/ui/keys", "keys=off");
    let chosen = [&visitor.cookie, &cookie(&dark), &cookie(&off)].map(String::as_str).join("; ");
    let page = Visitor { server: &server, cookie: chosen }.get("/ui");
    assert!(text(&page).contains("data-theme=\"dark\" data-keys=\"off\""), "{page:?}");
    assert_page(&visitor.press("/ui/theme", "theme=purple"), 422);
}

#[test]
fn open_pages_end_with_the_instance_and_do_not_hold_it_up() {
    let db = Database::sqlite();
    let mut volley = Volley::on(&db).start();
    let host = format!("127.0.0.1:{}", volley.port());
    let send = |request: String| {
        let mut socket = TcpStream::connect(&host).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        socket
    };
    let form = format!("key={}", crate::support::volley::ROOT_KEY);
    let entered = Raw::read(send(format!(
        "POST /ui/enter HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nSec-Fetch-Site: same-origin\r\nContent-Type: {}\r\n\
         Content-Length: {}\r\n\r\n{form}",
        FORM.1,
        form.len()
    )));
    let cookie = cookie(&entered);
    let mut open: Vec<BufReader<TcpStream>> = (0..3)
        .map(|_| {
            let asked = format!("GET /ui/live?page=now HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n");
            let mut stream = BufReader::new(send(asked));
            let mut line = String::new();
            while line != "event: page\n" {
                line.clear();
                assert!(stream.read_line(&mut line).unwrap() > 0, "the stream ended before it began");
            }
            stream
        })
        .collect();
    let (status, _) = volley.sigterm();
    assert!(status.success(), "{status}");
    assert!(!volley.log().contains("http.stop_timeout"), "{}", volley.log());
    for stream in &mut open {
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("event: end\n"), "{rest}");
    }
}

#[test]
fn a_pause_that_fails_leads_back_to_its_question() {
    let Some(db) = Database::own_postgres("a_pause_that_fails_leads_back_to_its_question") else { return };
    let (server, campaign) = site(&db);
    let visitor = Visitor::with_key(&server, ROOT_KEY);
    let path = format!("/ui/campaigns/{campaign}/pause");
    let form = format!("idempotency_key={}", visitor.form_key(&path));
    db.server().stop_immediately();
    let failed = visitor.press(&path, &form);
    assert_page(&failed, 503);
    let question = format!("<a href=\"{path}\">Look how things are now, and ask again</a>");
    assert!(text(&failed).contains(&question), "{failed:?}");
    db.server().start_again();
    wait_until("the question is there again", LONG, || visitor.get(&path).status == 200);
    let form = format!("idempotency_key={}", visitor.form_key(&path));
    let paused = visitor.press(&path, &form);
    assert_eq!(paused.status, 303, "{paused:?}");
    assert_eq!(server.api().campaign(campaign).status, "paused");
}
