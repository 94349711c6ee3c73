//! What marketing carries, on its way to the provider.

use std::collections::BTreeSet;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::people;
use crate::support::provider::{POOL, Provider};
use crate::support::scripted_smtp::{Act, ScriptedSmtp, Stage as Moment};
use crate::support::stage::LONG;
use crate::support::volley::{Pool, Volley};
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

const SETTINGS: &str = "[links]\npublic_url = \"https://mail.example.com/news/\"\n\
                        [email]\npostal_address = \"Example Ltd, 1 High Street\"\n";
const CONTENT: &str = "Hello. {{ unsubscribe_url }} {{ preferences_url }} {{ postal_address }}";

/// A message's header.
fn header(message: &str, name: &str) -> String {
    let (head, _) = message.split_once("\r\n\r\n").unwrap();
    let head = head.replace("\r\n ", " ");
    let prefix = format!("{name}: ");
    let found: Vec<&str> = head.split("\r\n").filter_map(|line| line.strip_prefix(prefix.as_str())).collect();
    assert_eq!(found.len(), 1, "{name} in {head}");
    found[0].to_owned()
}

/// A message's text, without quoted-printable's soft breaks.
fn text(message: &str) -> String {
    message.split_once("\r\n\r\n").unwrap().1.replace("=\r\n", "").replace("=3D", "=")
}

/// The message that is kept for another try: there is one.
fn kept_content(db: &Database) -> Value {
    serde_json::from_str(&db.text("SELECT content AS t FROM delivery_contents")).unwrap()
}

both_backends! {
    fn every_marketing_email_has_its_recipients_own_link(db: &Database) {
        let provider = Provider::smtp((0, 2));
        let volley = Volley::on(db).settings(SETTINGS).pool(provider.pool()).start();
        let api = volley.api();
        let list = api.a_list_of(50);
        let campaign = api.create_campaign("email", POOL, list, &json!({ "subject": "s", "body_text": CONTENT }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let mut links = BTreeSet::new();
        for n in 1..=50 {
            let message = provider.ledger().message_to(&people::address(n));
            let link = header(&message, "List-Unsubscribe");
            let link = link.strip_prefix('<').and_then(|link| link.strip_suffix('>')).unwrap().to_owned();
            assert!(link.starts_with("https://mail.example.com/news/u/"), "{link}");
            assert_eq!(header(&message, "List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
            let id = header(&message, "List-Id");
            assert!(id.starts_with('<') && id.ends_with(".mail.example.com>"), "{id}");
            let text = text(&message);
            assert!(text.contains(&link) && text.contains("https://mail.example.com/news/preferences/"), "{text}");
            assert!(text.contains("Example Ltd, 1 High Street"), "{text}");
            links.insert(link);
        }
        assert_eq!(links.len(), 50, "nobody has another one's link");
        volley.stop();
    }

    fn answers_and_headers_are_those_of_the_campaign_its_template_and_the_pool(db: &Database) {
        let provider = Provider::smtp((0, 2));
        let pool = provider.pool().set("reply_to", "\"pool@example.com\"").set("headers", "{ X-Pool = \"main\", X-Level = \"pool\" }");
        let volley = Volley::on(db).pool(pool).start();
        let api = volley.api();
        let list = api.a_list_of(2);
        let template = json!({
            "name": "News", "channel": "email", "category": "transactional", "subject": "s", "body_text": "Hi",
            "reply_to": "Template <template@example.com>",
            "headers": { "X-Level": "template", "X-Person": "{first_name|nobody} of {city|nowhere}", "X-Gone": "{phone}" },
        });
        let template = api.post("/v1/templates", &template)["id"].as_i64().unwrap();
        let draft = |own: Value| {
            let mut draft = json!({
                "name": "C", "channel": "email", "pool": POOL, "template_id": template, "audience": { "lists": [list] },
            });
            draft.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
            api.post("/v1/campaigns", &draft)["id"].as_i64().unwrap()
        };
        let send = |campaign| {
            api.send(campaign);
            api.wait_ended(campaign, LONG);
            provider.ledger().message_to(&people::address(1))
        };
        let mail = send(draft(json!({})));
        assert_eq!(header(&mail, "Reply-To"), "Template <template@example.com>");
        assert_eq!((header(&mail, "X-Pool"), header(&mail, "X-Level")), ("main".into(), "template".into()));
        assert!(header(&mail, "X-Person").starts_with("First1 of "), "{mail}");
        assert!(!mail.contains("X-Gone"), "{mail}");
        let own = json!({ "reply_to": "own@example.com", "headers": { "x-level": "campaign" } });
        let campaign = draft(own.clone());
        assert_eq!(api.get(&format!("/v1/campaigns/{campaign}"))["headers"], own["headers"]);
        let shown = api.post(&format!("/v1/campaigns/{campaign}/personalized-preview"), &json!({ "contact_id": 1 }));
        assert_eq!((&shown["reply_to"], &shown["headers"]["x-level"]), (&json!("own@example.com"), &json!("campaign")));
        let mail = send(campaign);
        assert_eq!(header(&mail, "Reply-To"), "own@example.com");
        assert_eq!((header(&mail, "X-Pool"), header(&mail, "x-level")), ("main".into(), "campaign".into()));
        assert!(!mail.contains("X-Level"), "{mail}");
        volley.stop();
    }

    fn every_message_has_the_files_of_its_campaign_and_a_test_has_them_too(db: &Database) {
        let provider = Provider::smtp((0, 2));
        let volley = Volley::on(db).pool(provider.pool()).start();
        let api = volley.api();
        let list = api.a_list_of(20);
        // Larger than what is sent in one piece, and any JSON is a file.
        let file = |name: &str, fill: &str| api.post(&format!("/v1/files?name={name}"), &json!({ "a": fill.repeat(60_000) }))["id"].clone();
        let (list_of_prices, logo) = (file("prices.json", "p"), file("logo.json", "l"));
        let campaign = api.create_campaign("email", POOL, list, &json!({
            "category": "transactional", "subject": "s", "body_text": "Hi", "body_html": "<img src=\"cid:logo\" alt=\"\">",
            "attachments": [{ "file_id": list_of_prices }, { "file_id": logo, "content_id": "logo" }],
        }));
        let contact = api.get("/v1/contacts")["data"][0]["id"].as_i64().unwrap();
        api.post(&format!("/v1/campaigns/{campaign}/test-send"), &json!({ "contact_ids": [contact] }));
        assert_eq!(provider.ledger().reached(), 1);
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        for n in 1..=20 {
            let message = provider.ledger().message_to(&people::address(n));
            for (name, fill) in [("prices.json", "p"), ("logo.json", "l")] {
                let (_, part) = message.split_once(&format!("filename=\"{name}\"\r\n\r\n")).unwrap();
                let body = part.split("\r\n--").next().unwrap().replace("\r\n", "");
                let body = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
                assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), json!({ "a": fill.repeat(60_000) }));
            }
            assert!(message.contains("Content-ID: <logo@volley>") && message.contains("cid:logo@volley"), "{n}");
        }
        volley.stop();
    }

    fn an_http_api_is_told_where_the_recipient_unsubscribes(db: &Database) {
        let provider = Provider::webhook((0, 2));
        let volley = Volley::on(db).settings(SETTINGS).pool(provider.pool()).start();
        let api = volley.api();
        let list = api.a_list_of(3);
        let campaign = api.create_campaign("http", POOL, list, &json!({ "body_text": "{{ unsubscribe_url }}" }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let request: Value = serde_json::from_str(&provider.ledger().message_to(&people::address(1))).unwrap();
        assert_eq!(request["text"], request["unsubscribe_url"], "{request}");
        assert!(request["unsubscribe_url"].as_str().unwrap().starts_with("https://mail.example.com/news/u/"), "{request}");
        assert!(request["list_id"].as_str().unwrap().ends_with(".mail.example.com"), "{request}");
        volley.stop();
    }

    fn a_message_that_is_tried_again_has_the_links_of_the_first_try(db: &Database) {
        let relay = ScriptedSmtp::at(Moment::Final, Act::Say("451 4.3.0 later"));
        let pool = || Pool::smtp(POOL, &relay).set("retry_delays", "[\"50ms\"]");
        let builder = || Volley::on(db).settings(SETTINGS).pool(pool());
        let mut volley = builder().start();
        let api = volley.api();
        let list = api.a_list_of(1);
        let campaign = api.create_campaign("email", POOL, list, &json!({ "subject": "s", "body_text": CONTENT }));
        api.send(campaign);
        wait_until("the first try was refused", LONG, || {
            db.number("SELECT count(*) AS n FROM deliveries WHERE attempts > 0") == 1
        });
        let first = kept_content(db);
        volley.kill_9();
        relay.play("");
        let volley = builder().amend("https://mail.example.com/news/", "https://elsewhere.example.com/").start();
        volley.api().wait_ended(campaign, LONG);
        let message = relay.ledger().message_to(&people::address(1));
        assert!(header(&message, "List-Unsubscribe").starts_with("<https://mail.example.com/news/u/"), "{message}");
        assert!(text(&message).contains("https://mail.example.com/news/u/"), "{message}");
        let written = jiff::fmt::rfc2822::parse(&header(&message, "Date")).unwrap().timestamp();
        let first: jiff::Timestamp = first["written_at"].as_str().unwrap().parse().unwrap();
        assert_eq!(written.as_second(), first.as_second(), "{message}");
        volley.stop();
    }

    fn a_test_has_a_link_that_works_and_a_rotation_changes_no_launched_campaign(db: &Database) {
        let provider = Provider::smtp((0, 2));
        let volley = Volley::on(db).settings(SETTINGS).pool(provider.pool().set("rate_per_second", "2").set("burst", "1")).start();
        let api = volley.api();
        let list = api.a_list_of(4);
        let campaign = api.create_campaign("email", POOL, list, &json!({ "subject": "s", "body_text": CONTENT }));
        let contact = api.get("/v1/contacts")["data"][0]["id"].as_i64().unwrap();
        api.post(&format!("/v1/campaigns/{campaign}/test-send"), &json!({ "contact_ids": [contact] }));
        assert_eq!(provider.ledger().reached(), 1);
        api.send(campaign);
        api.wait(campaign, "one is sent", LONG, |seen| seen.stats.sent >= 1);
        let kid = |n: usize| {
            let message = provider.ledger().message_to(&people::address(n));
            header(&message, "List-Unsubscribe").rsplit('/').next().unwrap()[..4].to_owned()
        };
        db.execute("INSERT INTO link_keys (kid, secret, created_at) VALUES ('zzzz', 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 9000000000000)");
        api.wait_ended(campaign, LONG);
        let kids: BTreeSet<String> = (1..=4).map(kid).collect();
        assert_eq!(kids.len(), 1, "one campaign, one key: {kids:?}");
        let later = api.create_campaign("email", POOL, list, &json!({ "name": "L", "subject": "s", "body_text": CONTENT }));
        api.send(later);
        assert_eq!(db.number(&format!("SELECT count(*) AS n FROM campaigns WHERE id = {later} AND link_kid = 'zzzz'")), 1);
        api.wait_ended(later, LONG);
        volley.stop();
    }
}
