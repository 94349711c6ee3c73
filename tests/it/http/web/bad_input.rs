//! The catalogue of bad input: what was sent, what must be answered. Nothing of it may be stored.

use diesel::prelude::*;
use serde_json::json;

use crate::support::Database;
use crate::support::server::{Raw, Server};
use volley::store::StoreError;

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    rows: i64,
}

/// Rows in every table that these routes write.
fn rows(server: &Server) -> i64 {
    server.ask(|conn| {
        let query = "SELECT (SELECT COUNT(*) FROM contacts) + (SELECT COUNT(*) FROM lists) + (SELECT COUNT(*) FROM \
                     list_members) + (SELECT COUNT(*) FROM templates) + (SELECT COUNT(*) FROM template_versions) + \
                     (SELECT COUNT(*) FROM imports) + (SELECT COUNT(*) FROM attribute_keys) + (SELECT COUNT(*) FROM \
                     idempotency_keys) AS rows";
        diesel::sql_query(query).get_result::<Count>(conn).map(|count| count.rows).map_err(StoreError::query("count"))
    })
}

#[track_caller]
fn assert_refused(answer: &Raw, status: u16, code: &str, field: &str, what: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{what}: {answer:?}");
    assert_eq!(answer.field(), field, "{what}: {answer:?}");
}

#[test]
fn bodies_that_cannot_be_read() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let before = rows(&server);
    let deep = format!("{{\"email\":\"a@b.example\",\"attributes\":{}", "{\"a\":".repeat(10_000));
    let many_keys = (0..30_000).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",");
    let many_keys = format!("{{\"email\":\"a@b.example\",\"attributes\":{{{many_keys}}}}}");
    let many_keys = &many_keys.as_bytes()[..200_000];
    let large = format!("{{\"email\":\"{}\"}}", "x".repeat(300_000));
    for (what, body, status, code, field) in [
        ("nothing, which is {}", &b""[..], 422, "no_key", ""),
        ("null", b"null", 400, "json_malformed", ""),
        ("an array", b"[]", 400, "json_malformed", ""),
        ("a trailing comma", b"{\"email\":\"a@b.example\",}", 400, "json_malformed", ""),
        ("NaN", b"{\"email\":NaN}", 400, "json_malformed", ""),
        ("a comment", b"{/* */}", 400, "json_malformed", ""),
        ("a duplicate key", b"{\"email\":\"a@b.example\",\"email\":\"c@d.example\"}", 400, "json_malformed", ""),
        ("depth 10,000", deep.as_bytes(), 400, "json_malformed", ""),
        ("a cut body", many_keys, 400, "json_malformed", ""),
        ("300 kB", large.as_bytes(), 413, "body_too_large", ""),
        ("a lone surrogate", br#"{"email":"\ud800"}"#, 400, "encoding", ""),
        ("invalid UTF-8", b"{\"email\":\"\xff\"}", 400, "encoding", ""),
        ("overlong UTF-8", b"{\"email\":\"\xc0\xaf\"}", 400, "encoding", ""),
        ("an unknown field", br#"{"email":"a@b.example","is_admin":true}"#, 422, "unknown_field", "/is_admin"),
        ("a number for text", br#"{"email":5}"#, 422, "wrong_type", "/email"),
        ("an array for an object", br#"{"email":"a@b.example","attributes":[]}"#, 422, "wrong_type", "/attributes"),
    ] {
        assert_refused(&server.send("POST", "/v1/contacts", &[JSON], body), status, code, field, what);
    }
    for (body, field) in [
        (r#"{"contact_ids":[1,"2"]}"#, "/contact_ids/1"),
        (r#"{"contact_ids":[0.1]}"#, "/contact_ids/0"),
        (r#"{"contact_ids":[-0]}"#, "/contact_ids/0"),
    ] {
        let answer = server.send("POST", "/v1/lists/1/members", &[JSON], body.as_bytes());
        assert_refused(&answer, 422, "wrong_type", field, body);
    }
    assert_eq!(rows(&server), before);
}

#[test]
fn heads_that_are_too_large() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let target = |bytes: usize| format!("/v1/contacts?search={}", "x".repeat(bytes));
    let long = "x".repeat(64 * 1024);
    let many: Vec<(String, &str)> = (0..60).map(|n| (format!("X-{n}"), &long[..1000])).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    for (what, answer, status, code) in [
        ("16 KiB of target", server.send("GET", &target(16 * 1024), &[], b""), 414, "target_too_long"),
        ("a header of 64 KiB", server.send("GET", "/v1/contacts", &[("X-A", &long)], b""), 431, "headers_too_large"),
        ("60 headers of 1 kB", server.send("GET", "/healthz", &many, b""), 431, "headers_too_large"),
    ] {
        assert_refused(&answer, status, code, "", what);
    }
    // Refused by the HTTP server itself, which knows no problem documents.
    let too_many: Vec<(String, &str)> = (0..500).map(|n| (format!("X-{n}"), "x")).collect();
    let too_many: Vec<(&str, &str)> = too_many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(server.send("GET", "/healthz", &too_many, b"").status, 431);
    let longest = "x".repeat(130 * 1024);
    assert_eq!(server.send("GET", "/healthz", &[("X-A", &longest)], b"").status, 431);
    assert_eq!(server.send("GET", &target(66_000), &[], b"").status, 400);
}

#[test]
fn bodies_of_another_kind() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let body = br#"{"email":"a@b.example"}"#;
    let two = [JSON, JSON];
    for (what, headers) in [
        ("none", &[][..]),
        ("text", &[("Content-Type", "text/plain")]),
        ("another charset", &[("Content-Type", "application/json; charset=latin1")]),
        ("two", &two),
        ("two in one", &[("Content-Type", "application/json, text/plain")]),
        ("packed", &[JSON, ("Content-Encoding", "gzip")]),
    ] {
        let answer = server.send("POST", "/v1/contacts", headers, body);
        assert_refused(&answer, 415, "unsupported_media_type", "", what);
    }
    assert_eq!(rows(&server), 0);
    let fine = server.send("POST", "/v1/contacts", &[("Content-Type", "Application/JSON; charset=utf-8")], body);
    assert_eq!(fine.status, 201);
}

#[test]
fn addresses_ids_and_parameters_of_nonsense() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    for id in ["0", "-1", "9223372036854775808", "abc", "{1}", "1.0", "%00", "1%27%20OR%201=1--", "550e8400-e29b-41d4"]
    {
        for path in ["/v1/contacts", "/v1/templates", "/v1/imports"] {
            assert_refused(&server.send("GET", &format!("{path}/{id}"), &[], b""), 400, "id_malformed", "", id);
        }
        // A list goes by a slug, too, and these could be one.
        let could_be = ["abc", "550e8400-e29b-41d4"].contains(&id);
        let (status, code) = if could_be { (404, "list_not_found") } else { (400, "id_malformed") };
        assert_refused(&server.send("GET", &format!("/v1/lists/{id}"), &[], b""), status, code, "", id);
    }
    for (query, code, field) in [
        ("page_size=0", "out_of_range", "page_size"),
        ("page_size=-1", "out_of_range", "page_size"),
        ("page_size=101", "out_of_range", "page_size"),
        ("page_size=1e9", "out_of_range", "page_size"),
        ("page_size=abc", "out_of_range", "page_size"),
        ("page_size=", "out_of_range", "page_size"),
        ("page=0", "out_of_range", "page"),
        ("page=9223372036854775808", "out_of_range", "page"),
        ("page=1&page=2", "parameter_repeated", "page"),
        ("pgae=2", "unknown_parameter", "pgae"),
        ("sort=password", "unknown_parameter", "sort"),
        ("page%5B%5D=1", "unknown_parameter", "page[]"),
        ("anchor=-5", "out_of_range", "anchor"),
        ("cursor=abc", "cursor_invalid", "cursor"),
        ("cursor=", "cursor_invalid", "cursor"),
    ] {
        for path in ["/v1/contacts", "/v1/lists", "/v1/templates", "/v1/imports"] {
            assert_refused(&server.send("GET", &format!("{path}?{query}"), &[], b""), 400, code, field, query);
        }
    }
    assert_refused(&server.send("GET", "/v1/contacts?search=%00", &[], b""), 400, "encoding", "search", "NUL");
    assert_refused(&server.send("GET", "/v1/contacts?search=%ff", &[], b""), 400, "encoding", "search", "not UTF-8");
    let wrong = server.send("GET", "/v1/templates?channel=fax", &[], b"");
    assert_refused(&wrong, 400, "not_allowed", "channel", "a channel that is none");
    // Injections are searched for, literally.
    server.api().post("/v1/contacts", &json!({ "email": "ann@example.com" }));
    for search in ["'%20OR%201=1--", "%25", "_", "%5C", "a%25n"] {
        let found = server.send("GET", &format!("/v1/contacts?search={search}"), &[], b"");
        assert_eq!((found.status, &found.body["pagination"]["total_count"]), (200, &json!(0)), "{search}");
    }
}

#[test]
fn contacts_that_cannot_be() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let long_local = format!("{}@example.com", "a".repeat(65));
    let long_domain = format!("a@{}example.com", "b23456789.".repeat(25));
    for (what, body, code, field) in [
        ("no key", json!({ "first_name": "Ann" }), "no_key", ""),
        ("a@", json!({ "email": "a@" }), "email_invalid", "/email"),
        ("@b", json!({ "email": "@b.example" }), "email_invalid", "/email"),
        ("a blank", json!({ "email": "a b@c.example" }), "email_invalid", "/email"),
        ("two dots", json!({ "email": "a@b..example" }), "email_invalid", "/email"),
        ("a hyphen first", json!({ "email": "a@-b.example" }), "email_invalid", "/email"),
        ("a dot first", json!({ "email": ".a@b.example" }), "email_invalid", "/email"),
        ("a display name", json!({ "email": "\"Ann\" <ann@x.example>" }), "email_invalid", "/email"),
        ("two addresses", json!({ "email": "ann@x.example,bob@x.example" }), "email_invalid", "/email"),
        ("a long local part", json!({ "email": long_local }), "email_too_long", "/email"),
        ("a long address", json!({ "email": long_domain }), "email_too_long", "/email"),
        ("an address literal", json!({ "email": "a@[127.0.0.1]" }), "email_invalid", "/email"),
        ("localhost", json!({ "email": "a@localhost" }), "email_invalid", "/email"),
        ("a header injection", json!({ "email": "a@x.example\r\nBcc: z@z.example" }), "email_invalid", "/email"),
        ("no region", json!({ "phone": "0612345678" }), "phone_region_needed", "/phone"),
        ("no such country", json!({ "phone": "+99912345678" }), "phone_invalid", "/phone"),
        ("letters", json!({ "phone": "+49abc" }), "phone_invalid", "/phone"),
        ("a plus", json!({ "phone": "+" }), "phone_invalid", "/phone"),
        ("a spreadsheet's number", json!({ "phone": "1.23457E+11" }), "phone_scientific", "/phone"),
        ("a control character", json!({ "external_id": "a\u{7}b" }), "control_character", "/external_id"),
        (
            "a long name",
            json!({ "email": "a@b.example", "first_name": "x".repeat(256) }),
            "field_too_long",
            "/first_name",
        ),
        (
            "a reserved attribute",
            json!({ "email": "a@b.example", "attributes": { "First Name": 1 } }),
            "attribute_reserved",
            "/attributes/First Name",
        ),
        (
            "an attribute without letters",
            json!({ "email": "a@b.example", "attributes": { "***": 1 } }),
            "attribute_name",
            "/attributes/***",
        ),
        (
            "a slash in an attribute",
            json!({ "email": "a@b.example", "attributes": { "a/b": "\u{0}" } }),
            "control_character",
            "/attributes/a~1b",
        ),
        (
            "a huge attribute",
            json!({ "email": "a@b.example", "attributes": { "a": "x".repeat(5000) } }),
            "attribute_too_long",
            "/attributes/a",
        ),
    ] {
        let answer = server.send("POST", "/v1/contacts", &[JSON], body.to_string().as_bytes());
        assert_refused(&answer, 422, code, field, what);
    }
    let several = json!({ "email": "a@", "phone": "+", "timezone": "Mars/X" }).to_string();
    let answer = server.send("POST", "/v1/contacts", &[JSON], several.as_bytes());
    assert_eq!((answer.status, answer.code()), (422, "validation_failed"));
    assert_eq!(answer.body["errors"].as_array().unwrap().len(), 3, "all that is wrong is said at once");
    assert_eq!(rows(&server), 0);
}

#[test]
fn templates_that_cannot_be() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let email =
        |subject: &str, text: &str| json!({ "name": "t", "channel": "email", "subject": subject, "body_text": text });
    for (what, body, code, field) in [
        ("no name", json!({ "name": " ", "channel": "email", "subject": "s", "body_text": "b" }), "required", "/name"),
        ("a channel that is none", json!({ "name": "t", "channel": "fax" }), "not_allowed", "/channel"),
        ("no channel", json!({ "name": "t" }), "required", "/channel"),
        ("an open brace", email("s", "Dear {{ first_name"), "placeholder_malformed", "/body_text"),
        ("an open if", email("s", "{% if first_name %}x"), "template_syntax", "/body_text"),
        ("an unknown filter", email("s", "{{ first_name|frobnicate }}"), "template_syntax", "/body_text"),
        ("an unknown name", email("Hi {nickname}", "b"), "unknown_placeholder", "/subject"),
        ("no subject", email("", "b"), "subject_required", "/subject"),
        ("a blank subject", email("  ", "b"), "subject_required", "/subject"),
        ("a subject of two lines", email("a\nb", "b"), "control_character", "/subject"),
        ("a long subject", email(&"s".repeat(2000), "b"), "subject_too_long", "/subject"),
        ("no body", email("s", " "), "body_required", "/body_text"),
        (
            "HTML in a text message",
            json!({ "name": "t", "channel": "sms", "body_text": "b", "body_html": "<p>" }),
            "html_not_allowed",
            "/body_html",
        ),
        ("NUL", email("s", "a\u{0}b"), "control_character", "/body_text"),
    ] {
        let answer = server.send("POST", "/v1/templates", &[JSON], body.to_string().as_bytes());
        assert_refused(&answer, 422, code, field, what);
    }
    let unknown = server.send("POST", "/v1/templates", &[JSON], email("s", "one\n {nickname}").to_string().as_bytes());
    let reason = unknown.body["errors"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("line 2, column 2") && reason.contains("first_name"), "{reason}");
    assert_eq!(rows(&server), 0);
}

#[test]
fn a_body_that_never_comes_ends_with_a_408_and_a_free_server() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let head = format!(
        "POST /v1/contacts HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000\r\n\r\n{{\"email\":",
        crate::support::server::ROOT_KEY
    );
    let answer = server.raw(head.as_bytes());
    assert_eq!((answer.status, answer.code()), (408, "body_timeout"));
    crate::bodies::see("problem_body_timeout", &answer.body);
    assert_eq!(server.send("GET", "/v1/lists", &[], b"").status, 200);
}

#[test]
fn names_and_lists_of_nonsense() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    for (path, body, code, field) in [
        ("/v1/lists", json!({ "name": "" }), "required", "/name"),
        ("/v1/lists", json!({ "name": "a\u{202e}b" }), "control_character", "/name"),
        ("/v1/lists", json!({ "name": "x".repeat(201) }), "too_long", "/name"),
        ("/v1/keys", json!({ "name": "\u{0}", "scope": "read" }), "control_character", "/name"),
        ("/v1/lists/1/members", json!({ "contact_ids": [] }), "out_of_range", "/contact_ids"),
    ] {
        let answer = server.send("POST", path, &[JSON], body.to_string().as_bytes());
        assert_refused(&answer, 422, code, field, path);
    }
    let missing = server.send("POST", "/v1/lists/1/members", &[JSON], br#"{"contact_ids":[1]}"#);
    assert_refused(&missing, 404, "list_not_found", "", "members of no list");
}
