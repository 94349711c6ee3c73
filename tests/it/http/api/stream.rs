//! What goes on, as it changes.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;

use crate::support::api::Api;
use crate::support::server::{ROOT_KEY, Server, sandbox};
use crate::support::volley::{Pool, ROOT_KEY as KEY_OF_THE_PROCESS, Volley};
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

const LONG: Duration = Duration::from_secs(60);

/// An event.
#[derive(Debug, Clone)]
struct Event {
    name: String,
    id: Option<String>,
    data: Value,
}

/// A stream that is heard.
struct Stream {
    lines: BufReader<TcpStream>,
    head: String,
}

impl Stream {
    fn open(port: u16, key: &str, query: &str, last_id: Option<&str>) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        let last_id = last_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        write!(socket, "GET /v1/stream{query} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\nAccept-Encoding: gzip\r\n{last_id}\r\n")
            .unwrap();
        let mut lines = BufReader::new(socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        Self { lines, head: head.to_lowercase() }
    }

    /// The next event. `None`: the stream has ended.
    fn next(&mut self) -> Option<Event> {
        let mut event = Event { name: String::new(), id: None, data: Value::Null };
        loop {
            let mut line = String::new();
            // What ends a body that comes in chunks, or the connection.
            if self.lines.read_line(&mut line).unwrap() == 0 || line == "0\r\n" {
                return None;
            }
            let line = line.trim_end();
            match line.split_once(": ") {
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("id", id)) => event.id = Some(id.to_owned()),
                Some(("data", data)) => {
                    event.data = serde_json::from_str(data).unwrap();
                    return Some(event);
                }
                _ => {}
            }
        }
    }

    /// The next event of this name that fits.
    fn wait(&mut self, name: &str, fits: impl Fn(&Value) -> bool) -> Event {
        let began = Instant::now();
        while began.elapsed() < LONG {
            let event = self.next().unwrap_or_else(|| panic!("the stream ended before a {name}"));
            if event.name == name && fits(&event.data) {
                return event;
            }
        }
        panic!("no {name} that fits")
    }
}

fn site(db: &Database) -> (Server, i64) {
    let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
    let campaign = spring(&server.api());
    (server, campaign)
}

/// A campaign that is sent for half a minute.
fn spring(api: &Api) -> i64 {
    let list = api.a_list_of(300);
    let campaign = api.create_campaign("email", "main", list, &json!({ "name": "Spring", "rate_per_second": 10.0 }));
    api.send(campaign);
    campaign
}

/// How often the process has looked at what open pages and streams show.
fn looks(api: &Api) -> u64 {
    let metrics = api.get("/metrics");
    let line = metrics.as_str().unwrap().lines().find_map(|line| line.strip_prefix("volley_ui_looks_total "));
    line.map_or(0, |count| count.parse().unwrap())
}

both_backends! {
    fn a_stream_tells_how_things_are_and_then_what_changes_and_is_resumed_by_its_last_id(db: &Database) {
        // A process of its own: what a process counts, it counts for all its instances.
        let instance = Volley::on(db).pool(Pool::sandbox("main", "email")).start();
        let api = instance.api();
        let campaign = spring(&api);
        let port = instance.port();
        let query = format!("?campaign={campaign}");
        let mut stream = Stream::open(port, KEY_OF_THE_PROCESS, &query, None);
        for part in ["200 ok", "content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"] {
            assert!(stream.head.contains(part), "{part}: {}", stream.head);
        }
        let first = stream.next().unwrap();
        assert_eq!((first.name.as_str(), &first.data["id"], &first.data["name"]), ("campaign", &json!(campaign), &json!("Spring")));
        let sent = first.data["stats"]["sent"].as_i64().unwrap();
        stream.wait("campaign", |data| data["stats"]["sent"].as_i64().unwrap() > sent);
        api.post(&format!("/v1/campaigns/{campaign}/pause"), &json!({}));
        stream.wait("campaign", |data| data["status"] == "paused");
        wait_until("nothing is under way", LONG, || api.campaign(campaign).stats.sending == 0);
        // How things are now, and the id of that.
        let mut stream = Stream::open(port, KEY_OF_THE_PROCESS, &query, None);
        let receipt = stream.wait("receipt", |data| data["action"] == "pause" && data["complete"] == true);
        let id = receipt.id.expect("the last event of a look has an id");
        drop(stream);
        let mut resumed = Stream::open(port, KEY_OF_THE_PROCESS, &query, Some(&id));
        // The stream has been looked for at least once: what it would tell again, it would have told by now.
        let before = looks(&api);
        wait_until("two more looks", LONG, || looks(&api) >= before + 2);
        api.post(&format!("/v1/campaigns/{campaign}/resume"), &json!({}));
        let next = resumed.next().unwrap();
        assert_eq!((next.name.as_str(), &next.data["status"]), ("campaign", &json!("sending")), "what is known is not told again");
        drop(resumed);
        let mut late = Stream::open(port, KEY_OF_THE_PROCESS, &query, Some(&id));
        let now = late.wait("campaign", |_| true);
        assert_eq!(now.data["status"], "sending", "who missed something hears how things are now");
        api.stop(campaign);
        late.wait("campaign", |data| data["status"] == "stopped");
    }

    fn a_stream_of_everything_tells_of_each_campaign_and_of_what_needs_attention(db: &Database) {
        let (server, campaign) = site(db);
        let api = server.api();
        let mut stream = Stream::open(server.addr.port(), ROOT_KEY, "", None);
        stream.wait("campaign", |data| data["id"] == campaign);
        let list = api.a_list_of(1);
        let other = api.create_campaign("email", "main", list, &json!({ "name": "Later" }));
        let path = format!("/v1/campaigns/{other}");
        api.post(&format!("{path}/schedule"), &json!({ "scheduled_at": "2027-09-01T08:00:00Z" }));
        stream.wait("campaign", |data| data["id"] == other && data["status"] == "scheduled");
        api.post(&format!("{path}/unschedule"), &json!({}));
        stream.wait("gone", |data| data["campaign_id"] == other);
        api.post("/v1/pools/main/suspend", &json!({ "reason": "works on the relay" }));
        stream.wait("needs", |data| data["needs"].as_array().unwrap().iter().any(|need| need["code"] == "pool_suspended"));
    }

    fn a_revoked_key_ends_its_streams_within_two_seconds(db: &Database) {
        let (server, campaign) = site(db);
        let key = server.api().post("/v1/keys", &json!({ "name": "board", "scope": "read" }));
        let secret = key["secret"].as_str().unwrap();
        let mut stream = Stream::open(server.addr.port(), secret, &format!("?campaign={campaign}"), None);
        stream.wait("campaign", |_| true);
        let began = Instant::now();
        assert_eq!(server.send("DELETE", &format!("/v1/keys/{}", key["id"]), &[], b"").status, 200);
        let end = stream.wait("end", |_| true);
        assert_eq!(end.data["reason"], "key_ended");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert!(stream.next().is_none());
    }

    fn who_may_not_or_asks_for_what_is_not_there_is_told_so(db: &Database) {
        let (server, campaign) = site(db);
        let ingest = server.api().post("/v1/keys", &json!({ "name": "shop", "scope": "ingest" }));
        let key = format!("Bearer {}", ingest["secret"].as_str().unwrap());
        for (query, headers, status, code) in [
            ("", vec![("Authorization", key.as_str())], 403, "insufficient_scope"),
            ("", vec![("Authorization", "Bearer x")], 401, "unauthorized"),
            ("?campaign=4711", vec![], 404, "campaign_not_found"),
            ("?campaign=x", vec![], 400, "out_of_range"),
            ("?page=now", vec![], 400, "unknown_parameter"),
        ] {
            let refused = server.send("GET", &format!("/v1/stream{query}"), &headers, b"");
            assert_eq!((refused.status, refused.code()), (status, code), "{query}");
        }
        let open: Vec<Stream> =
            (0..20).map(|_| Stream::open(server.addr.port(), ROOT_KEY, &format!("?campaign={campaign}"), None)).collect();
        let full = server.send("GET", "/v1/stream", &[], b"");
        assert_eq!((full.status, full.code()), (503, "too_many_streams"), "{} are open", open.len());
        // Closed without a word: nobody has to wait until that is noticed.
        drop(open);
        let began = Instant::now();
        let mut next = Stream::open(server.addr.port(), ROOT_KEY, &format!("?campaign={campaign}"), None);
        assert!(next.next().is_some() && began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
}

#[test]
fn many_streams_share_a_look_nobody_watching_costs_none_and_none_delays_the_end() {
    let db = Database::sqlite();
    let mut instance = Volley::on(&db).pool(Pool::sandbox("main", "email")).start();
    let api = instance.api();
    let looks = || looks(&api);
    assert_eq!(looks(), 0);
    let list = api.a_list_of(1);
    let campaign = api.create_campaign("email", "main", list, &json!({ "name": "Spring" }));
    let query = format!("?campaign={campaign}");
    let open = || -> Vec<Stream> {
        (0..10).map(|_| Stream::open(instance.port(), KEY_OF_THE_PROCESS, &query, None)).collect()
    };
    let began = Instant::now();
    let mut streams = open();
    for stream in &mut streams {
        stream.wait("campaign", |data| data["status"] == "draft");
    }
    wait_until("some looks were made", LONG, || looks() > 4);
    let most = began.elapsed().as_secs() * 2 + 3;
    assert!(looks() <= most, "{} looks for ten streams, at most {most}", looks());
    drop(streams);
    let heartbeat = || api.get("/v1/instances")["data"][0]["last_seen_at"].clone();
    wait_until("nothing is asked any more", LONG, || {
        let before = looks();
        for _ in 0..3 {
            let last = heartbeat();
            wait_until("the next heartbeat", LONG, || heartbeat() != last);
        }
        looks() == before
    });
    let mut streams = open();
    for stream in &mut streams {
        stream.wait("campaign", |_| true);
    }
    let (status, took) = instance.sigterm();
    assert!(status.success() && took < Duration::from_secs(4), "{status}, {took:?}");
    for stream in &mut streams {
        assert_eq!(stream.wait("end", |_| true).data["reason"], "instance_stops");
    }
}
