//! Incidents, as operators see them and decide.

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;

use super::system::with_scope;
use super::{LONG, Visitor, assert_page, text};
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::server::{Server, sandbox, webhook};
use crate::support::{Database, both_backends};

/// A campaign of three people whose provider took everything and confirmed nothing, as one incident: its id and key.
fn incident(db: &Database) -> (Server, i64, Value) {
    let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
    let server = Server::with_pools(db, vec![webhook("api", &sink), sandbox("main", ChannelKind::Email, 0.0)]);
    let api = server.api();
    let list = api.a_list_of(3);
    sink.play("request every=1: {take} 500");
    let campaign = api.create_campaign("http", "api", list, &json!({ "name": "Doubt <b>" }));
    api.send(campaign);
    api.wait_ended(campaign, LONG);
    server.execute("UPDATE deliveries SET settled_at = 120000".to_owned());
    let found = api.get("/v1/uncertain")["data"][0].clone();
    assert_eq!(found["count"], 3, "{found}");
    (server, campaign, found)
}

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

both_backends! {
    fn a_log_is_pasted_its_dry_run_is_shown_and_then_it_is_decided(db: &Database) {
        let (server, campaign, found) = incident(db);
        let visitor = with_scope(&server, "operate");
        let list = visitor.get("/ui/uncertain");
        assert_page(&list, 200);
        let id = found["id"].as_str().unwrap();
        let path = format!("/ui/uncertain/{id}");
        assert!(text(&list).contains(&format!("href=\"{path}\"")) && text(&list).contains("Doubt &#60;b&#62;"), "{list:?}");
        let now = visitor.get("/ui");
        assert!(text(&now).contains(&format!("/ui/uncertain?campaign_id={campaign}")), "Now leads there: {now:?}");
        let own = visitor.get(&format!("/ui/campaigns/{campaign}"));
        assert!(text(&own).contains(&format!("3 messages are uncertain: <a href=\"/ui/uncertain?campaign_id={campaign}\"")), "{own:?}");
        assert_page(&visitor.get(&format!("/ui/uncertain?campaign_id={campaign}")), 200);
        let page = visitor.get(&path);
        assert_page(&page, 200);
        assert!(text(&page).contains("no journal knows more") && text(&page).contains("<textarea"), "{page:?}");
        let key = found["message_key"].as_str().unwrap();
        let person = |at: usize| found["examples"][at]["contact_id"].as_i64().unwrap();
        let log = format!("{key}:{} accepted\n{key}:{} rejected\nnoise\n", person(0), person(1));
        let matched = visitor.press(&format!("{path}/match"), &format!("log={}", escaped(&log)));
        assert_page(&matched, 200);
        let shown = text(&matched);
        assert!(shown.contains("1 was accepted, 1 was not, 1 is not mentioned; 1 line was not understood."), "{shown}");
        assert!(shown.contains("Not understood: line 3.") && shown.contains("up to 1 person may get it twice"), "{shown}");
        assert_eq!(server.api().campaign(campaign).stats.uncertain, 3, "nothing has changed");
        // The form of those who were accepted, as the page has it.
        let field = |name: &str| {
            let after = shown.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("{name}: {shown}"));
            after.split('"').next().unwrap().to_owned()
        };
        assert_eq!(field("contacts"), person(0).to_string(), "{shown}");
        let form = |note: &str| {
            format!(
                "idempotency_key={}&contacts={}&log_sha256={}&as=sent&note={}",
                field("idempotency_key"), field("contacts"), field("log_sha256"), escaped(note)
            )
        };
        let resolve = format!("{path}/resolve");
        let refused = visitor.press(&resolve, &form("ann@example.net told us"));
        assert_page(&refused, 422);
        let again = text(&refused);
        assert!(again.contains("names_somebody") && again.contains("ann@example.net told us"), "what was typed is kept: {again}");
        assert!(again.contains(&format!("name=\"contacts\" value=\"{}\"", person(0))), "{again}");
        let done = visitor.press(&resolve, &form("relay log"));
        let receipt = format!("/ui/uncertain?as=sent&count=1&of={campaign}");
        assert_eq!((done.status, done.header("location")), (303, Some(receipt.as_str())), "{done:?}");
        let receipt = visitor.get(&receipt);
        assert_page(&receipt, 200);
        assert!(text(&receipt).contains("1 message counts as sent now."), "{receipt:?}");
        let stats = server.api().campaign(campaign).stats;
        assert_eq!((stats.sent, stats.uncertain), (1, 2));
        assert_eq!(visitor.press(&resolve, &form("relay log")).status, 303, "the same form again");
        let line = server.api().get("/v1/audit-log?action=resolved")["data"][0].clone();
        assert_eq!((&line["after"]["evidence"]["note"], &line["after"]["contacts"]), (&json!("relay log"), &json!(1)), "{line}");
        assert_eq!(line["after"]["evidence"]["log_sha256"].as_str().unwrap().len(), 64, "{line}");
    }

    fn the_rest_of_an_incident_is_decided_without_a_log(db: &Database) {
        let (server, campaign, found) = incident(db);
        let visitor = with_scope(&server, "operate");
        let path = format!("/ui/uncertain/{}/resolve", found["id"].as_str().unwrap());
        let question = visitor.get(&format!("{path}?as=pending"));
        assert_page(&question, 200);
        assert!(text(&question).contains("Sent again: up to 3 people may get it twice."), "{question:?}");
        assert_page(&visitor.get(&path), 400);
        assert_page(&visitor.get(&format!("{path}?as=maybe")), 400);
        let key = visitor.form_key(&format!("{path}?as=failed"));
        let form = |note: &str| format!("idempotency_key={key}&as=failed&contacts=&log_sha256=&note={note}");
        assert_page(&visitor.press(&path, &form("+")), 422);
        let done = visitor.press(&path, &form("the+relay+has+none+of+them"));
        let receipt = format!("/ui/uncertain?as=failed&count=3&of={campaign}");
        assert_eq!((done.status, done.header("location")), (303, Some(receipt.as_str())), "{done:?}");
        let shown = visitor.get(&receipt);
        assert!(text(&shown).contains("3 messages count as not sent now.") && text(&shown).contains("Nothing is uncertain."), "{shown:?}");
        assert_eq!(server.api().campaign(campaign).stats.failed, 3);
        assert_page(&visitor.get(&path.replace("/resolve", "")), 404);
    }

    fn a_stopped_campaign_says_why_nobody_can_be_sent_to_again(db: &Database) {
        let (server, campaign, found) = incident(db);
        server.execute(format!("UPDATE campaigns SET status = 'stopped' WHERE id = {campaign}"));
        let visitor = with_scope(&server, "operate");
        let path = format!("/ui/uncertain/{}/resolve", found["id"].as_str().unwrap());
        let question = visitor.get(&format!("{path}?as=pending"));
        assert_page(&question, 200);
        assert!(text(&question).contains("stopped") && !text(&question).contains("<form method=\"post\" action=\"/ui/uncertain"), "{question:?}");
        assert!(text(&visitor.get(&format!("{path}?as=failed"))).contains("<form method=\"post\" action=\"/ui/uncertain"));
    }
}

#[test]
fn to_a_reader_an_incident_shows_no_button_and_says_what_it_takes() {
    let db = Database::sqlite();
    let (server, _, found) = incident(&db);
    let reader = with_scope(&server, "read");
    let path = format!("/ui/uncertain/{}", found["id"].as_str().unwrap());
    let page = reader.get(&path);
    assert_page(&page, 200);
    assert!(
        !text(&page).contains("/resolve") && text(&page).contains("with the scope <code>operate</code>"),
        "{page:?}"
    );
    let key = found["message_key"].as_str().unwrap();
    let log = escaped(&format!("{key}:{} accepted", found["examples"][0]["contact_id"]));
    let matched = reader.press(&format!("{path}/match"), &format!("log={log}"));
    assert_page(&matched, 200);
    assert!(text(&matched).contains("1 was accepted") && !text(&matched).contains("/resolve"), "{matched:?}");
    assert_page(&reader.press(&format!("{path}/match"), "log="), 422);
    assert_page(&Visitor::with_key(&server, crate::support::server::ROOT_KEY).get("/ui/uncertain/none"), 404);
}
