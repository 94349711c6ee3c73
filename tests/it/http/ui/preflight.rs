//! The preflight of a campaign on its page, and the form that launches just what was checked.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;

use super::{LONG, Visitor, assert_page, text};
use crate::support::api::{Api, id};
use crate::support::server::{ROOT_KEY, Server, sandbox};
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

/// A draft to 20 people, and the path of its page.
fn drafted(db: &Database) -> (Server, i64, String) {
    let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
    let api = server.api();
    let list = api.a_list_of(20);
    let html = "<p>For {first_name|you}</p>";
    let more = json!({
        "name": "Spring <b>", "subject": "For {first_name|you}", "rate_per_second": 100.0, "body_html": html,
    });
    let draft = api.create_campaign("email", "main", list, &more);
    (server, draft, format!("/ui/campaigns/{draft}/preflight"))
}

fn key_with(api: &Api, scope: &str) -> String {
    let made: Value = api.post("/v1/keys", &json!({ "name": scope, "scope": scope }));
    made["secret"].as_str().unwrap().to_owned()
}

/// The fingerprint that the form of a page names.
fn fingerprint(page: &str) -> String {
    let after = page.split("name=\"preflight\" value=\"").nth(1).unwrap_or_else(|| panic!("no form: {page}"));
    after.split('"').next().unwrap().to_owned()
}

both_backends! {
    fn what_was_checked_on_the_page_is_sent_by_its_form_and_nothing_else_is(db: &Database) {
        let (server, draft, path) = drafted(db);
        let api = server.api();
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let before = visitor.get(&path);
        assert_page(&before, 200);
        assert!(text(&before).contains("There is no result of the last hour"), "{before:?}");
        assert!(!text(&before).contains("name=\"preflight\""), "nothing to send yet: {before:?}");
        let checked = visitor.press(&path, "");
        assert_eq!((checked.status, checked.header("location")), (303, Some(path.as_str())), "{checked:?}");
        let page = visitor.get(&path);
        assert_page(&page, 200);
        let page = text(&page);
        let frame = format!("sandbox src=\"/ui/campaigns/{draft}/mail?contact_id=1\"");
        for said in [&frame, "<strong>go</strong>", "Send 20 messages", "Takes about 1 second at 100/s", "For ", "drawn evenly"] {
            assert!(page.contains(said), "{said}: {page}");
        }
        let send = format!("/ui/campaigns/{draft}/send");
        let form = |key: &str, name: &str| format!("idempotency_key={key}&preflight={}&name={name}", fingerprint(page));
        let wrong = visitor.press(&send, &form("one", "Spring"));
        assert_page(&wrong, 422);
        assert!(text(&wrong).contains("name_differs") && text(&wrong).contains("value=\"Spring\""), "{wrong:?}");

        // One more person: what was checked is no longer what would go.
        let person = id(&api.post("/v1/contacts", &json!({ "email": "late@example.com" })));
        api.post("/v1/lists/1/members", &json!({ "contact_ids": [person] }));
        let stale = visitor.press(&send, &form("two", "Spring+%3Cb%3E"));
        assert_page(&stale, 409);
        assert!(text(&stale).contains("preflight_outdated"), "{stale:?}");
        assert!(text(&stale).contains("Something has changed since this check"), "{stale:?}");
        assert!(!text(&stale).contains("name=\"preflight\""), "{stale:?}");
        assert_eq!(api.campaign(draft).status, "draft");

        assert_eq!(visitor.press(&path, "").status, 303);
        let fresh = visitor.get(&path);
        let form = format!("idempotency_key=three&preflight={}&name=Spring+%3Cb%3E", fingerprint(text(&fresh)));
        for _ in 0..2 {
            let sent = visitor.press(&send, &form);
            let there = format!("/ui/campaigns/{draft}");
            assert_eq!((sent.status, sent.header("location")), (303, Some(there.as_str())), "a second press does nothing: {sent:?}");
        }
        assert_eq!(api.wait_ended(draft, LONG).stats.sent, 21);
        let after = visitor.get(&path);
        assert_page(&after, 200);
        assert!(text(&after).contains("there is nothing to launch") && text(&after).contains("the check said 21"), "{after:?}");
        assert!(text(&after).contains("accepted by the provider") && !text(&after).contains("<form method=\"post\" action=\"/ui/campaigns/"), "{after:?}");
    }

    fn a_check_ends_when_its_client_goes_away(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let list = api.a_list_of(20_000);
        // While something is sent, a check goes slowly.
        let few = api.a_list_of(100);
        api.send(api.create_campaign("email", "main", few, &json!({ "rate_per_second": 1.0 })));
        let draft = api.create_campaign("email", "main", list, &json!({ "name": "Spring" }));
        let (path, page) = (format!("/v1/campaigns/{draft}/preflight"), format!("/ui/campaigns/{draft}/preflight"));
        let mut socket = TcpStream::connect(server.addr).unwrap();
        write!(
            socket,
            "POST {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {ROOT_KEY}\r\nAccept: application/x-ndjson\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
        )
        .unwrap();
        let mut lines = BufReader::new(socket).lines();
        lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("{\"progress\"")).expect("its progress");
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        assert!(text(&visitor.get(&page)).contains("Being checked"));
        drop(lines);
        wait_until("the check ends", LONG, || !text(&visitor.get(&page)).contains("Being checked"));
        let after = visitor.get(&page);
        assert!(text(&after).contains("There is no result of the last hour"), "it did not go on to its end: {after:?}");
    }

    fn who_may_only_read_may_check_and_not_send(db: &Database) {
        let (server, draft, path) = drafted(db);
        let reader = Visitor::with_key(&server, &key_with(&server.api(), "read"));
        assert_eq!(reader.press(&path, "").status, 303);
        let page = reader.get(&path);
        assert_page(&page, 200);
        assert!(text(&page).contains("takes a key with the scope <code>operate</code>"), "{page:?}");
        assert!(!text(&page).contains("name=\"preflight\""), "{page:?}");
        let refused = reader.press(&format!("/ui/campaigns/{draft}/send"), "idempotency_key=one&preflight=0&name=Spring+%3Cb%3E");
        assert_page(&refused, 403);
        assert_eq!(server.api().campaign(draft).status, "draft");
    }

    fn what_forbids_a_launch_is_above_all_and_there_is_no_form(db: &Database) {
        let (server, draft, path) = drafted(db);
        server.api().post("/v1/pools/main/suspend", &json!({ "reason": "the provider moves" }));
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        assert_eq!(visitor.press(&path, "").status, 303);
        let page = visitor.get(&path);
        let shown = text(&page);
        assert!(shown.contains("<strong>no: 1 blocker</strong>"), "{shown}");
        assert!(shown.contains("pool main is suspended: the provider moves <code>pool_suspended</code>"), "{shown}");
        assert!(!shown.contains("name=\"preflight\""), "{shown}");
        assert_page(&visitor.get("/ui/campaigns/4711/preflight"), 404);
        assert_page(&visitor.press("/ui/campaigns/4711/preflight", ""), 404);
        assert_eq!(server.api().campaign(draft).status, "draft");
    }
}
