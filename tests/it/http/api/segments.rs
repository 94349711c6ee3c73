//! Segments, as clients create them and read who is a member.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Answer, Api, id};
use crate::support::both_backends;
use crate::support::server::Server;
use crate::support::waiting::wait_until;

const LONG: Duration = Duration::from_secs(60);

fn ids(answer: &Value) -> Vec<i64> {
    answer["data"].as_array().unwrap().iter().map(|row| row["contact_id"].as_i64().unwrap()).collect()
}

fn ready(api: &Api, segment: &str) {
    let path = format!("/v1/segments/{segment}");
    wait_until("everybody is evaluated", LONG, || api.get(&path)["state"] == "ready");
}

fn patch(api: &Api, path: &str, body: &Value) -> Answer {
    api.request(Method::PATCH, path, "application/json", Some(body.to_string().into_bytes()), &[]).unwrap()
}

fn code(answer: &Answer) -> (u16, &str, &str) {
    let field = answer.body.pointer("/errors/0/field").and_then(Value::as_str).unwrap_or_default();
    (answer.status, answer.body["code"].as_str().unwrap_or_default(), field)
}

both_backends! {
    fn a_segment_keeps_itself_and_says_why(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let person = |email: &str, plan: &str| {
            id(&api.post("/v1/contacts", &json!({ "email": email, "attributes": { "plan": plan } })))
        };
        let (ann, ben) = (person("ann@example.com", "pro"), person("ben@example.com", "free"));
        let made = api.post("/v1/segments", &json!({
            "name": "Pro buyers",
            "criteria": { "all": [
                { "attribute": { "name": "plan", "op": "eq", "value": "pro" } },
                { "event": { "name": "paid", "within": "30d" } },
            ] },
        }));
        assert_eq!((made["slug"].as_str(), made["enabled"].as_bool()), (Some("pro-buyers"), Some(true)));
        ready(&api, "pro-buyers");
        assert_eq!(ids(&api.get("/v1/segments/pro-buyers/members")), Vec::<i64>::new());
        for contact in [ann, ben] {
            api.post("/v1/events", &json!({ "name": "paid", "contact_id": contact }));
        }
        wait_until("she is a member", LONG, || ids(&api.get("/v1/segments/pro-buyers/members")) == [ann]);
        let shown = api.get("/v1/segments/pro-buyers");
        assert_eq!((shown["member_count"].as_i64(), shown["progress"].is_null()), (Some(1), true));
        let entered = api.get("/v1/segments/pro-buyers/transitions?kind=entered");
        assert_eq!(entered["data"].as_array().unwrap().len(), 1);
        assert_eq!((&entered["data"][0]["source"], &entered["data"][0]["emit"]), (&json!("change"), &json!(true)));
        let why = api.get(&format!("/v1/segments/pro-buyers/explain/{ben}"));
        assert_eq!((&why["member"], &why["matches"]), (&json!(false), &json!(false)));
        let parts = why.pointer("/criteria/parts").and_then(Value::as_array).unwrap();
        let holds: Vec<bool> = parts.iter().map(|part| part["holds"].as_bool().unwrap()).collect();
        assert_eq!(holds, [false, true], "{why}");
        let of_ann = api.get(&format!("/v1/contacts/{ann}/segments"));
        assert_eq!(of_ann["data"][0]["segment_id"], made["id"]);
    }

    fn a_segment_is_changed_switched_off_and_deleted(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let ann = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com" })));
        api.post(&format!("/v1/contacts/{ann}/tags"), &json!({ "add": ["vip"] }));
        let vips = id(&api.post("/v1/segments", &json!({ "name": "VIPs", "criteria": { "tag": "vip" } })));
        let path = format!("/v1/segments/{vips}");
        let asking = id(&api.post("/v1/segments", &json!({ "name": "Other", "criteria": { "segment": "vips" } })));
        ready(&api, "vips");
        ready(&api, "other");
        assert_eq!(ids(&api.get("/v1/segments/other/members")), [ann]);
        let circle = patch(&api, &path, &json!({ "criteria": { "segment": asking } }));
        assert_eq!(code(&circle), (422, "segment_circle", "/criteria"));
        let refused = api.request(Method::DELETE, &path, "", None, &[]).unwrap();
        assert_eq!((refused.status, refused.body["code"].as_str(), &refused.body["ids"]), (409, Some("segment_in_use"), &json!([asking])));
        api.post(&format!("{path}/disable"), &json!({}));
        api.post(&format!("/v1/contacts/{ann}/tags"), &json!({ "remove": ["vip"] }));
        let renamed = patch(&api, &path, &json!({ "name": "Important", "dwell": [{ "after": "7d" }], "max_dwell": "30d" }));
        assert_eq!((renamed.status, &renamed.body["name"], &renamed.body["max_dwell"]), (200, &json!("Important"), &json!("720h")));
        assert_eq!(ids(&api.get(&format!("{path}/members"))), [ann], "it stays as it is");
        api.post(&format!("{path}/enable"), &json!({}));
        wait_until("she has left", LONG, || ids(&api.get(&format!("{path}/members"))).is_empty());
        let gone = api.request(Method::DELETE, &format!("/v1/segments/{asking}"), "", None, &[]).unwrap();
        assert_eq!(gone.status, 204);
        assert_eq!(api.request(Method::DELETE, &path, "", None, &[]).unwrap().status, 204);
        assert_eq!(code(&api.try_get(&path).unwrap()), (404, "segment_not_found", ""));
        let words = api.get("/v1/audit-log?object=segment");
        assert!(words["data"].as_array().unwrap().len() >= 7, "{words}");
    }

    fn a_segment_whose_rule_cannot_be_read_says_so_and_can_be_switched_off(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let ann = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com" })));
        let one_each = |name: &str| json!({ "name": name, "criteria": { "tag": name } });
        for name in ["newer", "torn", "sound"] {
            api.post("/v1/segments", &one_each(name));
            ready(&api, name);
        }
        // As a newer version may write, and as nobody does.
        for (slug, text) in [("newer", r#"{"mood": 1}"#), ("torn", r#"{"tag": "#)] {
            db.execute(&format!("UPDATE segments SET criteria = '{text}', version = version + 1 WHERE slug = '{slug}'"));
        }
        api.post(&format!("/v1/contacts/{ann}/tags"), &json!({ "add": ["newer", "torn", "sound"] }));
        wait_until("she is in the one that is sound", LONG, || ids(&api.get("/v1/segments/sound/members")) == [ann]);
        let all = api.get("/v1/segments");
        assert_eq!(all["data"].as_array().unwrap().len(), 3, "{all}");
        let needs = api.get("/v1/overview")["needs"].clone();
        let named: Vec<(&str, &str)> =
            needs.as_array().unwrap().iter().map(|need| (need["code"].as_str().unwrap(), need["name"].as_str().unwrap())).collect();
        assert_eq!(named, ["torn", "newer"].map(|name| ("segment_not_evaluated", name)), "{needs}");
        for slug in ["newer", "torn"] {
            let path = format!("/v1/segments/{slug}");
            let shown = api.get(&path);
            assert!(shown["problem"].is_string() && shown["sentence"].is_null(), "{shown}");
            let why = api.get(&format!("{path}/explain/{ann}"));
            assert!(why["criteria"].is_null() && !why["member"].as_bool().unwrap_or_default(), "{why}");
            let renamed = patch(&api, &path, &json!({ "description": "to be looked at" }));
            assert_eq!((renamed.status, &renamed.body["description"]), (200, &json!("to be looked at")));
            api.post(&format!("{path}/disable"), &json!({}));
            assert_eq!(api.get(&path)["enabled"], false);
            // Another rule makes it whole.
            api.post(&format!("{path}/enable"), &json!({}));
            assert_eq!(patch(&api, &path, &json!({ "criteria": { "tag": "sound" } })).status, 200);
            wait_until("it is evaluated again", LONG, || api.get(&path)["problem"].is_null());
            wait_until("she is in it", LONG, || ids(&api.get(&format!("{path}/members"))) == [ann]);
        }
        assert_eq!(api.get("/v1/overview")["needs"], json!([]));
    }

    fn what_is_wrong_with_a_segment_is_named(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        api.post("/v1/segments", &json!({ "name": "VIPs", "criteria": { "tag": "vip" } }));
        for (body, expected) in [
            (json!({ "name": "VIPs", "criteria": { "tag": "vip" } }), (409, "segment_name_taken", "")),
            (json!({ "name": "x", "slug": "vips", "criteria": { "tag": "vip" } }), (409, "segment_slug_taken", "")),
            (json!({ "name": "x", "slug": "estimate", "criteria": { "tag": "vip" } }), (422, "slug_invalid", "/slug")),
            (json!({ "name": "x", "criteria": { "all": [{ "tag": 3 }] } }), (422, "criteria_invalid", "/criteria/all/0/tag")),
            (json!({ "name": "x", "criteria": { "segment": "nobody" } }), (422, "criteria_invalid", "/criteria/segment")),
            (json!({ "name": "x", "criteria": { "segment": 99 } }), (422, "criteria_invalid", "/criteria/segment")),
            (json!({ "name": "x", "criteria": { "list": { "id": 99 } } }), (422, "criteria_invalid", "/criteria/list/id")),
            (json!({ "name": "x", "criteria": { "not": { "tag": "vip" } } }), (422, "criteria_everybody", "/criteria")),
            (json!({ "name": "x", "criteria": { "tag": "vip" }, "min_dwell": "2d", "max_dwell": "1d" }), (422, "segment_dwell_invalid", "/max_dwell")),
            (json!({ "name": "x", "criteria": { "tag": "vip" }, "entry_limit": "once_per_period" }), (422, "entry_period_invalid", "/entry_period")),
            (json!({ "name": "", "criteria": { "tag": "vip" } }), (422, "required", "/name")),
        ] {
            let answer = api.try_post("/v1/segments", &body).unwrap();
            assert_eq!(code(&answer), expected, "{body}: {}", answer.body);
        }
        assert_eq!(db.number("SELECT count(*) AS n FROM segments"), 1);
    }
}
