//! Problem documents: one for each code that a request alone can cause.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use volley::config::pools::{CallbackConfig, PoolConfig};
use volley::config::secret::Secret;
use volley::domain::callbacks::Format;
use volley::domain::channel::ChannelKind;

use super::{JSON, see};
use crate::support::Database;
use crate::support::api::id;
use crate::support::server::{Raw, Server, sandbox};

/// Codes that need more than a request: a fault, or two requests at the same moment. Other tests cause them.
const ELSEWHERE: [&str; 26] = [
    "body_incomplete",
    "body_timeout",
    "broker_unavailable",
    "changed_meanwhile",
    "contact_busy",
    "database_unavailable",
    "deliveries_archived",
    "disk_full",
    "email_fields_invalid",
    "idempotency_key_in_progress",
    "idempotency_outcome_unknown",
    "internal_error",
    "malformed",
    "pass_under_way",
    "preflight_under_way",
    "preflight_unfinished",
    "provider_unavailable",
    "rejected_rows_removed",
    "segment_building",
    "segment_in_campaigns",
    "segment_not_evaluated",
    "sender_only",
    "test_recipient_not_allowed",
    "too_many_segments",
    "too_many_streams",
    "transactional_limit",
];

/// What was collected: of each code its document.
struct Collected<'a> {
    server: &'a Server,
    problems: BTreeMap<String, Value>,
    /// What was answered otherwise than expected.
    wrong: Vec<String>,
}

impl Collected<'_> {
    fn keep(&mut self, code: &str, answer: &Raw) {
        if answer.body["code"] == code {
            assert_eq!(answer.code(), code);
            self.problems.insert(code.to_owned(), answer.body.clone());
        } else {
            self.wrong.push(format!("{code}: {} {}", answer.status, answer.head));
            self.wrong.push(answer.body.to_string().chars().take(300).collect());
        }
    }

    fn get(&mut self, code: &str, path: &str) {
        self.keep(code, &self.server.send("GET", path, &[], b""));
    }

    fn ask(&mut self, code: &str, method: &str, path: &str, body: &Value) {
        self.keep(code, &self.server.send(method, path, &[JSON], body.to_string().as_bytes()));
    }

    fn raw(&mut self, code: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        self.keep(code, &self.server.send("POST", path, headers, body));
    }
}

#[test]
fn every_code_that_a_request_can_cause() {
    let db = Database::sqlite();
    let callbacks = CallbackConfig {
        format: Format::StandardWebhooks,
        secret: Some(Secret::new("whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQh")),
        topics: Vec::new(),
    };
    let main = PoolConfig { callbacks: Some(callbacks), ..sandbox("main", ChannelKind::Email, 0.0) };
    let pools = vec![main, sandbox("texts", ChannelKind::Sms, 0.0)];
    let server = Server::with(&db, |settings| {
        settings.pools = pools;
        settings.http.max_body_bytes = 2 * 1024 * 1024;
        settings.links.require_unsubscribe = true;
        settings.email.require_postal_address = true;
        settings.email.postal_address = Some("Example Ltd, 1 High Street".to_owned());
        settings.limits.launches_per_minute = 10;
        settings.consent.require_topic = true;
    });
    let mut all = Collected { server: &server, problems: BTreeMap::new(), wrong: Vec::new() };
    requests(&mut all);
    contacts_and_files(&mut all);
    templates(&mut all);
    campaigns(&mut all);
    assert!(all.wrong.is_empty(), "{}", all.wrong.join("\n"));
    let documented: BTreeSet<String> = crate::docs::table(&crate::docs::page("docs/api-design.md"), "code")
        .into_iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    let shown: BTreeSet<String> = all.problems.keys().cloned().chain(ELSEWHERE.map(str::to_owned)).collect();
    assert_eq!(documented.difference(&shown).collect::<Vec<_>>(), Vec::<&String>::new(), "no document of these codes");
    see("problems", &json!(all.problems));
}

fn requests(all: &mut Collected<'_>) {
    let contacts = "/v1/contacts";
    all.raw("json_malformed", contacts, &[JSON], b"[]");
    all.raw("encoding", contacts, &[JSON], b"{\"email\":\"\xff\"}");
    all.raw("body_too_large", contacts, &[JSON], "x".repeat(2_200_000).as_bytes());
    all.raw("unsupported_media_type", contacts, &[("Content-Type", "text/plain")], b"{}");
    all.raw("idempotency_key_malformed", contacts, &[JSON, ("Idempotency-Key", "a b")], b"{}");
    all.get("id_malformed", "/v1/contacts/abc");
    all.get("unknown_parameter", "/v1/contacts?pgae=2");
    all.get("parameter_repeated", "/v1/contacts?page=1&page=2");
    all.get("key_in_query", "/v1/contacts?api_key=abc");
    all.get("cursor_invalid", "/v1/contacts?cursor=abc");
    all.get("out_of_range", "/v1/contacts?page_size=0");
    all.get("not_allowed", "/v1/templates?channel=fax");
    all.get("target_too_long", &format!("/v1/contacts?search={}", "x".repeat(16 * 1024)));
    let long = "x".repeat(40 * 1024);
    all.keep("headers_too_large", &all.server.send("GET", contacts, &[("X-A", &long)], b""));
    all.keep("unauthorized", &all.server.send("GET", contacts, &[("Authorization", "Bearer x")], b""));
    let short = json!({ "name": "a", "scope": "admin", "expires_at": "2100-01-01T00:00:00Z" });
    let lasting = all.server.api().post("/v1/keys", &short);
    let read = all.server.api().post("/v1/keys", &json!({ "name": "a", "scope": "read" }));
    let bearer = |key: &Value| format!("Bearer {}", key["secret"].as_str().unwrap());
    let (lasting, read) = (bearer(&lasting), bearer(&read));
    all.keep("insufficient_scope", &all.server.send("GET", "/v1/keys", &[("Authorization", &read)], b""));
    let forever = br#"{"name":"b","scope":"read"}"#;
    all.raw("key_exceeds_maker", "/v1/keys", &[JSON, ("Authorization", &lasting)], forever);
    let busy = bearer(&all.server.api().post("/v1/keys", &json!({ "name": "a", "scope": "operate" })));
    let headers = [JSON, ("Authorization", busy.as_str())];
    let send = |server: &Server| server.send("POST", "/v1/campaigns/4711/retry-failed", &headers, b"{}");
    while send(all.server).status != 429 {}
    all.keep("rate_limited", &send(all.server));
    all.get("route_not_found", "/v1/nothing");
    all.keep("method_not_allowed", &all.server.send("PUT", contacts, &[], b""));
    for (code, path) in [
        ("contact_not_found", "/v1/contacts/4711"),
        ("list_not_found", "/v1/lists/4711"),
        ("import_not_found", "/v1/imports/4711"),
        ("template_not_found", "/v1/templates/4711"),
        ("campaign_not_found", "/v1/campaigns/4711"),
        ("receipt_not_found", "/v1/pools/main/receipt"),
        ("no_broker", "/v1/dead-letters"),
    ] {
        all.get(code, path);
    }
    all.ask("pool_not_found", "POST", "/v1/pools/nowhere/suspend", &json!({ "reason": "a test" }));
    all.ask("key_not_found", "DELETE", "/v1/keys/4711", &json!({}));
    all.ask("required", "POST", "/v1/lists", &json!({}));
    all.ask("unknown_field", "POST", "/v1/lists", &json!({ "name": "a", "colour": "red" }));
    all.ask("wrong_type", "POST", "/v1/lists", &json!({ "name": 5 }));
    all.ask("too_long", "POST", "/v1/lists", &json!({ "name": "x".repeat(201) }));
    all.ask("control_character", "POST", "/v1/lists", &json!({ "name": "a\u{202e}b" }));
    let list = all.server.api().create_list("Customers");
    assert_eq!(list, 1);
    all.ask("list_name_taken", "POST", "/v1/lists", &json!({ "name": "Customers" }));
    all.ask("slug_invalid", "POST", "/v1/lists", &json!({ "name": "a", "slug": "1" }));
    let both = json!({ "name": "a", "default_opt_in": true, "double_opt_in": true });
    all.ask("opt_in_conflict", "POST", "/v1/lists", &both);
    let segment = |name: &str, criteria: &Value| json!({ "name": name, "criteria": criteria });
    all.server.api().post("/v1/segments", &segment("VIPs", &json!({ "tag": "vip" })));
    all.server.api().post("/v1/segments", &segment("Other", &json!({ "segment": "vips" })));
    all.ask("segment_circle", "PATCH", "/v1/segments/1", &json!({ "criteria": { "segment": 2 } }));
    all.ask("segment_in_use", "DELETE", "/v1/segments/1", &json!({}));
    all.ask("entry_period_invalid", "PATCH", "/v1/segments/1", &json!({ "entry_period": "30d" }));
    all.ask("reaction_invalid", "PATCH", "/v1/segments/1", &json!({ "reactions": [{ "on": "entered", "do": [] }] }));
    let reaction = |id: i64, state: &str, segment: &str| {
        format!(
            "INSERT INTO reactions_due (id, kind, shard, segment_id, key, event, at, depth, target, content, state, attempts, due_at, created_at) \
             VALUES ({id}, 'call', 0, {segment}, 'a', 'segment.left', 0, 0, 'crm', '{{}}', '{state}', 3, 0, 0)"
        )
    };
    all.server.execute(reaction(901, "waiting", "NULL"));
    all.server.execute(reaction(902, "failed", "99"));
    all.ask("reaction_not_failed", "POST", "/v1/reactions/901/retry", &json!({}));
    all.ask("segment_disabled", "POST", "/v1/reactions/902/retry", &json!({}));
    let change = reaction(903, "failed", "1").replace("'call'", "'changes'").replace("'crm'", "NULL");
    all.server.execute(change);
    all.server.execute("UPDATE reactions_due SET contact_id = 1 WHERE id = 903".to_owned());
    all.server.execute(
        "INSERT INTO segment_transitions (segment_id, contact_id, epoch, kind, ordinal, at, source, emit) VALUES (1, 1, 1, 'left', 0, 1, 'change', TRUE)".to_owned(),
    );
    all.ask("reaction_overtaken", "POST", "/v1/reactions/903/retry", &json!({}));
    let both = json!({ "contact_id": 1, "email": "ann@example.com" });
    all.ask("members_ambiguous", "POST", "/v1/lists/1/subscribe", &both);
    let event = |name: &str, key: &str, properties: &Value| json!({ "name": name, "email": "ann@example.com", "key": key, "properties": properties });
    all.ask("event_name_invalid", "POST", "/v1/events", &event("Order placed", "k", &json!({})));
    all.ask("event_key_invalid", "POST", "/v1/events", &event("order_placed", "a key", &json!({})));
    let deep = json!({ "1": { "2": { "3": { "4": { "5": {} } } } } });
    all.ask("properties_too_deep", "POST", "/v1/events", &event("order_placed", "k", &deep));
    all.raw("idempotency_key_not_taken", "/v1/events/batch", &[JSON, ("Idempotency-Key", "k")], br#"{"events":[{}]}"#);
    let first = event("order_placed", "k", &json!({})).to_string();
    assert_eq!(all.server.send("POST", "/v1/events", &[JSON], first.as_bytes()).status, 202);
    all.raw("callback_unverified", "/v1/callbacks/main", &[JSON], b"{}");
    let done = "INSERT INTO callbacks (pool, format, content_type, key, received_at, state, attempts, next_attempt_at) \
                VALUES ('main', 'standard-webhooks', '', 'a', 0, 'done', 0, 0)";
    all.server.execute(done.to_owned());
    all.ask("callback_not_failed", "POST", "/v1/callbacks/1/replay", &json!({}));
    all.ask("event_key_reused", "POST", "/v1/events", &event("order_paid", "k", &json!({})));
    let criteria = json!({ "criteria": { "all": [{ "event": { "name": "order_placed", "within": 30 } }] } });
    all.ask("criteria_invalid", "POST", "/v1/segments/estimate", &criteria);
    all.ask("tag_invalid", "POST", "/v1/contacts/1/tags", &json!({ "add": ["a,b"] }));
    let key = [JSON, ("Idempotency-Key", "k")];
    assert_eq!(all.server.send("POST", "/v1/lists", &key, br#"{"name":"News"}"#).status, 201);
    all.raw("idempotency_key_reused", "/v1/lists", &key, br#"{"name":"Other"}"#);
}

fn contacts_and_files(all: &mut Collected<'_>) {
    let refused = |all: &mut Collected<'_>, code: &str, body: &Value| all.ask(code, "POST", "/v1/contacts", body);
    refused(all, "no_key", &json!({ "first_name": "Ann" }));
    refused(all, "validation_failed", &json!({ "email": "a@", "phone": "+", "timezone": "Mars/X" }));
    refused(all, "email_invalid", &json!({ "email": "a@" }));
    refused(all, "email_too_long", &json!({ "email": format!("{}@example.com", "a".repeat(65)) }));
    refused(all, "email_unsupported", &json!({ "email": "j\u{fc}rgen@example.com" }));
    refused(all, "phone_invalid", &json!({ "phone": "+49abc" }));
    refused(all, "phone_region_needed", &json!({ "phone": "0612345678" }));
    refused(all, "phone_scientific", &json!({ "phone": "1.23457E+11" }));
    refused(all, "timezone_invalid", &json!({ "email": "a@b.example", "timezone": "Mars/X" }));
    refused(all, "locale_invalid", &json!({ "email": "a@b.example", "locale": "no language" }));
    refused(all, "field_too_long", &json!({ "email": "a@b.example", "first_name": "x".repeat(256) }));
    let attribute = |name: &str, value: Value| json!({ "email": "a@b.example", "attributes": { name: value } });
    refused(all, "attribute_name", &attribute("***", json!(1)));
    refused(all, "attribute_reserved", &attribute("First Name", json!(1)));
    refused(all, "attribute_too_long", &attribute("a", json!("x".repeat(5_000))));
    let twice = json!({ "email": "a@b.example", "attributes": { "Tier": 1, "tier": 2 } });
    refused(all, "attribute_duplicate", &twice);
    let ann = json!({ "external_id": "a", "email": "ann@example.com" });
    assert_eq!(id(&all.server.api().post("/v1/contacts", &ann)), 1);
    assert_eq!(id(&all.server.api().post("/v1/contacts", &json!({ "email": "bob@example.com" }))), 2);
    refused(all, "contact_conflict", &json!({ "external_id": "a", "email": "bob@example.com" }));
    for (code, csv) in [
        ("csv_empty", String::new()),
        ("no_key_column", "name,city\nAnn,Bonn\n".to_owned()),
        ("duplicate_column", "email,Email\na@b.example,c@d.example\n".to_owned()),
        ("column_name", "email,***\n".to_owned()),
        ("not_text", "PK\u{3}\u{4}a workbook".to_owned()),
        ("not_lines", "[{\"email\": 1}]".to_owned()),
    ] {
        all.raw(code, "/v1/contacts/import", &[("Content-Type", "text/csv")], csv.as_bytes());
    }
    all.raw("jsonl_no_object", "/v1/contacts/import", &[("Content-Type", "application/x-ndjson")], b"[1]\n2\n");
}

fn templates(all: &mut Collected<'_>) {
    let email =
        |subject: &str, text: &str| json!({ "name": "t", "channel": "email", "subject": subject, "body_text": text });
    let refused = |all: &mut Collected<'_>, code: &str, body: &Value| all.ask(code, "POST", "/v1/templates", body);
    refused(all, "unknown_placeholder", &email("s", "one\n {nickname}"));
    refused(all, "placeholder_malformed", &email("s", "Hi *|FNAME|*"));
    refused(all, "template_syntax", &email("s", "Dear {% if first_name %}you"));
    refused(all, "template_too_long", &email("s", &"x".repeat(1_100_000)));
    refused(
        all,
        "template_too_heavy",
        &email("s", "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}"),
    );
    refused(all, "subject_required", &email(" ", "b"));
    refused(all, "subject_too_long", &email(&"s".repeat(2_000), "b"));
    refused(all, "body_required", &email("s", " "));
    let mut endless = email("s", "b");
    endless["literal"] = json!(["{% raw %}"]);
    refused(all, "literal_invalid", &endless);
    let with_html = json!({ "name": "t", "channel": "sms", "body_text": "b", "body_html": "<p>" });
    refused(all, "html_not_allowed", &with_html);
    let with = |field: &str, value: Value| {
        let mut body = email("s", "b");
        body[field] = value;
        body
    };
    refused(all, "reply_to_invalid", &with("reply_to", json!("help")));
    let campaign = |field: &str, value: Value| json!({ "name": "c", "channel": "email", field: value });
    all.ask("from_invalid", "POST", "/v1/campaigns", &campaign("from", json!("shop")));
    all.ask("props_invalid", "POST", "/v1/campaigns", &campaign("props", json!({ "A": 1 })));
    refused(all, "header_name", &with("headers", json!({ "X Campaign": "spring" })));
    refused(all, "header_reserved", &with("headers", json!({ "Bcc": "ann@example.com" })));
    refused(all, "file_not_found", &with("attachments", json!([{ "file_id": 4711 }])));
    refused(all, "content_id_invalid", &with("attachments", json!([{ "file_id": 1, "content_id": "a b" }])));
    all.raw("file_name", "/v1/files?name=", &[("Content-Type", "application/pdf")], b"x");
    let file = id(&all.server.send("POST", "/v1/files?name=a.pdf", &[("Content-Type", "application/pdf")], b"x").body);
    let body = with("attachments", json!([{ "file_id": file }]));
    all.server.api().post("/v1/templates", &body);
    all.ask("file_in_use", "DELETE", &format!("/v1/files/{file}"), &json!({}));
    let text = json!({ "name": "t", "channel": "sms", "body_text": "b", "reply_to": "help@example.com" });
    refused(all, "not_of_channel", &text);
    let api = all.server.api();
    let template = api.create_template("email", "{first_name}", "b");
    let path = format!("/v1/templates/{template}");
    let as_text = json!({ "name": "t", "channel": "sms", "body_text": "b" });
    all.ask("channel_fixed", "PUT", &path, &as_text);
    all.get("template_version_not_found", &format!("{path}?version=9"));
    all.ask("render_failed", "POST", &format!("{path}/preview"), &json!({ "contact_id": 2 }));
}

fn campaigns(all: &mut Collected<'_>) {
    let api = all.server.api();
    let texts = id(&api.post("/v1/templates", &json!({ "name": "t", "channel": "sms", "body_text": "b" })));
    let fields = |more: Value| {
        let mut body = json!({
            "name": "Spring", "channel": "email", "pool": "main", "subject": "s", "body_text": "b",
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let refused =
        |all: &mut Collected<'_>, code: &str, more: Value| all.ask(code, "POST", "/v1/campaigns", &fields(more));
    refused(all, "invalid", json!({ "retry_for": -1 }));
    refused(all, "pool_missing", json!({ "pool": "nowhere" }));
    refused(all, "content_ambiguous", json!({ "template_id": texts }));
    refused(all, "channel_mismatch", json!({ "template_id": texts, "subject": null, "body_text": null }));
    refused(all, "audience_required", json!({ "audience": {} }));
    refused(all, "tag_not_found", json!({ "audience": { "tags": ["nobody"] } }));
    refused(
        all,
        "category_of_template",
        json!({ "template_id": texts, "category": "transactional", "subject": null, "body_text": null }),
    );
    let past = json!({ "scheduled_at": "2020-01-01T00:00:00Z", "audience": { "all": true } });
    refused(all, "schedule_out_of_range", past);
    let bare = json!({ "name": "Bare", "channel": "email", "pool": "main", "audience": { "all": true } });
    let bare = id(&api.post("/v1/campaigns", &bare));
    all.ask("template_required", "POST", &format!("/v1/campaigns/{bare}/send"), &json!({}));
    let nothing = json!({ "name": "Nothing", "channel": "email", "pool": "main", "subject": "s", "body_text": "b", "audience": { "all": true } });
    let nothing = id(&api.post("/v1/campaigns", &nothing));
    all.ask("topic_required", "POST", &format!("/v1/campaigns/{nothing}/send"), &json!({}));
    let resolve = format!("/v1/campaigns/{nothing}/deliveries/resolve");
    let named = json!({ "as": "sent", "message_ids": ["<0123456789abcdef01234567-1@example.com>"] });
    all.ask("message_id_invalid", "POST", &resolve, &named);
    let noted = json!({ "as": "sent", "evidence": { "note": "ann@example.com has told us" } });
    all.ask("names_somebody", "POST", &resolve, &noted);

    for (code, text) in [("unsubscribe_missing", "b"), ("postal_address_missing", "{{ unsubscribe_url }}")] {
        let lacks = id(&api.post("/v1/campaigns", &fields(json!({ "body_text": text, "audience": { "lists": [1] } }))));
        all.ask(code, "POST", &format!("/v1/campaigns/{lacks}/send"), &json!({}));
    }
    let template = api.create_template("email", "s", "{{ unsubscribe_url }} {{ postal_address }}");
    let open = json!({ "name": "Open", "channel": "email", "pool": "main", "template_id": template, "audience": { "lists": [1] } });
    let open = id(&api.post("/v1/campaigns", &open));
    let path = format!("/v1/campaigns/{open}");
    all.ask("preflight_outdated", "POST", &format!("{path}/send"), &json!({ "preflight": "0" }));
    all.ask("recipients_required", "POST", &format!("{path}/send"), &json!({ "contact_ids": [] }));
    all.ask("invalid_transition", "POST", &format!("{path}/pause"), &json!({}));
    // A suspended pool keeps the campaign open.
    api.post("/v1/lists/1/members", &json!({ "contact_ids": [1] }));
    api.post("/v1/pools/main/suspend", &json!({ "reason": "a test" }));
    api.send(open);
    api.wait(open, "it is packed", Duration::from_secs(60), |seen| seen.stats.total == 1);
    all.ask("campaign_not_editable", "PATCH", &path, &json!({ "name": "Late" }));
    all.ask("campaign_active", "DELETE", &path, &json!({}));
    all.ask("list_in_use", "DELETE", "/v1/lists/1", &json!({}));
    all.ask("template_in_use", "DELETE", &format!("/v1/templates/{template}"), &json!({}));
}
