//! Campaigns before they are sent, and the list of them.

use serde_json::{Value, json};

use super::{JSON, LONG, ask, assert_refused, draft, fields, people, pools};
use crate::support::both_backends;
use crate::support::server::Server;

both_backends! {
    fn a_campaign_is_read_back_as_it_was_written(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let list = api.create_list("Customers");
        let body = fields(&json!({
            "name": "  Spring  ", "body_html": "<p>{first_name}</p>", "rate_per_second": 12.5, "retry_for": "90m",
            "on_uncertain": "resend", "audience": { "lists": [list, list], "exclude": { "lists": [list] } },
        }));
        let made = ask(&server, "POST", "/v1/campaigns", &body);
        assert_eq!(made.status, 201, "{made:?}");
        let path = format!("/v1/campaigns/{}", made.body["id"]);
        assert_eq!(made.header("location"), Some(path.as_str()));
        let read = api.get(&path);
        assert_eq!(read, made.body);
        for (name, value) in [
            ("name", json!("Spring")),
            ("channel", json!("email")),
            ("status", json!("draft")),
            ("pool", json!("fast")),
            ("template_id", json!(null)),
            ("subject", json!("Hi {first_name|you}")),
            ("body_text", json!("Dear {first_name|friend}")),
            ("body_html", json!("<p>{first_name}</p>")),
            ("audience", json!({ "lists": [list], "exclude": { "lists": [list] } })),
            ("rate_per_second", json!(12.5)),
            ("retry_for", json!(5400.0)),
            ("on_uncertain", json!("resend")),
            ("scheduled_at", json!(null)),
            ("outcome", json!(null)),
            ("launched_at", json!(null)),
            ("stats", json!({
                "total": 0, "pending": 0, "sending": 0, "sent": 0, "failed": 0, "skipped": 0, "uncertain": 0,
            })),
        ] {
            assert_eq!(read[name], value, "{name} of {read}");
        }
        assert!(read.get("packing").is_none() && read.get("attention").is_none(), "{read}");
        assert!(read["created_at"].as_str().unwrap().ends_with('Z'), "{read}");
        assert_eq!(api.audit(made.body["id"].as_i64().unwrap())["total"], 0);
    }

    fn the_older_names_of_a_content_are_still_understood(db: &Database) {
        let server = Server::with_pools(db, pools());
        let mut body = fields(&json!({ "base_template": "Old {first_name}", "base_template_html": "<p>Old</p>" }));
        body.as_object_mut().unwrap().remove("body_text");
        let made = ask(&server, "POST", "/v1/campaigns", &body);
        assert_eq!(made.status, 201, "{made:?}");
        let path = format!("/v1/campaigns/{}", made.body["id"]);
        let content = |body: &Value| (body["body_text"].clone(), body["body_html"].clone());
        assert_eq!(content(&made.body), (json!("Old {first_name}"), json!("<p>Old</p>")));
        let changed = ask(&server, "PATCH", &path, &json!({ "base_template": "Older", "base_template_html": null }));
        assert_eq!((changed.status, content(&changed.body)), (200, (json!("Older"), json!(null))), "{changed:?}");
        let twice = ask(&server, "PATCH", &path, &json!({ "base_template": "a", "body_text": "b" }));
        assert_eq!((twice.status, twice.code()), (422, "invalid"), "{twice:?}");
        assert_eq!(content(&server.api().get(&path)), (json!("Older"), json!(null)));
    }

    fn a_tag_of_an_audience_has_one_spelling_and_what_is_no_tag_is_not_found(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        api.post("/v1/contacts/tags", &json!({ "contact_ids": people(&api, 2), "add": ["vip"] }));
        let made = ask(&server, "POST", "/v1/campaigns", &fields(&json!({ "audience": { "tags": [" VIP", "vip"] } })));
        assert_eq!((made.status, &made.body["audience"]), (201, &json!({ "tags": ["vip"] })), "{made:?}");
        let path = format!("/v1/campaigns/{}", made.body["id"]);
        for raw in ["\u{0}", "a\u{0}b", "a,b", ""] {
            for audience in [json!({ "tags": [raw] }), json!({ "all": true, "exclude": { "tags": [raw] } })] {
                let body = fields(&json!({ "audience": audience }));
                assert_refused(&ask(&server, "POST", "/v1/campaigns", &body), 404, "tag_not_found");
                let patch = json!({ "audience": audience });
                assert_refused(&ask(&server, "PATCH", &path, &patch), 404, "tag_not_found");
            }
        }
        assert_eq!(api.get(&path)["audience"], json!({ "tags": ["vip"] }));
    }

    fn an_edit_changes_what_it_names_and_nothing_else(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let template = api.create_template("email", "T", "t");
        let campaign = draft(&api, &json!({ "rate_per_second": 5, "retry_for": 0.5, "audience": { "all": true } }));
        let path = format!("/v1/campaigns/{campaign}");
        let edited = ask(&server, "PATCH", &path, &json!({ "name": "Summer", "body_text": "New text" })).body;
        assert_eq!((&edited["name"], &edited["body_text"]), (&json!("Summer"), &json!("New text")));
        assert_eq!((&edited["subject"], &edited["rate_per_second"]), (&json!("Hi {first_name|you}"), &json!(5.0)));
        assert_eq!(edited["retry_for"], json!(0.5));
        let cleared = json!({ "rate_per_second": null, "retry_for": null, "audience": null, "pool": null });
        let edited = ask(&server, "PATCH", &path, &cleared).body;
        for name in ["rate_per_second", "retry_for", "audience", "pool"] {
            assert_eq!(edited[name], json!(null), "{name}");
        }
        let edited = ask(&server, "PATCH", &path, &json!({ "template_id": template })).body;
        assert_eq!(edited["template_id"], json!(template));
        assert!(edited.get("body_text").is_none(), "its own content is gone: {edited}");
        for (body, code) in [
            (json!({ "status": "sending" }), "unknown_field"),
            (json!({ "channel": "sms" }), "unknown_field"),
            (json!({ "rate_per_second": 0 }), "out_of_range"),
            (json!({ "pool": "texts" }), "pool_missing"),
            (json!({ "body_text": "{nobody_has_this}" }), "subject_required"),
            (json!({ "template_id": 4711 }), "template_not_found"),
            (json!({ "audience": {} }), "audience_required"),
        ] {
            assert_refused(&ask(&server, "PATCH", &path, &body), 422, code);
        }
        assert_eq!(api.get(&path)["template_id"], json!(template));
        assert_refused(&ask(&server, "PATCH", "/v1/campaigns/4711", &json!({})), 404, "campaign_not_found");
    }

    fn a_launched_campaign_is_edited_no_more_and_deleted_only_when_it_has_ended(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 5);
        let campaign = draft(&api, &json!({ "pool": "slow", "audience": { "all": true } }));
        let path = format!("/v1/campaigns/{campaign}");
        api.send(campaign);
        for status in ["sending", "paused", "stopped"] {
            match status {
                "paused" => drop(api.pause(campaign)),
                "stopped" => drop(api.stop(campaign)),
                _ => {}
            }
            let refused = ask(&server, "PATCH", &path, &json!({ "name": "Late" }));
            assert_refused(&refused, 409, "campaign_not_editable");
            assert!(refused.body["detail"].as_str().unwrap().contains(&format!("is {status};")), "{refused:?}");
            if status != "stopped" {
                let refused = server.send("DELETE", &path, &[], b"");
                assert_refused(&refused, 409, "campaign_active");
                assert!(refused.body["detail"].as_str().unwrap().contains(&format!("is {status};")), "{refused:?}");
            }
        }
        assert_eq!(api.get(&path)["name"], "Spring");
        api.wait(campaign, "the rest is skipped", LONG, |seen| seen.stats.pending + seen.stats.sending == 0);
        assert_eq!(server.send("DELETE", &path, &[], b"").status, 204);
        for (method, path) in [("GET", path.clone()), ("DELETE", path.clone()), ("GET", format!("{path}/audit")), ("GET", format!("{path}/deliveries"))] {
            assert_refused(&server.send(method, &path, &[], b""), 404, "campaign_not_found");
        }
        assert_eq!(api.get("/v1/campaigns")["pagination"]["total_count"], 0);
        let other = draft(&api, &json!({}));
        assert_eq!(server.send("DELETE", &format!("/v1/campaigns/{other}"), &[], b"").status, 204);
    }

    fn pages_of_the_list_neither_repeat_nor_hide_rows_while_rows_come(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let made: Vec<i64> = (0..7).map(|_| draft(&api, &json!({}))).collect();
        let newest_first: Vec<i64> = made.iter().rev().copied().collect();
        let ids = |listing: &Value| -> Vec<i64> {
            listing["data"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
        };
        let first = api.get("/v1/campaigns?page_size=3");
        assert_eq!(ids(&first), newest_first[..3]);
        assert_eq!((&first["pagination"]["total_count"], &first["pagination"]["total_pages"]), (&json!(7), &json!(3)));
        let (anchor, cursor) = (&first["pagination"]["anchor"], first["next_cursor"].as_str().unwrap());
        draft(&api, &json!({}));
        assert_eq!(ids(&api.get(&format!("/v1/campaigns?page_size=3&page=2&anchor={anchor}"))), newest_first[3..6]);
        let second = api.get(&format!("/v1/campaigns?cursor={cursor}"));
        assert_eq!(ids(&second), newest_first[3..6]);
        draft(&api, &json!({}));
        let third = api.get(&format!("/v1/campaigns?cursor={}", second["next_cursor"].as_str().unwrap()));
        assert_eq!((ids(&third), &third["next_cursor"]), (newest_first[6..].to_vec(), &json!(null)));
        let texts = json!({ "channel": "sms", "pool": "texts", "subject": null });
        let mut body = fields(&texts);
        body.as_object_mut().unwrap().remove("subject");
        let text = api.post("/v1/campaigns", &body);
        assert_eq!(ids(&api.get("/v1/campaigns?channel=sms")), [text["id"].as_i64().unwrap()]);
        assert_eq!(api.get("/v1/campaigns?status=draft")["pagination"]["total_count"], 10);
        assert_eq!(api.get("/v1/campaigns?status=sent")["data"], json!([]));
        let foreign = format!("/v1/campaigns?status=draft&cursor={cursor}");
        assert_refused(&server.send("GET", &foreign, &[JSON], b""), 400, "cursor_invalid");
        for query in ["status=nonsense", "channel=fax", "page_size=101", "page=0", "sort=nonsense", "order=desc", "sort=name&order=up"] {
            assert_eq!(server.send("GET", &format!("/v1/campaigns?{query}"), &[], b"").status, 400, "{query}");
        }
    }
}
