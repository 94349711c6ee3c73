//! What a marketing email must carry, or it is not sent.

use serde_json::{Value, json};

use super::{LONG, ask, assert_refused, draft, people, pools};
use crate::support::api::{Campaign, id};
use crate::support::server::{Server, sandbox};
use crate::support::{Database, both_backends};
use volley::domain::channel::ChannelKind;

const LINK: &str = "{{ unsubscribe_url }}";
const ADDRESS: &str = "{{ postal_address }}";

fn strict(db: &Database, postal_address: Option<&str>) -> Server {
    Server::with(db, |settings| {
        settings.pools = pools();
        settings.pools.push(sandbox("api", ChannelKind::Http, 0.0));
        settings.links.require_unsubscribe = true;
        settings.email.require_postal_address = true;
        settings.email.postal_address = postal_address.map(str::to_owned);
    })
}

fn all(text: &str, html: Option<&str>) -> Value {
    json!({ "body_text": text, "body_html": html, "audience": { "all": true } })
}

both_backends! {
    fn a_marketing_email_without_a_link_or_an_address_is_not_launched(db: &Database) {
        let server = strict(db, Some("Example Ltd, 1 High Street"));
        let api = server.api();
        people(&api, 1);
        let both = format!("{LINK} {ADDRESS}");
        for (text, html, code, field) in [
            ("Hello", None, "unsubscribe_missing", "/body_text"),
            ("{{ preferences_url }} {{ postal_address }}", None, "unsubscribe_missing", "/body_text"),
            (LINK, None, "postal_address_missing", "/body_text"),
            (both.as_str(), Some("<p>Hello</p>"), "unsubscribe_missing", "/body_html"),
            (both.as_str(), Some(LINK), "postal_address_missing", "/body_html"),
            ("Hello", Some(both.as_str()), "unsubscribe_missing", "/body_text"),
        ] {
            let campaign = draft(&api, &all(text, html));
            let path = format!("/v1/campaigns/{campaign}");
            let refused = ask(&server, "POST", &format!("{path}/send"), &json!({}));
            assert_refused(&refused, 422, code);
            assert_eq!(refused.field(), field, "{text} {html:?}");
            let at = json!({ "scheduled_at": "2040-01-01T00:00:00Z" });
            let scheduled = ask(&server, "POST", &format!("{path}/schedule"), &at);
            assert_eq!(scheduled.status, 422, "{scheduled:?}");
            assert_eq!(api.get(&path)["status"], "draft", "nothing is stored");
        }
        for (text, html) in [(both.as_str(), None), (both.as_str(), Some(both.as_str())), ("", Some(both.as_str()))] {
            let campaign = draft(&api, &all(text, html));
            api.send(campaign);
            api.wait(campaign, "it ends", LONG, Campaign::is_ended);
        }
    }
}

#[test]
fn what_is_no_email_needs_neither() {
    let db = Database::sqlite();
    let server = strict(&db, None);
    let api = server.api();
    api.post("/v1/contacts", &json!({ "email": "ann@example.com", "phone": "+442079460000" }));
    for channel in ["sms", "http"] {
        let body = json!({ "name": "T", "channel": channel, "body_text": "Hi", "audience": { "all": true } });
        let campaign = id(&api.post("/v1/campaigns", &body));
        api.send(campaign);
        api.wait(campaign, "it ends", LONG, Campaign::is_ended);
    }
}

#[test]
fn an_address_that_nobody_has_set_is_named() {
    let db = Database::sqlite();
    let server = strict(&db, None);
    let api = server.api();
    let campaign = draft(&api, &all(&format!("{LINK} {ADDRESS}"), None));
    let refused = ask(&server, "POST", &format!("/v1/campaigns/{campaign}/send"), &json!({}));
    assert_refused(&refused, 422, "postal_address_missing");
    assert!(refused.body["errors"][0]["reason"].as_str().unwrap().contains("email.postal_address"), "{refused:?}");
}

#[test]
fn without_a_public_address_there_are_no_links() {
    let db = Database::sqlite();
    let server = Server::with(&db, |settings| {
        settings.pools = pools();
        settings.http.addr = "0.0.0.0:0".to_owned();
        settings.links.require_unsubscribe = true;
    });
    let api = server.api();
    people(&api, 1);
    let campaign = draft(&api, &all(LINK, None));
    let refused = ask(&server, "POST", &format!("/v1/campaigns/{campaign}/send"), &json!({}));
    assert_refused(&refused, 422, "unsubscribe_missing");
    assert!(refused.body["errors"][0]["reason"].as_str().unwrap().contains("links.public_url"), "{refused:?}");
}

#[test]
fn a_preview_shows_links_that_lead_nowhere() {
    let db = Database::sqlite();
    let server = strict(&db, Some("Example Ltd, 1 High Street"));
    let api = server.api();
    let ann = people(&api, 1)[0];
    let text = format!("{LINK} {{{{ preferences_url }}}} {ADDRESS}");
    let campaign = draft(&api, &json!({ "body_text": text }));
    let shown = api.post(&format!("/v1/campaigns/{campaign}/personalized-preview"), &json!({ "contact_id": ann }));
    let message = shown["rendered_message"].as_str().unwrap();
    assert!(message.contains("/u/preview ") && message.contains("/preferences/preview "), "{message}");
    assert!(message.ends_with("Example Ltd, 1 High Street"), "{message}");
    assert_eq!((&shown["missing"], &shown["unknown"]), (&json!([]), &json!([])));
    let template = api.create_template("email", "s", &text);
    let shown = api.post(&format!("/v1/templates/{template}/preview"), &json!({ "contact_id": ann }));
    assert!(shown["body_text"].as_str().unwrap().contains("/u/preview"), "{shown}");
}
