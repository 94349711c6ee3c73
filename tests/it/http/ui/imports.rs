//! Files that operators import, without a browser.

use std::time::Duration;

use serde_json::json;

use super::system::with_scope;
use super::{OWN, Visitor, assert_page, text};
use crate::support::server::{Raw, Server};
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

const LONG: Duration = Duration::from_secs(60);

/// A form as a browser sends it, the file last.
fn form(fields: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(
            format!("--bound\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes(),
        );
    }
    let (name, bytes) = file.unwrap_or(("", b""));
    let head = "Content-Type: text/csv\r\n\r\n";
    body.extend(
        format!("--bound\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n{head}").into_bytes(),
    );
    body.extend(bytes);
    body.extend(b"\r\n--bound--\r\n");
    body
}

impl Visitor<'_> {
    fn bring(&self, body: &[u8], headers: &[(&str, &str)]) -> Raw {
        self.bring_to("/ui/imports", body, headers)
    }

    pub(super) fn bring_to(&self, path: &str, body: &[u8], headers: &[(&str, &str)]) -> Raw {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nCookie: {}\r\nContent-Type: multipart/form-data; \
             boundary=bound\r\nContent-Length: {}\r\n",
            self.server.addr,
            self.cookie,
            body.len()
        );
        let head = headers.iter().fold(head, |text, (name, value)| format!("{text}{name}: {value}\r\n"));
        self.server.raw(&[format!("{head}\r\n").as_bytes(), body].concat())
    }

    fn look(&self, fields: &[(&str, &str)], csv: &[u8]) -> Raw {
        self.bring_to("/ui/imports/preview", &form(fields, Some(("people.csv", csv))), &[OWN])
    }

    fn upload(&self, fields: &[(&str, &str)], csv: &[u8]) -> Raw {
        let key = self.form_key("/ui/imports");
        let fields: Vec<_> = [("idempotency_key", key.as_str())].into_iter().chain(fields.iter().copied()).collect();
        self.bring(&form(&fields, Some(("people.csv", csv))), &[OWN])
    }
}

#[track_caller]
fn leads_to(answer: &Raw) -> String {
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.header("location").unwrap().to_owned()
}

#[track_caller]
fn finished(visitor: &Visitor<'_>, path: &str) -> String {
    wait_until("the import ends", LONG, || {
        let page = visitor.get(path);
        assert_page(&page, 200);
        text(&page).contains(">completed</span>") || text(&page).contains(">failed</span>")
    });
    text(&visitor.get(path)).to_owned()
}

fn uploads(db: &Database) -> usize {
    std::fs::read_dir(db.folder().join("data/imports")).map_or(0, Iterator::count)
}

both_backends! {
    fn a_file_is_imported_by_a_form_onto_a_new_list_and_its_bad_row_is_explained(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let operator = with_scope(&server, "operate");
        let empty = operator.get("/ui/imports");
        assert_page(&empty, 200);
        assert!(text(&empty).contains("No file was imported yet."), "{empty:?}");
        let csv = b"email,first_name\nann@example.com,Ann\n<b>no,Ben\ncleo@example.com,Cleo\n";
        let path = leads_to(&operator.upload(&[("list", ""), ("new_list", " News <b> ")], csv));
        let page = finished(&operator, &path);
        for part in ["Done: 2 of 3 rows taken, and 1 row was rejected.", "<td>email</td>", "<code>email_invalid</code>", "News &#60;b&#62;"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(page.contains("<th scope=\"row\" class=\"number\">3</th>") && !page.contains("<b>"), "{page}");
        let list = &api.get("/v1/lists")["data"][0];
        assert_eq!((&list["name"], &list["member_count"]), (&json!("News <b>"), &json!(2)));
        let of_list = format!("/ui/campaigns/new?list={}", list["id"]);
        assert!(page.contains(&of_list) && page.contains(&format!("/ui/lists/{}", list["id"])), "{page}");
        let all = operator.get("/ui/imports");
        assert!(text(&all).contains("import 1") && text(&all).contains("News &#60;b&#62;"), "{all:?}");
        let admin = with_scope(&server, "admin");
        assert!(text(&admin.get(&path)).contains("<dt>by</dt><dd>operate</dd>"), "an administrator sees who it was");
        let logged = api.get("/v1/audit-log?action=created&object=list")["data"].as_array().unwrap().len();
        assert_eq!(logged, 1, "the list that was made with it is in the audit log");
        // A file of the same people again: nobody is made twice, and the list is the one that is there.
        let again = leads_to(&operator.upload(&[("list", &list["id"].to_string())], csv));
        assert!(finished(&operator, &again).contains("<dt>known contacts</dt><dd>2</dd>"));
        assert_eq!(api.get("/v1/lists")["pagination"]["total_count"], 1);
    }

    fn a_file_is_looked_at_with_what_was_chosen_and_nothing_is_stored(db: &Database) {
        let server = Server::on(db);
        let operator = with_scope(&server, "operate");
        let csv = "E-Mail;Kunde;Stadt;Status\r\nann@example.com;7;K\u{f6}ln;pending\r\n<b>;8;Bonn;\r\n<i>;;Bonn;\r\n";
        let csv: Vec<u8> = csv.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let more = "Stadt:attributes.city\r\nKunde:phone\r\n";
        let fields = [("new_list", "News"), ("map", "Kunde:external_id"), ("map", ""), ("more", more), ("confirmed", "true")];
        let seen = operator.look(&fields, &csv);
        assert_page(&seen, 200);
        let page = text(&seen);
        for part in [
            "The file has 4 columns between semicolons, and is read as windows-1252; it has 84 bytes. These are all of its 3 rows.",
            "<option value=\"Kunde:external_id\" selected>external id</option>",
            "attribute city",
            "as you have said",
            "a new contact, unconfirmed on the list",
            "<td>K\u{f6}ln</td>",
            "E-Mail: must be a bare address",
            "<code>email_invalid</code>",
            "left out: E-Mail: must be a bare address",
            "&#60;i&#62;",
            "value=\"News\"",
            "name=\"confirmed\" value=\"true\" checked",
            "choose it again",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("<i>"), "{page}");
        let api = server.api();
        for path in ["/v1/imports", "/v1/contacts", "/v1/lists"] {
            assert_eq!(api.get(path)["pagination"]["total_count"], 0, "{path}");
        }
        assert_eq!((uploads(db), api.get("/v1/audit-log?object=import")["data"].as_array().unwrap().len()), (0, 0));
        // What was written and chosen counts for the import as well.
        let path = leads_to(&operator.upload(&fields, &csv));
        assert!(finished(&operator, &path).contains("Done: 2 of 3 rows taken"));
        let ann = &api.get("/v1/contacts?search=ann")["data"][0];
        assert_eq!((&ann["external_id"], &ann["attributes"]), (&json!("7"), &json!({ "city": "K\u{f6}ln" })));
    }

    fn a_form_with_a_file_is_done_once(db: &Database) {
        let server = Server::on(db);
        let operator = with_scope(&server, "operate");
        let key = operator.form_key("/ui/imports");
        let csv = &b"email\nann@example.com\n"[..];
        let fields = [("idempotency_key", key.as_str()), ("new_list", "News")];
        let body = form(&fields, Some(("people.csv", csv)));
        let first = leads_to(&operator.bring(&body, &[OWN]));
        assert_eq!(leads_to(&operator.bring(&body, &[OWN])), first, "the way back and a second tab get the first answer");
        let other = form(&fields, Some(("people.csv", b"email\nben@example.com\n")));
        let reused = operator.bring(&other, &[OWN]);
        assert_page(&reused, 409);
        assert!(text(&reused).contains("idempotency_key_reused"), "{reused:?}");
        let keyless = operator.bring(&form(&[], Some(("people.csv", csv))), &[OWN]);
        assert_page(&keyless, 400);
        assert!(text(&keyless).contains("idempotency_key_malformed"), "{keyless:?}");
        finished(&operator, &first);
        let api = server.api();
        assert_eq!(api.get("/v1/imports")["pagination"]["total_count"], 1);
        assert_eq!(api.get("/v1/lists")["pagination"]["total_count"], 1);
        wait_until("no upload is left", LONG, || uploads(db) == 0);
    }

    fn a_bad_file_is_refused_at_its_field_and_leaves_nothing(db: &Database) {
        let server = Server::with(db, |settings| settings.http.max_import_bytes = 300_000);
        let operator = with_scope(&server, "operate");
        let large = [b"email\n".to_vec(), b"ann@example.com\n".repeat(20_000)].concat();
        for (csv, status, says) in [
            (&b""[..], 422, "the file is empty: its first line must name the columns"),
            (b"name,city\nAnn,Bonn\n", 422, "the file needs a column email, phone or external_id; it has: name, city"),
            (b"email,Email\na@b.example,c@d.example\n", 422, "are both email"),
            (b"email,Z\xc3\xbcrich,caf\xe9\n", 422, "bytes that are no text"),
            (&large, 413, "the file is larger than 300,000 bytes"),
        ] {
            let refused = operator.upload(&[("new_list", "News"), ("confirmed", "true")], csv);
            assert_page(&refused, status);
            let page = text(&refused);
            assert!(page.contains(says), "{says}: {page}");
            assert!(page.contains("aria-describedby=\"file-wrong\"") && page.contains("<div id=\"file-wrong\">"), "{page}");
            assert!(page.contains("value=\"News\"") && page.contains("value=\"true\" checked"), "what was typed stays: {page}");
        }
        let key = operator.form_key("/ui/imports");
        let none = operator.bring(&form(&[("idempotency_key", &key)], None), &[OWN]);
        assert_page(&none, 422);
        assert!(text(&none).contains("choose a file"), "{none:?}");
        let api = server.api();
        assert_eq!(api.get("/v1/imports")["pagination"]["total_count"], 0);
        assert_eq!(api.get("/v1/lists")["pagination"]["total_count"], 0, "no list is made for a file that is refused");
        wait_until("no upload is left", LONG, || uploads(db) == 0);
    }
}

#[test]
fn a_file_above_the_bound_of_64_mib_is_refused_at_its_field_and_what_was_typed_stays() {
    let db = Database::sqlite();
    let server = Server::with(&db, |settings| settings.http.max_import_bytes = 64 << 20);
    let operator = with_scope(&server, "operate");
    let rows = |bytes: usize| [b"email\n".to_vec(), vec![b'x'; bytes - 6]].concat();
    let refused = operator.upload(&[("new_list", "Large")], &rows((64 << 20) + 1));
    assert_page(&refused, 413);
    let page = text(&refused);
    assert!(page.contains("the file is larger than 67,108,864 bytes") && page.contains("value=\"Large\""), "{page}");
    assert_eq!(server.api().get("/v1/imports")["pagination"]["total_count"], 0);
    wait_until("no upload is left", LONG, || uploads(&db) == 0);
}

#[test]
fn what_stands_beside_a_file_has_64_kib_and_a_form_with_more_brings_nothing() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let operator = with_scope(&server, "operate");
    let csv = b"email\nann@example.com\n";
    let refused = operator.upload(&[("reason", &"x".repeat(64 * 1024))], csv);
    assert_page(&refused, 413);
    assert!(text(&refused).contains("65536") || text(&refused).contains("65,536"), "{refused:?}");
    assert_eq!(server.api().get("/v1/imports")["pagination"]["total_count"], 0);
    wait_until("no upload is left", LONG, || uploads(&db) == 0);
}

#[test]
fn a_list_that_is_taken_missing_or_named_twice_and_a_reason_that_is_missing_are_said_at_their_fields() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let operator = with_scope(&server, "operate");
    let list = server.api().create_list("News");
    let csv = b"email\nann@example.com\n";
    let id = list.to_string();
    for (fields, status, field, says) in [
        (&[("new_list", "News")][..], 409, "new-list-wrong", "there is a list called “News” already"),
        (&[("list", id.as_str()), ("new_list", "Other")], 422, "new-list-wrong", "not both"),
        (&[("list", "4711")], 404, "list-wrong", "no such list: 4711"),
        (&[("list", id.as_str()), ("resubscribe", "true")], 400, "reason-wrong", "say why contacts that have refused"),
    ] {
        let refused = operator.upload(fields, csv);
        assert_page(&refused, status);
        assert!(text(&refused).contains(&format!("<div id=\"{field}\">")), "{field}: {refused:?}");
        assert!(text(&refused).contains(says), "{says}: {refused:?}");
    }
    let path = leads_to(&operator.upload(&[("list", &id), ("resubscribe", "true"), ("reason", "asked by phone")], csv));
    assert!(finished(&operator, &path).contains("Done: 1 row was taken."));
    assert_eq!(server.api().get("/v1/imports")["pagination"]["total_count"], 1);
}

#[test]
fn columns_of_a_file_that_cannot_be_imported_can_be_corrected() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let operator = with_scope(&server, "operate");
    let csv = b"Adresse,Ort\nann@example.com,Bonn\n";
    let refused = operator.look(&[], csv);
    assert_page(&refused, 422);
    for part in
        ["the file needs a column email, phone or external_id", "ann@example.com", "value=\"Adresse:email\">email"]
    {
        assert!(text(&refused).contains(part), "{part}: {refused:?}");
    }
    let corrected = operator.look(&[("map", "Adresse:email")], csv);
    assert_page(&corrected, 200);
    assert!(text(&corrected).contains("a new contact"), "{corrected:?}");
    // Without a look, what was chosen is not lost where the import is refused.
    let again = operator.upload(&[("map", "Adresse:email"), ("map", "Ort:email")], csv);
    assert_page(&again, 422);
    assert!(text(&again).contains(">Adresse:email\nOrt:email</textarea>"), "{again:?}");
    for (fields, status, says) in [
        (&[("more", "Ort=nothing")][..], 400, "cannot be"),
        (&[("encoding", "klingon")], 400, "a name of the Encoding Standard"),
        (&[("list", "4711")], 404, "no such list: 4711"),
    ] {
        let refused = operator.look(fields, b"email,Ort\nann@example.com,Bonn\n");
        assert_page(&refused, status);
        assert!(text(&refused).contains(says), "{says}: {refused:?}");
    }
    let none = operator.bring_to("/ui/imports/preview", &form(&[], None), &[OWN]);
    assert_page(&none, 422);
    assert!(text(&none).contains("choose a file"), "{none:?}");
    let reader = with_scope(&server, "read");
    assert_page(&reader.look(&[], csv), 403);
    assert_page(&operator.bring_to("/ui/imports/preview", &form(&[], None), &[("Sec-Fetch-Site", "cross-site")]), 403);
    assert_page(&operator.get("/ui/imports/preview"), 200);
    assert!(text(&operator.get("/ui/imports")).contains("download=\"sample.csv\""));
}

#[test]
fn who_may_not_import_reads_the_imports_and_sees_no_form() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let operator = with_scope(&server, "operate");
    let path = leads_to(&operator.upload(&[], b"email\nann@example.com\n"));
    let reader = with_scope(&server, "read");
    let page = reader.get("/ui/imports");
    assert_page(&page, 200);
    assert!(text(&page).contains("scope <code>ingest</code>") && !text(&page).contains("multipart"), "{page:?}");
    let shown = finished(&reader, &path);
    assert!(shown.contains("Done: 1 row was taken.") && !shown.contains("/ui/campaigns/new"), "{shown}");
    let body = form(&[("idempotency_key", "k")], Some(("people.csv", b"email\nben@example.com\n")));
    assert_page(&reader.bring(&body, &[OWN]), 403);
    assert_page(&operator.bring(&body, &[("Sec-Fetch-Site", "cross-site")]), 403);
    assert_page(&reader.get("/ui/imports/4711"), 404);
    assert_page(&reader.get(&format!("{path}?page=0")), 400);
    assert_eq!(server.api().get("/v1/imports")["pagination"]["total_count"], 1);
}

#[test]
fn rejected_rows_are_read_page_by_page() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let operator = with_scope(&server, "operate");
    let csv = format!("email\n{}", "nonsense\n".repeat(130));
    let path = leads_to(&operator.upload(&[], csv.as_bytes()));
    let first = finished(&operator, &path);
    assert!(first.contains("30 more rows were rejected"), "{first}");
    let lines = |page: &str| page.matches("<th scope=\"row\" class=\"number\">").count();
    let all = format!("{path}/rejected.csv");
    assert!(first.contains(&format!("href=\"{all}\"")) && first.contains("It can be had until"), "{first}");
    assert!(first.contains("130 rows were rejected, and none was taken: no contact was imported."), "{first}");
    let file = operator.get(&all);
    assert_eq!((file.status, file.header("content-type")), (200, Some("text/csv; charset=utf-8")), "{file:?}");
    assert!(text(&file).contains("\n131,email,email_invalid,"), "the last one, too: {file:?}");
    let next = format!("{path}?page=2");
    assert!(first.contains(&format!("<a href=\"{next}\" rel=\"next\">")), "{first}");
    let second = operator.get(&next);
    assert_page(&second, 200);
    assert_eq!((lines(&first), lines(text(&second))), (50, 50));
    assert!(
        text(&second).contains("class=\"number\">101</th>") && !text(&second).contains("rel=\"next\""),
        "{second:?}"
    );
}
