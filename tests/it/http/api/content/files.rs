//! Files of emails: uploaded, named by templates and campaigns, and deleted.

use reqwest::Method;
use serde_json::json;

use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::Server;
use crate::support::volley::{Pool, Volley};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PDF: (&str, &str) = ("Content-Type", "application/pdf");

both_backends! {
    fn a_file_is_stored_once_and_stays_while_it_is_in_use(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let first = server.send("POST", "/v1/files?name=prices.pdf", &[PDF], b"%PDF-1");
        assert_eq!((first.status, &first.body["size"], &first.body["content_type"]), (201, &json!(6), &json!("application/pdf")));
        let again = server.send("POST", "/v1/files?name=prices.pdf", &[PDF], b"%PDF-1");
        assert_eq!((again.status, &again.body["id"]), (200, &first.body["id"]), "the same file is there");
        let entry = ("Content-Type", "text/calendar; method=REQUEST; name=\"a.ics\"");
        let entry = server.send("POST", "/v1/files?name=a.ics", &[entry], b"BEGIN:VCALENDAR");
        assert_eq!(entry.body["content_type"], "text/calendar; method=request", "what it asks for is kept");
        assert_eq!(server.send("DELETE", &format!("/v1/files/{}", id(&entry.body)), &[], b"").status, 204);
        let other = server.send("POST", "/v1/files?name=prices.pdf", &[PDF], b"%PDF-2");
        assert_eq!(other.status, 201);
        assert_eq!(api.get("/v1/files")["pagination"]["total_count"], 2);
        let (first, other) = (id(&first.body), id(&other.body));
        let attachments = json!([{ "file_id": first }, { "file_id": other, "content_id": "logo" }]);
        let template = json!({ "name": "t", "channel": "email", "subject": "s", "body_text": "b", "attachments": attachments });
        let template = api.post("/v1/templates", &template);
        assert_eq!(template["attachments"], attachments);
        let path = format!("/v1/templates/{}", id(&template));
        let changed = server.send("PATCH", &path, &[JSON], json!({ "attachments": [] }).to_string().as_bytes());
        assert_eq!((changed.status, &changed.body["version"]), (200, &json!(2)));
        let file = format!("/v1/files/{first}");
        let kept = server.send("DELETE", &file, &[], b"");
        assert_eq!((kept.status, kept.code()), (409, "file_in_use"), "an older version names it");
        let free = id(&server.send("POST", "/v1/files?name=a.pdf", &[PDF], b"%PDF-3").body);
        assert_eq!(server.send("DELETE", &format!("/v1/files/{free}"), &[], b"").status, 204);
        assert_eq!(server.send("GET", &format!("/v1/files/{free}"), &[], b"").code(), "file_not_found");
    }

    fn what_is_no_file_of_an_email_is_refused(db: &Database) {
        let server = Server::with(db, |settings| settings.email.max_attachments_bytes = 10);
        for (name, kind, code) in [
            ("", "application/pdf", "file_name"),
            ("a%2Fb.pdf", "application/pdf", "file_name"),
            ("a%0D%0Ab.pdf", "application/pdf", "file_name"),
            ("a.pdf", "pdf", "unsupported_media_type"),
            ("a.pdf", "multipart/form-data; boundary=x", "unsupported_media_type"),
            ("a.pdf", "application/x-www-form-urlencoded", "unsupported_media_type"),
        ] {
            let refused = server.send("POST", &format!("/v1/files?name={name}"), &[("Content-Type", kind)], b"x");
            assert_eq!(refused.code(), code, "{name} {kind}");
        }
        assert_eq!(server.send("POST", "/v1/files?name=a.pdf", &[PDF], b"").code(), "required");
        let large = id(&server.send("POST", "/v1/files?name=a.pdf", &[PDF], b"more than ten").body);
        let refused = |channel: &str, attachments: serde_json::Value| {
            let body = json!({ "name": "t", "channel": channel, "subject": "s", "body_text": "b", "attachments": attachments });
            let refused = server.send("POST", "/v1/templates", &[JSON], body.to_string().as_bytes());
            (refused.code().to_owned(), refused.body["errors"][0]["field"].clone())
        };
        let at = |field: &str| json!(field);
        assert_eq!(refused("email", json!([{ "file_id": 99 }])), ("file_not_found".into(), at("/attachments/0/file_id")));
        assert_eq!(refused("email", json!([{ "file_id": large }])), ("attachments_too_large".into(), at("/attachments")));
        let odd = json!([{ "file_id": large, "content_id": "a b" }]);
        assert_eq!(refused("email", odd), ("content_id_invalid".into(), at("/attachments/0/content_id")));
        assert_eq!(refused("sms", json!([{ "file_id": large }])).0, "not_of_channel");
        let many = json!(vec![json!({ "file_id": large }); 21]);
        assert_eq!(refused("email", many), ("too_many_attachments".into(), at("/attachments")));
        assert_eq!(server.api().get("/v1/templates")["pagination"]["total_count"], 0);
    }

    fn a_file_that_is_deleted_meanwhile_is_kept_or_refused_and_never_missing(db: &Database) {
        let server = Server::on(db);
        for number in 0..20 {
            let file = id(&server.send("POST", "/v1/files?name=a.pdf", &[PDF], format!("%PDF-{number}").as_bytes()).body);
            let template = json!({
                "name": format!("t{number}"), "channel": "email", "subject": "s", "body_text": "b", "attachments": [{ "file_id": file }],
            });
            let (saved, deleted) = std::thread::scope(|scope| {
                let saved = scope.spawn(|| server.send("POST", "/v1/templates", &[JSON], template.to_string().as_bytes()).status);
                let deleted = scope.spawn(|| server.send("DELETE", &format!("/v1/files/{file}"), &[], b"").status);
                (saved.join().expect("an answer"), deleted.join().expect("an answer"))
            });
            let is_there = server.send("GET", &format!("/v1/files/{file}"), &[], b"").status == 200;
            assert!(
                matches!((saved, deleted, is_there), (201, 409, true) | (422, 204, false)),
                "saved {saved}, deleted {deleted}, there: {is_there}"
            );
        }
    }

    fn two_who_edit_different_fields_of_an_email_keep_what_both_wrote(db: &Database) {
        let volley = Volley::on(db).pool(Pool::sandbox("a", "email")).start();
        let api = volley.api();
        let campaign = api.create_campaign("email", "a", api.a_list_of(1), &json!({}));
        let path = format!("/v1/campaigns/{campaign}");
        let edit = |body: serde_json::Value| {
            let answer = api.request(Method::PATCH, &path, JSON.1, Some(body.to_string().into_bytes()), &[]);
            assert_eq!(answer.expect("an answer").status, 200, "{body}");
        };
        for number in 0..20 {
            let header = number.to_string();
            let answer = format!("help{number}@example.com");
            std::thread::scope(|scope| {
                scope.spawn(|| edit(json!({ "headers": { "X-Number": header } })));
                scope.spawn(|| edit(json!({ "reply_to": answer })));
                scope.spawn(|| edit(json!({ "name": format!("n{number}") })));
            });
            let now = api.get(&path);
            assert_eq!((&now["headers"]["X-Number"], &now["reply_to"]), (&json!(header), &json!(answer)), "{now}");
            assert_eq!(now["name"], format!("n{number}"));
        }
        volley.stop();
    }
}
