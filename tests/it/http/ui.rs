//! The door of operators' pages, without a browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::json;
use volley::config::secret::Secret;
use volley::domain::channel::ChannelKind;
use volley::http::routes::{Door, TABLE, Verb};
use volley::http::ui::door::POLICY;

use crate::support::scripted_http::{Answer, ScriptedHttp};
use crate::support::server::{ROOT_KEY, Raw, Server, sandbox, webhook};
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
        self.send("POST", path, &[FORM, OWN], form)
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
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
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
    fn who_signs_in_with_a_key_has_a_session_until_the_key_is_revoked(db: &Database) {
        let server = Server::on(db);
        let made = server.api().post("/v1/keys", &json!({ "name": "operators", "scope": "operate" }));
        let visitor = Visitor::with_key(&server, made["secret"].as_str().unwrap());
        let named = format!("volley-session-{}=", server.addr.port());
        assert!(visitor.cookie.starts_with(&named), "{}", visitor.cookie);
        let page = visitor.get("/ui");
        assert_page(&page, 200);
        assert!(text(&page).contains("operators") && text(&page).contains("operate"), "{page:?}");
        let secret = visitor.cookie.split_once('=').unwrap().1;
        let stored = format!("SELECT count(*) AS n FROM sessions WHERE hash = '{secret}'");
        assert_eq!(db.number(&stored), 0, "only a hash is stored");
        // The API takes no cookie.
        assert_eq!(visitor.get("/v1/campaigns").status, 401);
        let revoked = server.send("DELETE", &format!("/v1/keys/{}", made["id"]), &[], b"");
        assert_eq!(revoked.status, 200, "{revoked:?}");
        let sent_away = visitor.get("/ui/campaigns?status=sent");
        let back = "/ui/enter?next=%2fui%2fcampaigns%3fstatus%3dsent";
        assert_eq!((sent_away.status, sent_away.header("location")), (303, Some(back)), "{sent_away:?}");
        let stream = visitor.get("/ui/live?page=now");
        assert!(text(&stream).starts_with("event: leave"), "{stream:?}");
    }

    fn a_session_ends_by_its_age_by_idleness_and_by_signing_out(db: &Database) {
        let server = Server::on(db);
        let hours = |n: i64| n * 3_600_000;
        let aged = |created: i64, seen: i64| {
            let visitor = Visitor::with_key(&server, ROOT_KEY);
            server.execute(format!("UPDATE sessions SET created_at = created_at - {created}, seen_at = seen_at - {seen}"));
            let status = visitor.get("/ui").status;
            server.execute("DELETE FROM sessions".to_owned());
            status
        };
        assert_eq!(aged(hours(12) - 60_000, hours(2) - 60_000), 200);
        assert_eq!(aged(hours(12) + 1, 0), 303, "too old");
        assert_eq!(aged(hours(3), hours(2) + 1), 303, "unused for too long");
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let left = visitor.press("/ui/leave", "");
        assert_eq!((left.status, left.header("location")), (303, Some("/ui/enter")), "{left:?}");
        assert!(left.header("set-cookie").unwrap().contains("max-age=0"), "{left:?}");
        assert_eq!(visitor.get("/ui").status, 303);
        let lines = server.api().get("/v1/audit-log?object=session");
        let done: Vec<_> = lines["data"].as_array().unwrap().iter().map(|line| line["action"].clone()).collect();
        assert_eq!(done, ["deleted", "created", "created", "created", "created"], "{lines}");
    }

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
        seen.extend(rows.map(|row| row.split('<').next().unwrap().to_owned()));
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
fn another_root_key_ends_the_sessions_of_the_former_one_whatever_the_cookie_is_made_of() {
    let db = Database::sqlite();
    let former = Server::with(&db, |settings| settings.auth.root_key = Some(Secret::new("former")));
    let cookie = Visitor::with_key(&former, "former").cookie;
    drop(former);
    let server = Server::on(&db);
    let (name, secret) = cookie.split_once('=').unwrap();
    let name = format!("{}-{}", name.rsplit_once('-').unwrap().0, server.addr.port());
    let known = volley::store::access::api_keys::hash("former");
    for made in [secret.to_owned(), format!("{known} {secret}")] {
        let visitor = Visitor { server: &server, cookie: format!("{name}={made}") };
        assert_eq!(visitor.get("/ui").status, 303, "{made}");
    }
    assert_eq!(db.number("SELECT count(*) AS n FROM sessions"), 1);
}

#[test]
fn made_up_cookies_count_towards_the_limit_of_their_address() {
    let db = Database::sqlite();
    let server = Server::with(&db, |settings| settings.limits.without_key_per_minute = 3);
    let visitor = Visitor::with_key(&server, ROOT_KEY);
    assert_eq!(visitor.get("/ui").status, 200);
    let name = visitor.cookie.split('=').next().unwrap().to_owned();
    let made_up = |n: u32| Visitor { server: &server, cookie: format!("{name}={n:064x}") }.get("/ui").status;
    let statuses: Vec<u16> = (0..5).map(made_up).collect();
    assert!(statuses[..2] == [303, 303] && statuses[3..] == [429, 429], "{statuses:?}");
    let nonsense = Visitor { server: &server, cookie: format!("{name}=x") };
    assert_eq!(nonsense.get("/ui").status, 303, "what is no secret is asked of nobody");
    assert_eq!(visitor.get("/ui").status, 200, "a session that is known goes on");
}

#[test]
fn what_is_uncertain_is_found_however_old_it_is() {
    let db = Database::sqlite();
    let sink = ScriptedHttp::always(Answer::Cut);
    let pools = vec![webhook("gateway", &sink), sandbox("main", ChannelKind::Email, 0.0)];
    let server = Server::with_pools(&db, pools);
    let api = server.api();
    let list = api.a_list_of(2);
    let doubtful = api.create_campaign("http", "gateway", list, &json!({ "name": "Doubtful" }));
    api.send(doubtful);
    api.wait(doubtful, "it is uncertain", LONG, |seen| seen.stats.uncertain > 0);
    for n in 0..11 {
        let other = api.create_campaign("email", "main", list, &json!({ "name": format!("Other {n}") }));
        api.send(other);
        api.wait_ended(other, LONG);
    }
    let overview = api.get("/v1/overview");
    let need = overview["needs"].as_array().unwrap().iter().find(|need| need["code"] == "uncertain_deliveries");
    let need = need.unwrap_or_else(|| panic!("{overview}"));
    assert_eq!(
        (&need["campaign_id"], &need["since"], &overview["needs_complete"]),
        (&json!(doubtful), &json!(null), &json!(true))
    );
}

#[test]
fn a_link_that_was_printed_opens_one_session() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let code = server.one_time_path.split_once('#').expect("a code in the fragment").1.to_owned();
    let nobody = Visitor::nobody(&server);
    assert_page(&nobody.get("/ui/enter"), 200);
    let entered = nobody.press("/ui/enter", &format!("code={code}&next=%2Fui%2Fcampaigns"));
    assert_eq!((entered.status, entered.header("location")), (303, Some("/ui/campaigns")), "{entered:?}");
    assert_eq!(Visitor { server: &server, cookie: cookie(&entered) }.get("/ui").status, 200);
    let again = nobody.press("/ui/enter", &format!("code={code}"));
    assert_page(&again, 403);
    assert!(text(&again).contains("code_unusable") && again.header("set-cookie").is_none(), "{again:?}");
}

#[test]
fn nobody_signs_in_from_elsewhere_or_over_an_open_wire_or_without_a_key_that_may_read() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let nobody = Visitor::nobody(&server);
    let form = format!("key={ROOT_KEY}");
    for foreign in [&[FORM, ("Sec-Fetch-Site", "cross-site")][..], &[FORM, ("Origin", "https://example.com")], &[FORM]]
    {
        let refused = nobody.send("POST", "/ui/enter", foreign, &form);
        assert_page(&refused, 403);
        assert!(text(&refused).contains("foreign_form"), "{refused:?}");
    }
    let own = format!("http://{}", server.addr);
    assert_eq!(nobody.send("POST", "/ui/enter", &[FORM, ("Origin", &own)], &form).status, 303);
    let proxied = nobody.send("POST", "/ui/enter", &[FORM, OWN, ("X-Forwarded-For", "192.0.2.1")], &form);
    assert_page(&proxied, 403);
    assert!(text(&proxied).contains("sign_in_unencrypted"), "{proxied:?}");
    let asked = nobody.send("GET", "/ui/enter", &[("X-Forwarded-For", "192.0.2.1")], "");
    assert!(asked.status == 200 && !text(&asked).contains("name=\"key\""), "nobody types a key that others could read");
    let wrong = nobody.press("/ui/enter", "key=vly_wrong");
    assert_page(&wrong, 401);
    assert!(!text(&wrong).contains("vly_wrong"), "a key is not shown again");
    let shop = server.api().post("/v1/keys", &json!({ "name": "shop", "scope": "ingest" }));
    let refused = nobody.press("/ui/enter", &format!("key={}", shop["secret"].as_str().unwrap()));
    assert_page(&refused, 403);
    assert!(text(&refused).contains("insufficient_scope"), "{refused:?}");
    let lost = nobody.press("/ui/enter", &format!("{form}&next=%2F%2Fexample.com"));
    assert_eq!(lost.header("location"), Some("/ui"));
}

#[test]
fn a_link_of_another_site_leads_to_the_page_and_not_to_signing_in() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let nobody = Visitor::nobody(&server);
    // A browser sends no strict cookie with this one.
    let followed = nobody.send("GET", "/ui/campaigns?status=sent", &[("Sec-Fetch-Site", "cross-site")], "");
    let again = "<meta http-equiv=\"refresh\" content=\"0; url=/ui/campaigns?status=sent\">";
    assert!(followed.status == 200 && text(&followed).contains(again), "{followed:?}");
    let asked = nobody.send("GET", "/ui/campaigns?status=sent", &[OWN], "");
    assert_eq!(asked.status, 303, "{asked:?}");
}

#[test]
fn every_page_asks_who_somebody_is_and_what_their_key_allows() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let reader = server.api().post("/v1/keys", &json!({ "name": "board", "scope": "read" }));
    let (nobody, reader) = (Visitor::nobody(&server), Visitor::with_key(&server, reader["secret"].as_str().unwrap()));
    for entry in TABLE {
        let Door::Page(asked) = entry.door else { continue };
        let path = entry.path.replace("{id}", "4711");
        let ask = |visitor: &Visitor<'_>| match entry.method == Verb::Post {
            true => visitor.press(&path, ""),
            false => visitor.get(&path),
        };
        let (stranger, known) = (ask(&nobody), ask(&reader));
        let is_stream = path == "/ui/live";
        let expected = if entry.method == Verb::Post {
            401
        } else if is_stream {
            200
        } else {
            303
        };
        assert_eq!(stranger.status, expected, "{entry:?}: {stranger:?}");
        let is_refused = known.status == 403 && text(&known).contains("insufficient_scope");
        assert_eq!(is_refused, asked.as_str() != "read", "{entry:?}: {known:?}");
    }
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
