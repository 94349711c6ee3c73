//! What emails have beside their words, in the forms of the composer and of templates, without a browser.

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;

use super::system::with_scope;
use super::{OWN, assert_page, text};
use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::{Raw, Server, sandbox};

/// A form with a file in its field `upload`, as a browser sends it.
fn with_file(fields: &[(&str, &str)], (name, kind, bytes): (&str, &str, &[u8])) -> Vec<u8> {
    let mut body: Vec<u8> = fields
        .iter()
        .flat_map(|(name, value)| {
            format!("--bound\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes()
        })
        .collect();
    let head = format!("--bound\r\nContent-Disposition: form-data; name=\"upload\"; filename=\"{name}\"\r\n");
    body.extend(format!("{head}Content-Type: {kind}\r\n\r\n").into_bytes());
    body.extend(bytes);
    body.extend(b"\r\n--bound--\r\n");
    body
}

fn encoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// What the page says that it has seen: of a draft, or of a template.
fn seen(page: &Raw) -> String {
    let after = text(page).split("name=\"seen\" value=\"").nth(1).unwrap_or_else(|| panic!("{page:?}"));
    after.split('"').next().unwrap().to_owned()
}

fn store(server: &Server, name: &str, kind: &str, bytes: &[u8]) -> i64 {
    let stored = server.send("POST", &format!("/v1/files?name={name}"), &[("Content-Type", kind)], bytes);
    assert_eq!(stored.status, 201, "{stored:?}");
    id(&stored.body)
}

both_backends! {
    fn a_campaign_gets_a_reply_to_headers_and_files_by_plain_forms(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let list = api.a_list_of(20);
        let operator = with_scope(&server, "operate");
        let logo = store(&server, "logo.png", "image/png", b"not really a picture");
        let campaign = api.create_campaign("email", "main", list, &json!({
            "category": "transactional", "subject": "Hi", "body_text": "Dear {first_name|you}", "body_html": "<p>Dear</p>",
        }));
        let (path, stored) = (format!("/ui/campaigns/{campaign}/edit"), || api.get(&format!("/v1/campaigns/{campaign}")));
        let list = list.to_string();
        let base = |key: &'static str, seen: &str| -> Vec<(String, String)> {
            let fields = [
                ("idempotency_key", key), ("seen", seen), ("name", "Spring"), ("pool", "main"), ("content", "own"), ("subject", "Hi"),
                ("body_text", "Dear {first_name|you}"), ("body_html", "<p>Dear</p>"), ("category", "transactional"), ("lists", &list),
                ("has_files", "yes"), ("reply_to", "Help <help@example.com>"), ("headers", "X-Campaign: {first_name|spring}\r\n"),
            ];
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        fn pairs(fields: &[(String, String)]) -> Vec<(&str, &str)> {
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
        }
        let page = operator.get(&path);
        assert_page(&page, 200);
        assert!(text(&page).contains(&format!("<option value=\"{logo}\">logo.png · 20 bytes</option>")), "{page:?}");
        // A file comes, and all that was typed is saved with it.
        let fields = base("one", &seen(&page));
        let blank = [pairs(&fields), vec![("file", ""), ("file_cid", "")]].concat();
        let prices = ("prices.pdf", "application/pdf", [b'x'; 1_234].as_slice());
        let brought = operator.bring_to(&format!("{path}/files"), &with_file(&blank, prices), &[OWN]);
        assert_eq!(brought.status, 303, "{brought:?}");
        let files = api.get("/v1/files");
        assert_eq!((&files["data"][0]["name"], &files["data"][0]["content_type"]), (&json!("prices.pdf"), &json!("application/pdf")));
        let prices_id = id(&files["data"][0]).to_string();
        let now = stored();
        assert_eq!((&now["reply_to"], &now["headers"]), (&json!("Help <help@example.com>"), &json!({ "X-Campaign": "{first_name|spring}" })));
        assert_eq!(now["attachments"], json!([{ "file_id": id(&files["data"][0]) }]));
        // The same once more is the same file, and nothing new.
        assert_eq!(operator.bring_to(&format!("{path}/files"), &with_file(&blank, prices), &[OWN]).status, 303);
        assert_eq!((api.get("/v1/files")["pagination"]["total_count"].as_i64(), stored()), (Some(2), now.clone()));
        // A stored one is added, and shown in the HTML by its name.
        let fields = base("two", now["updated_at"].as_str().unwrap());
        let logo = logo.to_string();
        let rows = [("file", prices_id.as_str()), ("file_cid", ""), ("file", &logo), ("file_cid", "logo")];
        let saved = operator.press(&path, &encoded(&[pairs(&fields), rows.to_vec()].concat()));
        assert_eq!(saved.status, 303, "{saved:?}");
        let page = operator.get(&path);
        assert_page(&page, 200);
        for said in ["<strong>prices.pdf</strong>", "application/pdf · 1.2 kB", "name=\"file_cid\" value=\"logo\"", "value=\"Help &#60;help@example.com&#62;\""] {
            assert!(text(&page).contains(said), "{said}: {page:?}");
        }
        // The preview has them beside the words, and so have the samples of the preflight and the campaign's page.
        for said in ["<dt>replies go to</dt><dd>Help &#60;help@example.com&#62;</dd>", "<dt>header X-Campaign</dt><dd>First", "<dt>attached</dt><dd>prices.pdf · 1.2 kB</dd>", "<dt>shown as cid:logo</dt><dd>logo.png · 20 bytes</dd>"] {
            assert!(text(&page).contains(said), "{said}: {page:?}");
        }
        assert_eq!(operator.press(&format!("/ui/campaigns/{campaign}/preflight"), "").status, 303);
        let found = operator.get(&format!("/ui/campaigns/{campaign}/preflight"));
        for said in ["2 files, 1.3 kB", "<dt>attached</dt><dd>prices.pdf · 1.2 kB</dd>", "<dt>header X-Campaign</dt><dd>First"] {
            assert!(text(&found).contains(said), "{said}: {found:?}");
        }
        let report = api.post(&format!("/v1/campaigns/{campaign}/preflight"), &json!({}));
        assert_eq!((&report["attachments"][0]["size"], &report["samples"][0]["reply_to"]), (&json!(1_234), &json!("Help <help@example.com>")));
        let page = operator.get(&format!("/ui/campaigns/{campaign}"));
        assert!(text(&page).contains("<dt>attached</dt><dd>prices.pdf · 1.2 kB</dd>"), "{page:?}");
        // One is removed.
        let fields = base("three", stored()["updated_at"].as_str().unwrap());
        let saved = operator.press(&path, &encoded(&[pairs(&fields), rows.to_vec(), vec![("file_gone", "0")]].concat()));
        assert_eq!(saved.status, 303, "{saved:?}");
        assert_eq!(stored()["attachments"], json!([{ "file_id": logo.parse::<i64>().unwrap(), "content_id": "logo" }]));
        // What no field of a form says stays as it is.
        let fields = base("four", stored()["updated_at"].as_str().unwrap());
        let less: Vec<_> = pairs(&fields).into_iter().filter(|(name, _)| !["has_files", "reply_to", "headers"].contains(name)).collect();
        assert_eq!(operator.press(&path, &encoded(&less)).status, 303);
        assert_eq!(stored()["reply_to"], "Help <help@example.com>");
    }

    fn what_is_wrong_beside_the_words_is_said_at_its_field_and_the_rest_is_saved(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0), sandbox("texts", ChannelKind::Sms, 0.0)]);
        let api = server.api();
        let list = api.a_list_of(3);
        let operator = with_scope(&server, "operate");
        let logo = store(&server, "logo.png", "image/png", b"picture").to_string();
        let campaign = api.create_campaign("email", "main", list, &json!({}));
        let path = format!("/ui/campaigns/{campaign}/edit");
        let stored = || api.get(&format!("/v1/campaigns/{campaign}"));
        let press = |key: &str, more: &[(&str, &str)]| {
            let seen = seen(&operator.get(&path));
            let fields = [("idempotency_key", key), ("seen", seen.as_str()), ("name", key), ("pool", "main"), ("content", "template"), ("has_files", "yes")];
            operator.press(&path, &encoded(&[fields.as_slice(), more].concat()))
        };
        for (key, more, at, reason) in [
            ("a", vec![("reply_to", "nobody")], "reply_to", "nobody"),
            ("b", vec![("headers", "X-A")], "headers", "a line is a name, a colon and a value"),
            ("c", vec![("headers", "Bcc: a@example.com")], "headers", "Bcc: each message has one recipient"),
            ("d", vec![("file", logo.as_str()), ("file_cid", "a b")], "attachments-0", "must have 1 to 64"),
            ("e", vec![("file", "4711"), ("file_cid", "")], "attachments-0", "there is no file 4711"),
            ("f", vec![("older_file", "seven")], "attachments", "“seven” is no id of a file"),
            ("g", vec![("upload", "prices.pdf")], "attachments", "“prices.pdf” is chosen and not uploaded yet"),
        ] {
            let refused = press(key, &more);
            assert_page(&refused, 422);
            let page = text(&refused);
            assert!(page.contains(&format!("id=\"{at}-wrong\">")) && page.contains(reason), "{key}: {page}");
            assert!(page.contains("<details class=\"inner\" id=\"beside-words\" open>"), "{key}: {page}");
            let now = stored();
            assert_eq!((&now["name"], now.get("attachments")), (&json!(key), None), "the rest is saved: {now}");
        }
        // A file that is too large, has a bad name, or is empty is refused, and the rest is saved.
        let large = vec![b'x'; 256 * 1024 + 1];
        for (key, file, reason) in [
            ("h", ("a.bin", "", large.as_slice()), "262144"),
            ("i", ("", "image/png", b"".as_slice()), "choose a file first"),
            ("j", ("a.png", "image/png", b"".as_slice()), "the file is empty"),
        ] {
            let seen = seen(&operator.get(&path));
            let fields = [("idempotency_key", key), ("seen", seen.as_str()), ("name", key), ("pool", "main"), ("content", "template"), ("has_files", "yes")];
            let refused = operator.bring_to(&format!("{path}/files"), &with_file(&fields, file), &[OWN]);
            assert_page(&refused, 422);
            let plain = text(&refused).replace(',', "");
            assert!(plain.contains("id=\"attachments-wrong\">") && plain.contains(reason), "{key}: {plain}");
            assert_eq!(stored()["name"], key);
        }
        assert_eq!(api.get("/v1/files")["pagination"]["total_count"], 1, "nothing of it is stored");
        // Without a key, as a form of another page, or without the scope nothing is stored either.
        let keyless = with_file(&[("name", "k")], ("a.png", "image/png", b"a"));
        assert_page(&operator.bring_to(&format!("{path}/files"), &keyless, &[OWN]), 400);
        let keyed = with_file(&[("idempotency_key", "l"), ("name", "l")], ("a.png", "image/png", b"a"));
        assert_page(&operator.bring_to(&format!("{path}/files"), &keyed, &[("Sec-Fetch-Site", "cross-site")]), 403);
        assert_page(&with_scope(&server, "read").bring_to(&format!("{path}/files"), &keyed, &[OWN]), 403);
        assert_eq!((api.get("/v1/files")["pagination"]["total_count"].as_i64(), &stored()["name"]), (Some(1), &json!("j")));
        // Text messages have nothing beside their words.
        let texts = api.create_campaign("sms", "texts", list, &json!({ "body_text": "Hi" }));
        let page = operator.get(&format!("/ui/campaigns/{texts}/edit"));
        assert!(!text(&page).contains("name=\"reply_to\"") && !text(&page).contains("name=\"has_files\""), "{page:?}");
    }

    fn a_form_that_breaks_off_or_brings_too_large_a_file_clears_nothing(db: &Database) {
        let server = Server::with(db, |settings| {
            settings.pools = vec![sandbox("main", ChannelKind::Email, 0.0)];
            settings.http.max_body_bytes = 8_192;
        });
        let api = server.api();
        let (list, other) = (api.a_list_of(2), api.create_list("Other"));
        let campaign = api.create_campaign("email", "main", list, &json!({
            "category": "transactional", "subject": "Hi", "body_text": "Dear", "rate_per_second": 7, "retry_for": 60,
            "audience": { "lists": [list], "exclude": { "lists": [other] } },
        }));
        let operator = with_scope(&server, "operate");
        let (path, stored) = (format!("/ui/campaigns/{campaign}/edit"), || api.get(&format!("/v1/campaigns/{campaign}")));
        let before = stored();
        let (seen, list, other) = (seen(&operator.get(&path)), list.to_string(), other.to_string());
        let fields = [
            ("idempotency_key", "one"), ("seen", &seen), ("name", "Spring"), ("content", "own"), ("subject", "Hi"), ("body_text", "Dear"),
            ("category", "transactional"), ("lists", &list), ("has_files", "yes"), ("file", ""), ("file_cid", ""),
        ];
        let behind = with_file(&[("pool", "main"), ("rate_per_second", "7"), ("retry_for", "60"), ("not_lists", &other)], ("a", "text/plain", b"a"));
        // The file stands in the middle of the form, and is too large: what is behind it is read all the same.
        let front = with_file(&fields, ("a.pdf", "application/pdf", &[b'x'; 20_000]));
        let body = [front.strip_suffix(b"--bound--\r\n").unwrap(), behind.split(|byte| *byte == b'\0').next().unwrap()].concat();
        let large = operator.bring_to(&format!("{path}/files"), &body, &[OWN]);
        assert_eq!(large.status, 422, "{large:?}");
        let settings = |campaign: &Value| ["pool", "rate_per_second", "retry_for", "audience", "topic_id"].map(|name| campaign[name].clone());
        assert_eq!(settings(&stored()), settings(&before));
        // The connection breaks in the middle of it.
        let small = with_file(&fields, ("a.pdf", "application/pdf", b"%PDF"));
        for body in [small.strip_suffix(b"\r\n--bound--\r\n").unwrap(), &body[..body.len() - 150]] {
            let cut = operator.bring_to(&format!("{path}/files"), body, &[OWN]);
            assert!(cut.status >= 400, "{cut:?}");
            assert_eq!(settings(&stored()), settings(&before));
        }
    }

    fn a_template_gets_files_and_nothing_else_is_stored_until_it_is_saved(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let operator = with_scope(&server, "operate");
        let fields = |key: &str, seen: &str, name: &str| -> Vec<(String, String)> {
            [
                ("idempotency_key", key), ("based_on", "1"), ("seen", seen), ("name", name), ("channel", "email"), ("category", "marketing"),
                ("subject", "s"), ("body_text", "typed and not saved"), ("body_html", ""), ("reply_to", "help@example.com"),
                ("headers", "X-A: 1"), ("has_files", "yes"),
            ].iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        fn pairs(fields: &[(String, String)]) -> Vec<(&str, &str)> {
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
        }
        let new = fields("one", "", "Spring");
        let blank = [pairs(&new), vec![("file", ""), ("file_cid", "")]].concat();
        let file = ("prices.pdf", "application/pdf", b"prices".as_slice());
        let shown = operator.bring_to("/ui/templates/new/files", &with_file(&blank, file), &[OWN]);
        assert_page(&shown, 200);
        for said in ["“prices.pdf” is uploaded", "<strong>prices.pdf</strong>", "typed and not saved</textarea>", "value=\"help@example.com\"", "X-A: 1"] {
            assert!(text(&shown).contains(said), "{said}: {shown:?}");
        }
        assert_eq!(api.get("/v1/templates")["data"], json!([]), "the template is not made yet");
        let stored = api.get("/v1/files")["data"][0]["id"].clone();
        let row = stored.to_string();
        let made = operator.press("/ui/templates/new", &encoded(&[pairs(&new), vec![("file", &row), ("file_cid", "")]].concat()));
        let path = made.header("location").unwrap_or_else(|| panic!("{made:?}")).to_owned();
        let template = |path: &str| api.get(&path.replace("/ui", "/v1"));
        assert_eq!(template(&path)["attachments"], json!([{ "file_id": stored }]));
        let page = operator.get(&path);
        assert!(text(&page).contains("<dt>attached</dt><dd>prices.pdf · 6 bytes</dd>"), "{page:?}");
        // Another one comes while the template is edited: its form goes on as it was.
        let before = template(&path);
        let change = fields("two", &seen(&operator.get(&format!("{path}/edit"))), "Renamed");
        let rows = [pairs(&change), vec![("file", row.as_str()), ("file_cid", ""), ("file", ""), ("file_cid", "")]].concat();
        let shown = operator.bring_to(&format!("{path}/edit/files"), &with_file(&rows, ("logo.png", "image/png", b"logo")), &[OWN]);
        assert_page(&shown, 200);
        assert!(text(&shown).contains("<strong>logo.png</strong>") && text(&shown).contains("value=\"Renamed\""), "{shown:?}");
        assert_eq!(template(&path), before, "the template is as it was");
        // Somebody else saves meanwhile: the form still names what it has seen.
        assert_eq!(seen(&shown), before["updated_at"].as_str().unwrap());
        let wrong = [pairs(&change), vec![("file", row.as_str()), ("file_cid", "a b")]].concat();
        let refused = operator.press(&format!("{path}/edit"), &encoded(&wrong));
        assert_page(&refused, 422);
        assert!(text(&refused).contains("id=\"attachments-0-wrong\">must have") && text(&refused).contains("<strong>prices.pdf</strong>"), "{refused:?}");
        let removed = [pairs(&change), vec![("file", row.as_str()), ("file_cid", ""), ("file_gone", "0")]].concat();
        assert_eq!(operator.press(&format!("{path}/edit"), &encoded(&removed)).status, 303);
        assert_eq!(template(&path).get("attachments"), None);
        for path in ["/ui/templates/new/files".to_owned(), format!("{path}/edit/files")] {
            assert_page(&operator.get(&path), 200);
        }
        let gone: Value = template(&path);
        assert_eq!(gone["version"], 2);
    }
}
