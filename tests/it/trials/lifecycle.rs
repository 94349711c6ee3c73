//! A campaign's life, and what a client that does something odd is told.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;

use super::LIMIT;
use crate::support::api::id;
use crate::support::people::address;
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::server::{Server, sandbox};
use crate::support::volley::{Pool, ROOT_KEY, Volley};
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

both_backends! {
    /// Trial `api-send-no-body`.
    fn a_campaign_is_launched_paused_and_resumed_by_requests_without_a_body(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let list = api.a_list_of(20);
        let campaign = api.create_campaign("email", "main", list, &json!({ "rate_per_second": 5 }));
        for (act, status) in [("send", "sending"), ("pause", "paused"), ("resume", "sending"), ("stop", "stopped")] {
            let answer = server.send("POST", &format!("/v1/campaigns/{campaign}/{act}"), &[], b"");
            assert!(matches!(answer.status, 200 | 202), "{act}: {answer:?}");
            assert_eq!(api.get(&format!("/v1/campaigns/{campaign}"))["status"], status, "after {act}");
        }
        // The same with a header that promises JSON, as clients send it that always set one.
        let again = api.create_campaign("email", "main", list, &json!({}));
        let promised = [("Content-Type", "application/json")];
        let answer = server.send("POST", &format!("/v1/campaigns/{again}/send"), &promised, b"");
        assert!(matches!(answer.status, 200 | 202), "{answer:?}");
        assert_eq!(api.wait_ended(again, LIMIT).stats.sent, 20);
    }

    /// Trial `life-unsubscribed`.
    fn who_is_taken_off_the_list_while_the_campaign_is_paused_gets_nothing_after_it(db: &Database) {
        let relay = ScriptedSmtp::start(|_| None);
        let volley = Volley::on(db).pool(Pool::smtp_at("relay", relay.port())).start();
        let api = volley.api();
        let list = api.a_list_of(30);
        let campaign = api.create_campaign("email", "relay", list, &json!({ "rate_per_second": 10 }));
        api.send(campaign);
        wait_until("some have it", LIMIT, || !relay.taken().is_empty());
        api.pause(campaign);
        wait_until("nothing is under way", LIMIT, || api.campaign(campaign).stats.sending == 0);
        let had_it: Vec<String> = relay.taken().iter().map(|mail| mail.to.clone()).collect();
        let waiting: Vec<String> = (1..=30).map(address).filter(|who| !had_it.iter().any(|to| to.contains(who.as_str()))).collect();
        assert!(waiting.len() >= 3, "the pause came too late: {} have it", had_it.len());
        let of = |who: &String| id(&api.get(&format!("/v1/contacts?email={who}"))["data"][0]);
        let (removed, says_no) = (of(&waiting[0]), of(&waiting[1]));
        let taken_off = api.request(
            reqwest::Method::DELETE,
            &format!("/v1/lists/{list}/members/{removed}"),
            "",
            None,
            &[],
        );
        assert!(matches!(taken_off.unwrap().status, 200 | 204));
        api.post(&format!("/v1/lists/{list}/unsubscribe"), &json!({ "contact_id": says_no }));
        api.resume(campaign);
        let ended = api.wait_ended(campaign, LIMIT);
        let reached: Vec<String> = relay.taken().iter().map(|mail| mail.to.clone()).collect();
        for who in &waiting[..2] {
            assert!(!reached.iter().any(|to| to.contains(who.as_str())), "{who} is off the list and has a message");
        }
        assert_eq!((ended.stats.sent, ended.stats.skipped), (28, 2));
        api.audit(campaign);
        for contact in [removed, says_no] {
            let why = api.get(&format!("/v1/campaigns/{campaign}/why/{contact}"));
            assert_eq!(why["state"], "skipped", "{why}");
        }
        volley.stop();
    }
}

/// A problem whose detail begins with the name of a field that is not there reads ": the file needs …".
#[track_caller]
fn assert_sentence(problem: &Value) {
    let detail = problem["detail"].as_str().unwrap_or_default();
    let stray = detail.starts_with([':', ' ', ',']) || detail.contains(": :") || detail.contains("::");
    assert!(!detail.is_empty() && !stray, "no sentence: {problem}");
}

/// Trial `api-detail-colon`.
#[test]
fn a_problem_that_is_about_no_field_is_a_sentence_and_so_is_what_the_terminal_shows() {
    let db = Database::sqlite();
    let volley = Volley::on(&db).pool(Pool::sandbox("main", "email")).start();
    let api = volley.api();
    let import = |csv: &str| {
        let body = Some(csv.as_bytes().to_vec());
        api.request(reqwest::Method::POST, "/v1/contacts/import", "text/csv", body, &[]).unwrap()
    };
    let no_key = import("colour,size\nred,1\n");
    assert_eq!((no_key.status, &no_key.body["code"]), (422, &json!("no_key_column")), "{}", no_key.body);
    assert_sentence(&no_key.body);
    for (path, body) in [("/v1/contacts", json!({})), ("/v1/campaigns/1/send", json!({})), ("/v1/campaigns", json!([]))]
    {
        let refused = api.try_post(path, &body).unwrap();
        assert!((400..500).contains(&refused.status), "{path}: {}", refused.body);
        assert_sentence(&refused.body);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("colours.csv");
    std::fs::write(&file, "colour,size\nred,1\n").unwrap();
    let said = Command::new(env!("CARGO_BIN_EXE_volley"))
        .args(["import", file.to_str().unwrap()])
        .env("VOLLEY_CLI__KEY", ROOT_KEY)
        .env("VOLLEY_CLI__SERVER", format!("http://127.0.0.1:{}", volley.port()))
        .output()
        .unwrap();
    let said = (said.status.success(), String::from_utf8(said.stderr).unwrap());
    assert!(!said.0 && said.1.contains("needs a column"), "{said:?}");
    assert!(!said.1.contains(": :") && !said.1.contains("volley: :"), "{said:?}");
}

fn tell(port: u16, request: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // Who refuses early closes early.
    let _ = socket.write_all(request);
    let _ = socket.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    answer
}

/// Trial `api-log-level`.
#[test]
fn what_strangers_send_fills_no_error_log() {
    let db = Database::sqlite();
    let volley = Volley::on(&db).pool(Pool::sandbox("main", "email")).start();
    let post = |path: &str, headers: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    };
    let key = format!("Authorization: Bearer {ROOT_KEY}\r\nContent-Type: application/json\r\n");
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000));
    let requests = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GARBAGE\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n".to_vec(),
        b"GET /v1/contacts HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n".to_vec(),
        b"POST /v1/contacts HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec(),
        b"GET /v1/contacts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \xff\xfe\r\nConnection: close\r\n\r\n".to_vec(),
        b"GET /v1/%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec(),
        long.into_bytes(),
        post("/v1/contacts", "", "{}"),
        post("/v1/contacts", &key, "{\"email\":"),
        post("/v1/contacts", &key, "[[[["),
        post("/v1/campaigns/9999/send", &key, "{}"),
        post("/v1/nothing", &key, "{}"),
        post("/u/forged", "", "List-Unsubscribe=One-Click"),
        post("/v1/callbacks/main", "", "{}"),
        b"GET /t/forged HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec(),
        // It promises a body and hangs up.
        b"POST /v1/contacts HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{".to_vec(),
    ];
    for request in &requests {
        let _ = tell(volley.port(), request);
    }
    let answer = tell(volley.port(), b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "it still answers");
    let log = volley.log();
    let loud: Vec<&str> = log.lines().filter(|line| line.contains("ERROR") || line.contains(" WARN")).collect();
    assert_eq!(loud, Vec::<&str>::new());
    volley.stop();
}
