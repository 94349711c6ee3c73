//! `import` and `campaign` against a scripted API: what they send, what they print, how they end.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use super::{stderr, stdout, volley_with};

const KEY: &str = "vly_test";

/// Request lines, each with its answers in order; the last answer stays.
type Answers = Vec<(&'static str, Vec<(u16, Value)>)>;

/// An API that knows its lines.
struct Script {
    answers: Mutex<Answers>,
    heard: Mutex<Vec<String>>,
}

impl Script {
    /// Serves on a thread of its own until the test process ends.
    fn serve(answers: Answers) -> (SocketAddr, Arc<Self>) {
        let script = Arc::new(Self { answers: Mutex::new(answers), heard: Mutex::default() });
        let (tell, told) = mpsc::channel();
        let shared = Arc::clone(&script);
        std::thread::spawn(move || {
            actix::System::new().block_on(async {
                let server = HttpServer::new(move || {
                    let script = web::Data::from(Arc::clone(&shared));
                    let csv = web::PayloadConfig::new(16 << 20);
                    App::new().app_data(script).app_data(csv).default_service(web::to(answer))
                });
                let server = server.workers(1).bind(("127.0.0.1", 0)).unwrap();
                tell.send(server.addrs()[0]).unwrap();
                server.run().await.unwrap();
            });
        });
        (told.recv().unwrap(), script)
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn answer(request: HttpRequest, body: web::Bytes, script: web::Data<Script>) -> HttpResponse {
    let authorized = request.headers().get("Authorization").is_some_and(|value| value == &format!("Bearer {KEY}"));
    if !authorized {
        let problem = json!({"status": 401, "code": "unauthorized", "detail": "a valid API key is required"});
        return HttpResponse::Unauthorized().json(problem);
    }
    let line = format!("{} {}", request.method(), request.uri());
    script.heard.lock().unwrap().push(format!("{line} {} bytes", body.len()));
    let mut answers = script.answers.lock().unwrap();
    let Some((_, queue)) = answers.iter_mut().find(|(wanted, _)| *wanted == line) else {
        return HttpResponse::NotFound().json(json!({"status": 404, "code": "not_scripted", "detail": line}));
    };
    let (status, body) = if queue.len() > 1 { queue.remove(0) } else { queue[0].clone() };
    let mut answer = HttpResponse::build(status.try_into().unwrap());
    if let Value::String(csv) = body {
        return answer.content_type("text/csv; charset=utf-8").body(csv);
    }
    answer.json(body)
}

fn campaign(status: &str, sent: i64) -> Value {
    json!({
        "id": 5, "name": "Spring", "channel": "email", "status": status,
        "packing": {"done": true, "expected": 10},
        "stats": {"total": 10, "pending": 10 - sent, "sending": 0, "sent": sent, "failed": 0, "skipped": 0, "uncertain": 0},
    })
}

fn run(args: &[&str], server: SocketAddr) -> std::process::Output {
    volley_with(args, &[("VOLLEY_CLI__KEY", KEY), ("VOLLEY_CLI__SERVER", &format!("http://{server}"))])
}

#[test]
fn an_import_makes_its_list_uploads_the_file_and_tells_the_rejected_rows() {
    let done = json!({
        "id": 3, "status": "completed", "rows_read": 20_002, "rows_created": 20_000, "rows_updated": 0, "rows_rejected": 2,
        "rejected": [{"line": 7, "column": "email", "reason": "not an address"}],
    });
    let none = json!({"data": [], "pagination": {"page": 1, "page_size": 100, "total_count": 0, "total_pages": 0}});
    let (server, script) = Script::serve(vec![
        ("GET /v1/lists?page=1&page_size=100", vec![(200, none)]),
        ("POST /v1/lists", vec![(201, json!({"id": 7, "name": "My friends"}))]),
        ("POST /v1/contacts/import?list=7", vec![(202, json!({"id": 3, "status": "pending"}))]),
        ("GET /v1/imports/3", vec![(200, json!({"id": 3, "status": "running", "rows_read": 9})), (200, done)]),
    ]);
    let file = tempfile::NamedTempFile::new().unwrap();
    let csv = "email\n".to_owned() + &"somebody@example.com\n".repeat(20_000);
    std::fs::write(file.path(), &csv).unwrap();

    let output = run(&["import", file.path().to_str().unwrap(), "--list", "My friends"], server);

    assert!(output.status.success(), "{}", stderr(&output));
    let text =
        "20,002 rows read: 20,000 created, 0 updated, 2 rejected\n  line 7: email: not an address\n  and 1 more\n";
    assert_eq!(stdout(&output), text);
    let upload = format!("POST /v1/contacts/import?list=7 {} bytes", csv.len());
    assert!(script.heard().contains(&upload), "{:?}", script.heard());
}

#[test]
fn a_dry_run_makes_no_list_and_says_what_would_come_of_the_file() {
    let none = json!({"data": [], "pagination": {"page": 1, "page_size": 100, "total_count": 0, "total_pages": 0}});
    let told = json!({
        "dry_run": true, "bytes": 30, "encoding": "utf-8", "delimiter": ",", "preset": null, "is_whole": true, "error": null,
        "columns": [{"header": "email", "field": "email", "decided_by": "name", "note": null, "samples": ["ann@example.com"]}],
        "rows": [{"line": 2, "says": "a new contact", "fields": {"email": "ann@example.com"}, "attributes": {}, "tags": []}],
        "unknown": [],
    });
    let upload = "POST /v1/contacts/import?map=email%3Demail&new_list=true&dry_run=true";
    let (server, script) =
        Script::serve(vec![("GET /v1/lists?page=1&page_size=100", vec![(200, none)]), (upload, vec![(200, told)])]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "email\nann@example.com\n").unwrap();
    let path = file.path().to_str().unwrap();
    let args = ["import", path, "--list", "News", "--map", "email=email", "--dry-run"];
    let output = run(&args, server);
    assert!(output.status.success(), "{}", stderr(&output));
    for part in
        ["Nothing was stored.", "There is no list called \"News\" yet", "   2  a new contact     email=ann@example.com"]
    {
        assert!(stdout(&output).contains(part), "{part}: {}", stdout(&output));
    }
    assert!(!script.heard().iter().any(|line| line.starts_with("POST /v1/lists")), "{:?}", script.heard());
    let output = run(&[&args[..], &["--json"]].concat(), server);
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(answer["rows"][0]["fields"]["email"], "ann@example.com");
}

#[test]
fn a_file_of_json_lines_is_known_by_its_name_or_by_what_is_said() {
    let done = json!({"id": 3, "status": "completed", "rows_read": 1, "rows_created": 1, "rows_updated": 0, "rows_rejected": 0});
    let folder = tempfile::tempdir().unwrap();
    for (name, further, format) in [
        ("people.jsonl", &[][..], "jsonl"),
        ("people.NDJSON", &[], "jsonl"),
        ("people.txt", &["--format", "jsonl"], "jsonl"),
        ("people.jsonl", &["--format", "csv"], "csv"),
    ] {
        let upload: &'static str = if format == "csv" {
            "POST /v1/contacts/import?format=csv"
        } else {
            "POST /v1/contacts/import?format=jsonl"
        };
        let (server, _) = Script::serve(vec![
            (upload, vec![(202, json!({"id": 3}))]),
            ("GET /v1/imports/3", vec![(200, done.clone())]),
        ]);
        let file = folder.path().join(name);
        std::fs::write(&file, "{\"email\":\"ann@example.com\"}\n").unwrap();
        let output = run(&[&["import", file.to_str().unwrap()], further].concat(), server);
        assert!(output.status.success(), "{name} {further:?}: {}", stderr(&output));
    }
}

#[test]
fn all_rejected_rows_are_written_to_a_file_and_an_import_of_nobody_ends_with_1() {
    let done = json!({"id": 3, "status": "completed", "rows_read": 2, "rows_created": 0, "rows_updated": 0, "rows_rejected": 2,
        "warning": "every row was rejected: no contact was imported"});
    let rows = "rejected_line,rejected_column,rejected_code,rejected_reason,email\r\n2,email,email_invalid,bad,a@\r\n";
    let (server, _) = Script::serve(vec![
        ("POST /v1/contacts/import", vec![(202, json!({"id": 3}))]),
        ("GET /v1/imports/3", vec![(200, done)]),
        ("GET /v1/imports/3/rejected.csv", vec![(200, json!(rows))]),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rejected.csv");
    let output = run(&["import", "Cargo.toml", "--rejected", file.to_str().unwrap()], server);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stdout(&output);
    assert!(said.contains("  warning: every row was rejected: no contact was imported\n"), "{said}");
    assert!(said.ends_with(&format!("  2 rejected rows: {}\n", file.display())), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), rows);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn rejected_rows_that_may_not_be_read_are_told_apart_from_a_file_that_cannot_be_written() {
    let done = json!({"id": 3, "status": "completed", "rows_read": 2, "rows_created": 1, "rows_updated": 0, "rows_rejected": 1});
    let forbidden = json!({"status": 403, "code": "scope_missing", "detail": "the key may not do that"});
    let (server, script) = Script::serve(vec![
        ("POST /v1/contacts/import", vec![(202, json!({"id": 3}))]),
        ("GET /v1/imports/3", vec![(200, done)]),
        ("GET /v1/imports/3/rejected.csv", vec![(403, forbidden)]),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rejected.csv");
    std::fs::write(&file, "of yesterday").unwrap();
    let output = run(&["import", "Cargo.toml", "--rejected", file.to_str().unwrap()], server);
    let said = stderr(&output);
    assert!(!output.status.success() && said.contains("takes a key with scope `read`"), "{said}");
    assert!(!said.contains("cannot write"), "{said}");
    assert!(stdout(&output).starts_with("2 rows read: 1 created"), "the result is told all the same");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "of yesterday");
    let before = script.heard().len();
    let output = run(&["import", "Cargo.toml", "--rejected", "./Cargo.toml"], server);
    let said = stderr(&output);
    assert!(!output.status.success() && said.contains("--rejected must not name the file that is imported"), "{said}");
    assert_eq!(script.heard().len(), before, "nothing was uploaded");
}

#[test]
fn contacts_that_match_are_subscribed_until_there_are_no_more() {
    let part = |subscribed: u32, next: serde_json::Value| {
        (200, json!({ "list_id": 7, "subscribed": subscribed, "stay_refused": 1, "contacts": [], "next_cursor": next }))
    };
    let parts = vec![part(10_000, json!("after-10000-until-12000")), part(2_000, json!(null))];
    let (server, script) = Script::serve(vec![("POST /v1/lists/news/subscribe", parts)]);
    let output = run(&["list", "subscribe", "news", "--tag", "vip", "--on", "customers"], server);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "news: 12,000 subscribed, 2 stay refused\n");
    assert_eq!(stderr(&output), "10,000 subscribed, 1 stay refused so far\n");
    assert_eq!(script.heard().len(), 2, "{:?}", script.heard());
}

#[test]
fn why_finds_the_contact_by_its_address_and_tells_the_verdict_first() {
    let why = json!({
        "verdict": "Sent: the provider took the message.", "can": [],
        "steps": [{ "fact": "Named by list 1 (a): subscribed.", "source": "list 1", "at": null, "decides": false }],
    });
    let (server, script) = Script::serve(vec![
        ("GET /v1/contacts?email=ann%40example.com", vec![(200, json!({ "data": [{ "id": 7 }] }))]),
        ("GET /v1/contacts?phone=%2B442079460123", vec![(200, json!({ "data": [] }))]),
        ("GET /v1/campaigns/5/why/7", vec![(200, why)]),
    ]);
    for contact in ["7", "id:7", "ann@example.com"] {
        let output = run(&["why", "5", contact], server);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stdout(&output).starts_with("Sent: the provider took the message.\n\n"), "{}", stdout(&output));
    }
    assert_eq!(script.heard().len(), 4, "an id is not looked up: {:?}", script.heard());
    let nobody = run(&["why", "5", "+442079460123"], server);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(stderr(&nobody).contains("no contact has this phone"), "{}", stderr(&nobody));
}

#[test]
fn a_failed_import_ends_with_1_and_its_reason() {
    let failed = json!({"id": 3, "status": "failed", "rows_read": 5, "error": "line 6 is not UTF-8"});
    let (server, _) = Script::serve(vec![
        ("POST /v1/contacts/import", vec![(202, json!({"id": 3}))]),
        ("GET /v1/imports/3", vec![(200, failed)]),
    ]);
    let output = run(&["import", "Cargo.toml"], server);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("the import failed: line 6 is not UTF-8"), "{}", stderr(&output));
}

#[test]
fn watching_ends_when_the_campaign_does_and_tells_plain_lines() {
    let seen = [("sending", 2), ("paused", 4), ("sending", 7), ("sent", 10)];
    let answers = seen.map(|(status, sent)| (200, campaign(status, sent))).to_vec();
    let launched = json!({"campaign_id": 5, "messages_queued": 10, "status": "sending"});
    let (server, _) = Script::serve(vec![
        ("POST /v1/campaigns/5/send", vec![(202, launched)]),
        ("GET /v1/campaigns/5", answers),
        ("GET /v1/stream?campaign=5", vec![no_stream()]),
    ]);
    let output = run(&["campaign", "send", "5", "--watch"], server);
    assert!(output.status.success(), "{}", stderr(&output));
    let talk = stderr(&output);
    assert!(talk.starts_with("campaign 5 launched: 10 messages queued\nsending  2/10  sent 2\n"), "{talk}");
    assert!(talk.ends_with("sent  10/10  sent 10\n"), "{talk}");
    assert!(stdout(&output).contains("  sent       10\n"), "{}", stdout(&output));
}

/// The answer of an older version, which has no stream: the campaign is asked for again and again instead.
fn no_stream() -> (u16, Value) {
    (404, json!({ "status": 404, "code": "route_not_found", "detail": "there is no such route" }))
}

#[test]
fn watching_follows_the_stream_and_goes_on_where_it_was_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut lines = BufReader::new(socket.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                lines.read_line(&mut head).unwrap();
            }
            let head = head.to_lowercase();
            let event = |status: &str, sent: i64| format!("event: campaign\ndata: {}\n\n", campaign(status, sent));
            let (media_type, body) = match (head.contains("/v1/stream"), head.contains("last-event-id: first")) {
                (false, _) => ("application/json", campaign("sent", 10).to_string()),
                // Cut in the middle of an event.
                (true, false) => {
                    ("text/event-stream", format!("id: first\n{}id: second\nevent: camp", event("sending", 2)))
                }
                (true, true) => ("text/event-stream", event("sent", 10)),
            };
            write!(socket, "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nConnection: close\r\n\r\n{body}").unwrap();
            if tell.send(head.lines().next().unwrap().to_owned()).is_err() {
                return;
            }
        }
    });
    let output = run(&["campaign", "watch", "5"], addr);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).starts_with("sending  2/10  sent 2\n"), "{}", stderr(&output));
    assert!(stderr(&output).ends_with("sent  10/10  sent 10\n"), "{}", stderr(&output));
    let stream = "get /v1/stream?campaign=5 http/1.1";
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [stream, stream, "get /v1/campaigns/5 http/1.1"]);
}

#[test]
fn watching_a_campaign_that_fails_ends_with_1() {
    let (server, _) = Script::serve(vec![
        ("GET /v1/campaigns/5", vec![(200, campaign("failed", 0))]),
        ("GET /v1/stream?campaign=5", vec![no_stream()]),
    ]);
    assert_eq!(run(&["campaign", "watch", "5"], server).status.code(), Some(1));
}

#[test]
fn campaigns_are_listed_as_a_table_or_as_json() {
    let page = json!({
        "data": [campaign("sent", 10)],
        "pagination": {"page": 1, "page_size": 20, "total_count": 1, "total_pages": 1},
    });
    let line = "GET /v1/campaigns?page=1&page_size=20&status=sent";
    let (server, _) = Script::serve(vec![(line, vec![(200, page.clone())])]);
    let output = run(&["campaign", "list", "--status", "sent"], server);
    insta::assert_snapshot!(stdout(&output), @r"
    ID  NAME    CHANNEL  STATUS  TOTAL  PENDING  SENT  FAILED  UNCERTAIN
     5  Spring  email    sent       10        0    10       0          0
    page 1 of 1, 1 campaigns
    ");
    let output = run(&["campaign", "list", "--status", "sent", "--json"], server);
    assert_eq!(serde_json::from_str::<Value>(&stdout(&output)).unwrap(), page);
}

#[test]
fn what_came_of_a_campaign_is_shown_and_written_to_a_file() {
    let figure = json!({"recipients": 4, "total": 9});
    let mut reported = campaign("sent", 10);
    reported["reports"] = json!({"opened": figure, "rates": {"of_sent": {"opened": 0.4}, "of_delivered": null}});
    let csv = "contact_id,error\r\n1,\r\n2,\"no\r\nsuch user\"\r\n";
    let (server, script) = Script::serve(vec![
        ("GET /v1/campaigns/5", vec![(200, reported.clone())]),
        ("GET /v1/campaigns/5/deliveries/export?raw=true", vec![(200, json!(csv))]),
    ]);
    let output = run(&["campaign", "report", "5"], server);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("Spring: 10 of 10 sent\n"), "{}", stdout(&output));
    assert!(stdout(&output).contains("\nopened                   4      9   40.00%\n"), "{}", stdout(&output));
    let output = run(&["campaign", "report", "5", "--json"], server);
    let shown: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(shown, json!({"id": 5, "stats": reported["stats"], "reports": reported["reports"]}));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spring.csv");
    std::fs::write(&file, "an older one").unwrap();
    let name = file.to_str().unwrap();
    let output = run(&["campaign", "report", "5", "--csv", name, "--raw"], server);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), format!("2 recipients are in {name}\n"));
    assert!(stderr(&output).ends_with("2 of 10 recipients\n"), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), csv);
    let output = run(&["campaign", "report", "5", "--csv", "-", "--raw"], server);
    assert_eq!(stdout(&output), csv);
    let output = run(&["campaign", "report", "5", "--csv", folder.path().to_str().unwrap()], server);
    assert!(stderr(&output).contains("is a folder"), "{}", stderr(&output));
    let theirs = folder.path().join("other.csv.part");
    std::fs::write(&theirs, "somebody's").unwrap();
    let output = run(&["campaign", "report", "5", "--csv", folder.path().join("other.csv").to_str().unwrap()], server);
    assert!(stderr(&output).contains("other.csv.part"), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "somebody's");
    std::fs::remove_file(&theirs).unwrap();
    // Without --raw it is another request, which this server refuses.
    let output = run(&["campaign", "report", "5", "--csv", name], server);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), csv, "what was there stays");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "and nothing lies beside it");
    assert!(script.heard().iter().any(|line| line.contains("export?raw=true")), "{:?}", script.heard());
}

#[test]
fn a_preflight_tells_its_progress_and_ends_as_its_verdict_does() {
    let lines = |last: Value| {
        let so_far = json!({"progress": {"looked_at": 12_000, "thousandths": 500}});
        json!(format!("{so_far}\n{last}\n"))
    };
    let report = |blockers: Value| {
        json!({"result": {
            "verdict": {"go": blockers == json!([]), "blockers": blockers, "remarks": []},
            "funnel": {"named": 24_000, "recipients": 23_000, "messages": 22_000}, "estimate": {"seconds": null}, "fingerprint": "0a1b",
        }})
    };
    let problem = json!({"problem": {"status": 503, "code": "database_unavailable", "detail": "the database is away"}});
    let empty = json!([{"code": "empty_audience", "detail": "the audience names nobody"}]);
    let (server, script) = Script::serve(vec![
        (
            "POST /v1/campaigns/5/preflight",
            vec![(200, lines(report(json!([])))), (200, lines(report(empty))), (200, lines(problem))],
        ),
        ("POST /v1/campaigns/5/send", vec![(202, json!({"messages_queued": 22_000}))]),
    ]);
    let output = run(&["campaign", "preflight", "5"], server);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).starts_with("12,000 people looked at\n"), "{}", stderr(&output));
    let shown = stdout(&output);
    assert!(shown.starts_with("go\n\nnamed                       24,000\n"), "{shown}");
    assert!(shown.ends_with("\nto send just this: volley campaign send 5 --preflight 0a1b\n"), "{shown}");
    let output = run(&["campaign", "preflight", "5", "--json"], server);
    assert_eq!(output.status.code(), Some(1), "something forbids it");
    let shown: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(shown["verdict"]["blockers"][0]["code"], "empty_audience");
    let output = run(&["campaign", "preflight", "5"], server);
    assert_eq!(stderr(&output).lines().last(), Some("volley: the database is away (503 database_unavailable)"));
    assert_eq!(output.status.code(), Some(1));
    let output = run(&["campaign", "send", "5", "--preflight", "0a1b"], server);
    assert!(output.status.success(), "{}", stderr(&output));
    let sent = format!("POST /v1/campaigns/5/send {} bytes", json!({"preflight": "0a1b"}).to_string().len());
    assert_eq!(script.heard().last(), Some(&sent));
}

#[test]
fn a_refusal_is_told_in_one_line_with_its_code() {
    let problem = json!({
        "type": "/problems/invalid-transition", "title": "Conflict", "status": 409, "code": "invalid_transition",
        "detail": "cannot pause a campaign that is sent",
    });
    let (server, _) = Script::serve(vec![("POST /v1/campaigns/5/pause", vec![(409, problem)])]);
    let output = run(&["campaign", "pause", "5"], server);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "volley: cannot pause a campaign that is sent (409 invalid_transition)\n");
}

#[test]
fn without_a_valid_key_it_says_where_one_comes_from() {
    let (server, _) = Script::serve(Vec::new());
    let output = volley_with(&["campaign", "list", "--server", &format!("http://{server}")], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("set VOLLEY_CLI__KEY"), "{}", stderr(&output));
}
