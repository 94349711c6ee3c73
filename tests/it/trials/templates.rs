//! What people paste into templates: it is filled in, stays what it is, or is refused with the place and what to write. The rows are those
//! that came out wrong before.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::Database;
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::server::Server;
use crate::support::volley::{Pool, Volley};

/// Long enough for a campaign to one person.
const LIMIT: Duration = Duration::from_secs(60);

/// Saves a template with this text, or with this HTML: the answer's status, and the first error.
fn save(server: &Server, text: &str, html: Option<&str>) -> (u16, String, String) {
    let mut body = json!({ "name": "t", "channel": "email", "subject": "s", "body_text": text });
    if let Some(html) = html {
        body["body_html"] = html.into();
    }
    let answer = server.api().try_post("/v1/templates", &body).expect("an answer");
    let error = &answer.body["errors"][0];
    let said = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
    (answer.status, said("code"), said("reason"))
}

#[track_caller]
fn refused(server: &Server, text: &str, words: &str) {
    let (status, code, reason) = save(server, text, None);
    assert_eq!((status, code.as_str()), (422, "placeholder_malformed"), "{text}: {reason}");
    assert!(reason.contains(words) && reason.starts_with("line 1, column "), "{text}: {reason}");
}

#[test]
fn tpl_json_ld_is_saved_unchanged_and_a_literal_brace_can_be_written() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let html = "<script type=\"application/ld+json\">{\"@type\":\"WebSite\",\"target\":\"https://a.example/?q={b}\",\"c\":{\"d\":1}}</script>\
                <p>Hello</p>";
    assert_eq!(save(&server, "t", Some(html)).0, 201);
    let saved = server.api().get("/v1/templates/1");
    assert_eq!(saved["body_html"], html);
    let contact = server.api().post("/v1/contacts", &json!({ "email": "ann@example.com" }))["id"].clone();
    let seen = server.api().post("/v1/templates/1/preview", &json!({ "contact_id": contact }));
    assert_eq!(seen["body_html"], html);
    let (_, code, reason) = save(&server, "https://a.example/?q={query}", None);
    assert_eq!(code, "unknown_placeholder");
    assert!(reason.contains("{% raw %}"), "{reason}");
    assert_eq!(save(&server, "https://a.example/?q={% raw %}{query}{% endraw %}", None).0, 201);
}

#[test]
fn tpl_mailchimp_mautic_and_an_unclosed_brace_are_refused_with_what_to_write() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    refused(&server, "Hi *|FNAME|*", "a merge tag of Mailchimp and is not filled in. Write {first_name}");
    refused(&server, "Hi {contactfield=firstname}", "Write {first_name}");
    refused(&server, "Dear FirstName, hello", "where a person is addressed and is not filled in. Write {first_name}");
    refused(&server, "Hi {first_name))", "whose brace is not closed and is not filled in. Write {first_name}");
    let preview = json!({ "channel": "email", "subject": "s", "body_text": "Hi {first_name))" });
    let answer = server.api().try_post("/v1/content/preview", &preview).expect("an answer");
    assert_eq!(answer.status, 422, "the preview says so, too: {}", answer.body);
}

#[test]
fn tpl_spaces_are_rendered_or_refused() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let ann = json!({ "email": "ann@example.com", "first_name": "Ann", "attributes": { "Loyalty Tier": "gold" } });
    let contact = server.api().post("/v1/contacts", &ann)["id"].clone();
    for (source, text) in [
        ("{ first_name }", "Ann"),
        ("{first_name | there}", "Ann"),
        ("{First Name}", "Ann"),
        ("{first-name}", "Ann"),
        ("{loyalty tier}", "gold"),
        ("{{ attributes[\"Loyalty tier\"] }}", "gold"),
    ] {
        let preview = json!({ "channel": "email", "subject": "s", "body_text": source, "contact_id": contact });
        assert_eq!(server.api().post("/v1/content/preview", &preview)["body_text"], text, "{source}");
    }
    for source in ["{first_name|there", "{first_name,x}", "{first_name?}", "{first_name|{last_name}}"] {
        refused(&server, source, "Write {first_name}");
    }
}

#[test]
fn tpl_go_range_is_refused() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    refused(&server, "<<{{range .X}}>>", "an action of Go's templates, as in listmonk");
}

#[test]
fn tpl_bare_cr_lf_and_the_line_ends_of_word_processors_become_line_breaks() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let (status, _, reason) = save(&server, "a\u{c}b\u{b}c\u{85}d\u{2028}e\rf\r\ng\th", None);
    assert_eq!(status, 201, "{reason}");
    assert_eq!(server.api().get("/v1/templates/1")["body_text"], "a\nb\nc\nd\ne\rf\r\ng\th");
    let (_, code, reason) = save(&server, "a\nb\u{8}", None);
    assert_eq!(
        (code.as_str(), reason.as_str()),
        ("control_character", "has a control character, U+0008, at line 2, column 2")
    );
}

#[test]
fn what_may_be_better_is_said_and_not_refused() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let html = "<img src=\"https://a.example/a.png\"><a href=\"http://a.example/\">a</a>";
    let body = json!({ "name": "t", "channel": "email", "subject": "s", "body_html": html });
    let codes = |answer: &Value| {
        let warnings = answer["warnings"].as_array().cloned().unwrap_or_default();
        warnings.iter().map(|warning| warning["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let both = ["image_without_alt", "link_without_https"];
    assert_eq!(codes(&server.api().post("/v1/templates", &body)), both);
    let preview = json!({ "channel": "email", "subject": "s", "body_html": html });
    let preview = server.api().post("/v1/content/preview", &preview);
    assert_eq!(codes(&preview), both);
    assert_eq!(preview["body_text"], "a (http://a.example/)\n");
}

#[test]
fn a_template_from_before_can_be_read_and_is_refused_at_launch() {
    let db = Database::sqlite();
    let volley = Volley::on(&db).pool(Pool::sandbox("a", "email")).start();
    let api = volley.api();
    let list = api.a_list_of(1);
    let campaign = api.create_campaign("email", "a", list, &json!({}));
    db.execute("UPDATE template_versions SET body_text = 'Hi *|FNAME|*'");
    assert_eq!(api.get(&format!("/v1/campaigns/{campaign}"))["body_text"], "Hi *|FNAME|*");
    let answer = api.try_post(&format!("/v1/campaigns/{campaign}/send"), &json!({})).expect("an answer");
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(answer.body.to_string().contains("a merge tag of Mailchimp"), "{}", answer.body);
    assert_eq!(api.campaign(campaign).stats.sent, 0);
    volley.stop();
}

/// Sends an email with this content to one person; what the relay took.
fn on_the_wire(content: &Value) -> String {
    let db = Database::sqlite();
    let relay = ScriptedSmtp::start(|_| None);
    let volley = Volley::on(&db).pool(Pool::smtp_at("a", relay.port())).start();
    let api = volley.api();
    let campaign = api.create_campaign("email", "a", api.a_list_of(1), content);
    api.send(campaign);
    api.wait_ended(campaign, LIMIT);
    volley.stop();
    let mut taken = relay.taken();
    assert_eq!(taken.len(), 1);
    taken.remove(0).content
}

#[test]
fn tpl_html_only_travels_with_a_text_made_from_it_and_text_only_as_one_part() {
    let html = "<h1>Hello</h1><p>See <a href=\"https://shop.example/\">the shop</a></p>";
    let content = on_the_wire(&json!({ "body_text": "", "body_html": html }));
    assert!(content.contains("multipart/alternative"), "{content}");
    assert!(content.contains("Hello\r\n\r\nSee the shop (https://shop.example/)"), "{content}");
    let content = on_the_wire(&json!({ "body_text": "Hello" }));
    assert!(content.contains("Content-Type: text/plain") && !content.contains("multipart"), "{content}");
}

#[test]
fn tpl_subject_long_ascii_is_folded_in_encoded_words() {
    let content = on_the_wire(&json!({ "subject": "x".repeat(998), "body_text": "Hello" }));
    assert!(content.lines().all(|line| line.len() <= 78), "{content}");
    assert!(content.contains("Subject: =?utf-8?B?eHh4"), "{content}");
}

#[test]
fn what_is_named_in_literal_is_sent_as_it_is_written() {
    let literal = json!(["[Email]", "*|FNAME|*", "{id}"]);
    let words = "[Email] course: https://a.example/{id} *|FNAME|* for {first_name|you}";
    let content = json!({ "subject": "s", "body_text": words, "literal": literal });
    let wire = on_the_wire(&content);
    assert!(wire.contains("[Email] course: https://a.example/{id} *|FNAME|* for "), "{wire}");
    assert!(!wire.contains("first_name"), "{wire}");

    let db = Database::sqlite();
    let server = Server::on(&db);
    let api = server.api();
    let template = json!({ "name": "t", "channel": "email", "subject": "s", "body_text": words });
    let answer = api.try_post("/v1/templates", &template).expect("an answer");
    assert_eq!((answer.status, answer.body["errors"][0]["code"].as_str()), (422, Some("placeholder_malformed")));
    let reason = answer.body["errors"][0]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("or name it in literal"), "{reason}");
    let mut template = template;
    template["literal"] = literal.clone();
    let saved = api.post("/v1/templates", &template);
    assert_eq!((&saved["literal"], &saved["version"]), (&literal, &json!(1)));
    let patch = |body: Value| {
        let body = Some(body.to_string().into_bytes());
        api.request(Method::PATCH, "/v1/templates/1", "application/json", body, &[]).unwrap()
    };
    let patched = patch(json!({ "literal": ["[Email]"] }));
    assert_eq!(patched.status, 422, "what is not named any more is refused: {}", patched.body);
    let patched = patch(json!({ "body_text": "[Email] course", "literal": ["[Email]"] }));
    assert_eq!((patched.status, &patched.body["version"]), (200, &json!(2)), "{}", patched.body);
    let preview = json!({ "channel": "sms", "body_text": "Use {id}", "literal": ["{id}"] });
    assert_eq!(api.post("/v1/content/preview", &preview)["body_text"], "Use {id}");
    for wrong in [json!(["{% endraw %}"]), json!([""]), json!(["a\nb"])] {
        let answer = patch(json!({ "literal": wrong }));
        let error = &answer.body["errors"][0];
        assert_eq!((error["field"].as_str(), error["code"].as_str()), (Some("/literal/0"), Some("literal_invalid")));
    }
}
