//! Suppressions, tags, the consent log, and imports that bring consent.

use std::time::Duration;

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;

use crate::support::api::{Api, Campaign, id};
use crate::support::server::{Raw, Server, sandbox};
use crate::support::{Database, both_backends};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn post(server: &Server, path: &str, body: &Value) -> Raw {
    server.send("POST", path, &[JSON], body.to_string().as_bytes())
}

fn lift(server: &Server, body: &Value) -> Raw {
    server.send("DELETE", "/v1/suppressions", &[JSON], body.to_string().as_bytes())
}

fn contact(api: &Api, email: &str) -> i64 {
    id(&api.post("/v1/contacts", &json!({ "email": email })))
}

fn found(api: &Api, query: &str) -> Vec<i64> {
    let mut ids: Vec<i64> =
        api.get(&format!("/v1/contacts?{query}"))["data"].as_array().unwrap().iter().map(id).collect();
    ids.sort_unstable();
    ids
}

both_backends! {
    fn a_refusal_holds_however_the_address_is_written(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("News");
        let ann = contact(&api, "ann@example.com");
        api.post(&format!("/v1/lists/{list}/subscribe"), &json!({ "contact_id": ann }));
        let added = api.post("/v1/suppressions", &json!({ "address": " Ann@EXAMPLE.com " }));
        let rows: Vec<_> = added["data"].as_array().unwrap().iter().map(|row| (&row["address"], &row["channel"])).collect();
        assert_eq!(rows, [(&json!("ann@example.com"), &json!("email")), (&json!("ann@example.com"), &json!("http"))]);
        assert_eq!(found(&api, "suppressed=true"), [ann]);
        assert_eq!(found(&api, "suppressed=false"), [0_i64; 0]);
        assert_eq!(found(&api, &format!("list={list}&standing=unsubscribed")), [ann], "her standings say so, too");
        let again = api.post("/v1/suppressions", &json!({ "address": "ann@example.com" }));
        assert_eq!(again["data"][0]["unsubscribed_at"], added["data"][0]["unsubscribed_at"], "it is there since the first time");
    }

    fn suppressions_are_found_by_reason_channel_and_text(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        for (address, reason) in [
            ("ann@example.com", "unsubscribed"), ("bob@example.com", "complained"), ("cleo@example.org", "bounced"),
            ("+44 20 7946 0123", "blocked"), ("ann@example.com", "bounced"),
        ] {
            api.post("/v1/suppressions", &json!({ "address": address, "reason": reason, "note": "as a test" }));
        }
        let found = |query: &str| -> Vec<String> {
            let all = api.get(&format!("/v1/suppressions?{query}"));
            all["data"].as_array().unwrap().iter().map(|row| row["address"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(found("channel=email"), ["ann@example.com", "bob@example.com", "cleo@example.org"]);
        assert_eq!(found("channel=email&reason=bounced"), ["ann@example.com", "cleo@example.org"]);
        assert_eq!(found("search=EXAMPLE.ORG&channel=email"), ["cleo@example.org"]);
        assert_eq!(found("reason=blocked"), ["+442079460123"; 3], "on every channel that uses it");
        assert_eq!(found("search=100%25"), [""; 0]);
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = api.get(&format!("/v1/suppressions?page_size=2{cursor}"));
            all.extend(page["data"].as_array().unwrap().iter().map(|row| format!("{}{}", row["address"], row["channel"])));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let sorted: std::collections::BTreeSet<_> = all.iter().cloned().collect();
        assert_eq!((all.len(), sorted.len()), (9, 9), "{all:?}");
        for (query, code) in [("reason=spam", "not_allowed"), ("cursor=7b7d", "cursor_invalid"), ("list=!", "id_malformed")] {
            let refused = server.send("GET", &format!("/v1/suppressions?{query}"), &[], b"");
            assert_eq!((refused.status, refused.code()), (400, code), "{query}");
        }
        for (body, code, field) in [
            (json!({}), "required", "/address"),
            (json!({ "address": "a@x.example", "domain": "x.example" }), "required", "/address"),
            (json!({ "address": "ann" }), "phone_invalid", "/address"),
            (json!({ "domain": "x" }), "domain_invalid", "/domain"),
            (json!({ "address": "a@example.com", "reason": "soft_bounced" }), "not_allowed", "/reason"),
            (json!({ "address": "a@example.com", "channel": "sms" }), "phone_invalid", "/address"),
        ] {
            let refused = post(&server, "/v1/suppressions", &body);
            assert_eq!((refused.status, refused.code(), refused.field()), (422, code, field), "{body}");
        }
        let list = api.create_list("News");
        for reason in ["complained", "bounced", "blocked"] {
            let body = json!({ "address": "a@example.com", "list": list.to_string(), "reason": reason });
            let refused = post(&server, "/v1/suppressions", &body);
            assert_eq!((refused.status, refused.code(), refused.field()), (422, "not_allowed", "/list"), "{reason}");
        }
        let unknown = post(&server, "/v1/suppressions", &json!({ "address": "a@example.com", "list": "nwes" }));
        assert_eq!((unknown.status, unknown.code()), (404, "list_not_found"));
    }

    fn one_reason_is_lifted_and_the_others_stay(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        for reason in ["unsubscribed", "bounced", "blocked"] {
            api.post("/v1/suppressions", &json!({ "address": "ann@example.com", "reason": reason }));
        }
        let lifted = lift(&server, &json!({ "address": "ann@example.com", "reason": "blocked" }));
        assert_eq!((lifted.status, &lifted.body["lifted"]), (200, &json!(true)));
        let left = api.get("/v1/suppressions");
        assert_eq!(left["data"][0]["reasons"], json!(["unsubscribed", "bounced"]));
        assert_eq!(left["data"][1]["reasons"], json!(["unsubscribed", "bounced"]), "the channel http goes along");
        let bare = lift(&server, &json!({ "address": "ann@example.com", "reason": "unsubscribed" }));
        assert_eq!((bare.status, bare.code(), bare.field()), (422, "required", "/note"));
        let key = api.post("/v1/keys", &json!({ "name": "desk", "scope": "operate" }));
        let bearer = format!("Bearer {}", key["secret"].as_str().unwrap());
        let headers = [JSON, ("Authorization", bearer.as_str())];
        let body = json!({ "address": "ann@example.com", "note": "asked for it" }).to_string();
        let denied = server.send("DELETE", "/v1/suppressions", &headers, body.as_bytes());
        assert_eq!((denied.status, denied.code()), (403, "insufficient_scope"), "a bounce is for administrators");
        let body = json!({ "address": "ann@example.com", "reason": "unsubscribed", "note": "asked for it" }).to_string();
        assert_eq!(server.send("DELETE", "/v1/suppressions", &headers, body.as_bytes()).body["lifted"], true);
        assert_eq!(lift(&server, &json!({ "address": "ann@example.com" })).body["lifted"], true);
        assert_eq!(api.get("/v1/suppressions")["data"], json!([]));
        assert_eq!(lift(&server, &json!({ "address": "ann@example.com" })).body["lifted"], false);
    }

    fn a_whole_domain_is_blocked_and_let_go(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        api.post("/v1/suppressions", &json!({ "domain": "Example.ORG" }));
        api.post("/v1/suppressions", &json!({ "address": "@example.net", "reason": "blocked" }));
        let domains = api.get("/v1/suppressions/domains");
        let names: Vec<_> = domains["data"].as_array().unwrap().iter().map(|row| row["domain"].as_str().unwrap()).collect();
        assert_eq!(names, ["example.net", "example.org"]);
        assert_eq!(lift(&server, &json!({ "domain": "example.org" })).body["lifted"], true);
        assert_eq!(api.get("/v1/suppressions/domains")["data"].as_array().unwrap().len(), 1);
    }

    fn another_tools_suppressions_are_imported_and_exported_again(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let ann = contact(&api, "ann@example.com");
        let csv = "Email,Reason\nAnn@example.com,\nbob@example.com,spam\nnonsense,\n@example.org,\ncleo@example.com,hard bounce\n";
        let send = |csv: &str| server.send("POST", "/v1/suppressions/import", &[("Content-Type", "text/csv")], csv.as_bytes());
        let done = send(csv);
        assert_eq!(done.status, 200, "{done:?}");
        assert_eq!((&done.body["rows_read"], &done.body["rows_accepted"], &done.body["rows_rejected"]), (&json!(5), &json!(4), &json!(1)));
        assert_eq!((&done.body["rejected"][0]["line"], &done.body["rejected"][0]["code"]), (&json!(4), &json!("email_invalid")));
        assert_eq!(found(&api, "suppressed=true"), [ann]);
        let reasons = |address: &str| api.get(&format!("/v1/suppressions?search={address}&channel=email"))["data"][0]["reasons"].clone();
        assert_eq!(reasons("ann@"), json!(["unsubscribed"]), "another tool's unsubscribes stop no password resets");
        assert_eq!((reasons("bob@"), reasons("cleo@")), (json!(["complained"]), json!(["bounced"])));
        let exported = server.send("GET", "/v1/suppressions/export", &[], b"");
        assert_eq!((exported.status, exported.header("content-type")), (200, Some("text/csv; charset=utf-8")));
        let text = exported.body.as_str().unwrap().to_owned();
        assert!(text.contains("ann@example.com,email,unsubscribed,,,20"), "{text}");
        let lines = api.get("/v1/suppressions")["data"].as_array().unwrap().len();
        assert_eq!(send(csv).status, 200);
        assert_eq!(api.get("/v1/suppressions")["data"].as_array().unwrap().len(), lines, "a second time changes nothing");
        for (csv, code) in [("", "csv_empty"), ("name\nx\n", "no_address_column")] {
            let refused = send(csv);
            assert_eq!((refused.status, refused.code()), (422, code), "{csv:?}");
        }
    }

    fn a_refusal_of_everything_has_one_line_in_the_log_however_many_channels_it_is_for(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        api.post("/v1/contacts", &json!({ "email": "ann@example.com", "phone": "+442079460123" }));
        api.post("/v1/suppressions", &json!({ "address": "+44 20 7946 0123" }));
        // As if some time had passed.
        server.execute("UPDATE consent_log SET at = at - 20000".to_owned());
        let log = api.get("/v1/consent");
        let lines = log["data"].as_array().unwrap().iter();
        // The others say on which channels the addresses are suppressed.
        let said = lines.filter(|line| line["after"] == "unsubscribed" && line["channel"].is_null());
        assert_eq!(said.count(), 1, "{log}");
        for channel in ["email", "sms", "whatsapp", "http"] {
            let held = api.get(&format!("/v1/suppressions?channel={channel}&reason=unsubscribed"));
            assert!(!held["data"].as_array().unwrap().is_empty(), "{channel}: {held}");
        }
    }

    fn what_is_exported_and_imported_elsewhere_is_the_same(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let news = api.create_list("News");
        for body in [
            json!({ "address": "ann@example.com" }),
            json!({ "address": "ann@example.com", "reason": "complained" }),
            json!({ "address": "bob@example.com", "list": news.to_string() }),
            json!({ "address": "+44 20 7946 0123", "channel": "sms", "reason": "blocked" }),
            json!({ "address": "c-17", "channel": "http", "reason": "bounced" }),
            json!({ "address": "@ann", "channel": "http", "reason": "blocked" }),
            json!({ "address": "'c-18", "channel": "http", "reason": "blocked" }),
        ] {
            api.post("/v1/suppressions", &body);
        }
        db.execute("UPDATE suppressions SET unsubscribed_at = 1700000000123 WHERE unsubscribed_at IS NOT NULL");
        for channel in ["email", "http"] {
            db.execute(&format!(
                "INSERT INTO suppressions (address, channel, topic, soft_until, created_at, updated_at) \
                 VALUES ('dora@example.com', '{channel}', 0, 4102444800000, 0, 0)"
            ));
        }
        let export = |server: &Server| {
            let exported = server.send("GET", "/v1/suppressions/export", &[], b"");
            // Between the rows are the lengths of the answer's chunks.
            let rows = exported.body.as_str().unwrap().lines().filter(|line| line.contains(','));
            rows.map(|row| format!("{row}\r\n")).collect::<String>()
        };
        let text = export(&server);
        assert!(text.starts_with("address,channel,reason,list,list_name,since,until\r\n"), "{text}");
        assert!(text.contains("bob@example.com,email,unsubscribed,news,News,2023-11-14T22:13:20.123Z,\r\n"), "{text}");
        let other = Database::sqlite();
        let elsewhere = Server::on(&other);
        let send = |csv: &str| elsewhere.send("POST", "/v1/suppressions/import", &[("Content-Type", "text/csv")], csv.as_bytes());
        let refused = send(&text);
        assert_eq!((&refused.body["rows_rejected"], &refused.body["rejected"][0]["code"]), (&json!(2), &json!("list_not_found")), "{refused:?}");
        elsewhere.api().create_list("First");
        let other_list = id(&elsewhere.api().post("/v1/lists", &json!({ "name": "Offers", "slug": "news" })));
        assert_ne!(other_list, news, "its id is another one there");
        let refused = send(&text);
        let rejected = &refused.body["rejected"][0];
        assert_eq!((&refused.body["rows_rejected"], &rejected["code"]), (&json!(2), &json!("list_name_differs")), "{refused:?}");
        assert_eq!(rejected["column"], "list_name");
        let renamed = elsewhere.send("PATCH", "/v1/lists/news", &[JSON], br#"{"name":"News"}"#);
        assert_eq!(renamed.status, 200, "{renamed:?}");
        let done = send(&text);
        assert_eq!((done.status, &done.body["rows_rejected"]), (200, &json!(0)), "{done:?}");
        assert_eq!(export(&elsewhere), text);
    }

    fn a_suppression_on_channel_http_meets_an_external_id_that_looks_like_another_address(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Http, 0.0)]);
        let api = server.api();
        let list = api.create_list("News");
        let ids = ["0044 20 7946 0123", "Bob@EXAMPLE.com", "c-17"];
        let all: Vec<i64> = ids.iter().map(|id_of| id(&api.post("/v1/contacts", &json!({ "external_id": id_of })))).collect();
        api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": all }));
        for address in ids {
            api.post("/v1/suppressions", &json!({ "address": address, "channel": "http", "reason": "blocked" }));
        }
        let sent = |what: &str| {
            let campaign = api.create_campaign("http", "main", list, &json!({ "body_text": "x" }));
            api.send(campaign);
            let done = api.wait(campaign, what, Duration::from_secs(60), Campaign::is_ended);
            (done.stats.sent, done.stats.skipped)
        };
        assert_eq!(sent("nobody is written to"), (0, 3));
        let one = lift(&server, &json!({ "address": "Bob@EXAMPLE.com", "channel": "http" }));
        assert_eq!(one.body["lifted"], true);
        assert_eq!(sent("one is written to"), (1, 2));
    }

    fn the_consent_log_is_followed_by_its_cursor(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("News");
        let ann = contact(&api, "ann@example.com");
        api.post(&format!("/v1/lists/{list}/subscribe"), &json!({ "contact_id": ann, "source": "shop" }));
        api.post(&format!("/v1/lists/{list}/unsubscribe"), &json!({ "contact_id": ann }));
        api.post("/v1/suppressions", &json!({ "address": "bob@example.com" }));
        // As if some time had passed.
        server.execute("UPDATE consent_log SET at = at - 20000".to_owned());
        let first = api.get("/v1/consent?page_size=1");
        let line = &first["data"][0];
        assert_eq!((&line["before"], &line["after"], &line["source"]), (&json!(null), &json!("subscribed"), &json!("api: shop")));
        let rest = api.get(&format!("/v1/consent?after={}", first["next"].as_str().unwrap()));
        let changes: Vec<_> = rest["data"].as_array().unwrap().iter().map(|line| (&line["contact_id"], &line["after"])).collect();
        assert_eq!(changes[0], (&json!(ann), &json!("unsubscribed")));
        assert!(rest["data"].as_array().unwrap().iter().all(|line| line["address"].is_null()), "no act of a person");
        let end = api.get(&format!("/v1/consent?after={}", rest["next"].as_str().unwrap()));
        assert_eq!((&end["data"], &end["next"]), (&json!([]), &rest["next"]));
        assert_eq!(api.get(&format!("/v1/consent?contact_id={ann}"))["data"].as_array().unwrap().len(), 2);
    }

    fn contacts_are_tagged_one_by_one_and_together(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let (ann, bob) = (contact(&api, "ann@example.com"), contact(&api, "bob@example.com"));
        let one = api.post(&format!("/v1/contacts/{ann}/tags"), &json!({ "add": ["VIP", " Bonn "] }));
        assert_eq!(one, json!({ "added": 2, "removed": 0 }));
        let both = api.post("/v1/contacts/tags", &json!({ "contact_ids": [ann, bob], "add": ["vip"], "remove": ["bonn"] }));
        assert_eq!(both, json!({ "added": 1, "removed": 1 }));
        assert_eq!(api.get(&format!("/v1/contacts/{ann}"))["tags"], json!(["vip"]));
        assert_eq!(found(&api, "tag=VIP"), [ann, bob]);
        assert_eq!(found(&api, "tag=bonn"), [0_i64; 0]);
        let tags = api.get("/v1/tags");
        let counted: Vec<_> = tags["data"].as_array().unwrap().iter().map(|tag| (&tag["name"], &tag["contact_count"])).collect();
        assert_eq!(counted, [(&json!("bonn"), &json!(0)), (&json!("vip"), &json!(2))]);
        assert_eq!(server.send("DELETE", &format!("/v1/contacts/{bob}"), &[], b"").status, 204);
        assert_eq!(api.get("/v1/tags")["data"][1]["contact_count"], 1);
        let unknown = post(&server, "/v1/contacts/tags", &json!({ "contact_ids": [ann, 4711], "add": ["x"] }));
        assert_eq!((unknown.status, unknown.code(), &unknown.body["ids"]), (404, "contact_not_found", &json!([4711])));
        for (body, code, field) in [
            (json!({ "add": ["a,b"] }), "tag_invalid", "/add/0"),
            (json!({ "add": vec!["x"; 51] }), "too_many_tags", "/add"),
        ] {
            let refused = post(&server, &format!("/v1/contacts/{ann}/tags"), &body);
            assert_eq!((refused.status, refused.code(), refused.field()), (422, code, field), "{body}");
        }
    }

    fn a_wrong_row_of_an_import_refuses_all_the_same(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("News");
        api.import_csv(list, "external_id,email\na,ann@example.com\nb,bob@example.com\nc,cleo@example.com\n");
        let file = "external_id,email,phone,status\n\
                    ,ann@example.com,not a phone,unsubscribed\nb,cleo@example.com,,unsubscribed\n";
        let import = api.import_csv(list, file);
        assert_eq!((&import["dropped_cells"], &import["rows_updated"]), (&json!(2), &json!(2)), "{import}");
        let counts = &api.get(&format!("/v1/lists/{list}"))["counts"];
        assert_eq!(counts, &json!({ "subscribed": 0, "unconfirmed": 0, "unsubscribed": 3 }));
        // The later row counts, and contacts of the same file refuse, too.
        let file = "external_id,email,timezone,status\n\
                    d,,,subscribed\n,dora@example.com,,subscribed\nd,dora@example.com,,unsubscribed\n\
                    e,,,subscribed\ne,,Nowhere/Else,unsubscribed\n";
        api.import_csv(list, file);
        let counts = &api.get(&format!("/v1/lists/{list}"))["counts"];
        assert_eq!(counts, &json!({ "subscribed": 0, "unconfirmed": 0, "unsubscribed": 6 }));
    }

    fn an_import_says_how_its_contacts_stand_and_what_they_are(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("News");
        let csv = "email,status,status_at,source,tags\n\
                   ann@example.com,subscribed,2024-05-01T10:00:00Z,web form,\"VIP, bonn\"\n\
                   bob@example.com,unsubscribed,,,\n\
                   cleo@example.com,Unconfirmed,,,vip\n\
                   dora@example.com,maybe,,,\n\
                   emil@example.com,,yesterday,,\n\
                   fred@example.com,,,,\n";
        let import = api.import_csv(list, csv);
        assert_eq!((&import["rows_created"], &import["rows_rejected"]), (&json!(4), &json!(2)), "{import}");
        let codes: Vec<_> = import["rejected"].as_array().unwrap().iter().map(|row| (&row["column"], &row["code"])).collect();
        assert_eq!(codes, [(&json!("status"), &json!("not_allowed")), (&json!("status_at"), &json!("time_invalid"))]);
        assert_eq!(api.get(&format!("/v1/lists/{list}"))["counts"], json!({ "subscribed": 2, "unconfirmed": 1, "unsubscribed": 1 }));
        assert_eq!(found(&api, "tag=vip").len(), 2);
        server.execute("UPDATE consent_log SET at = at - 20000".to_owned());
        let line = &api.get("/v1/consent")["data"][0];
        assert_eq!(line["source"], "import: web form");
        assert!(line["note"].as_str().unwrap().contains("2024-05-01T10:00:00"), "{line}");
        let again = api.import_csv(list, "email,status\nbob@example.com,subscribed\n");
        assert_eq!((&again["stay_refused"], &again["resubscribed"]), (&json!(1), &json!(0)));
        let path = format!("/v1/contacts/import?list={list}&resubscribe=true");
        let csv = b"email\nbob@example.com\n";
        let bare = server.send("POST", &path, &[("Content-Type", "text/csv")], csv);
        assert_eq!((bare.status, bare.code()), (400, "required"));
        let with_reason = server.send("POST", &format!("{path}&reason=by%20phone"), &[("Content-Type", "text/csv")], csv);
        assert_eq!(with_reason.status, 202);
        let import = id(&with_reason.body);
        let done = crate::support::waiting::wait_for("the import ends", std::time::Duration::from_secs(60), || {
            let import = api.get(&format!("/v1/imports/{import}"));
            (import["status"] == "completed").then_some(import)
        });
        assert_eq!(done["resubscribed"], 1);
        // Such a column is an attribute where it is said to be one.
        let path = "/v1/contacts/import?map=status:attributes.status";
        let plain = server.send("POST", path, &[("Content-Type", "text/csv")], b"email,status\nzoe@example.com,gold\n");
        assert_eq!(plain.status, 202);
        crate::support::waiting::wait_until("she is there", std::time::Duration::from_secs(60), || {
            api.get("/v1/contacts?search=zoe@")["data"][0]["attributes"]["status"] == "gold"
        });
    }
}
