//! The search: what it finds, and who may see it.

use std::time::Duration;

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;

use crate::support::api::{Api, id};
use crate::support::server::{Server, sandbox};
use crate::support::volley::Volley;
use crate::support::{Database, both_backends};

const LONG: Duration = Duration::from_secs(60);

/// What was found: kind, id and title of each.
fn hits(found: &Value) -> Vec<(String, String, String)> {
    let text = |hit: &Value, field: &str| hit[field].as_str().unwrap_or_else(|| panic!("{field}: {hit}")).to_owned();
    found["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| (text(hit, "kind"), text(hit, "id"), text(hit, "title")))
        .collect()
}

/// Searches, with the text as a query has it.
fn search(api: &Api, text: &str) -> Value {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("q", text).finish();
    api.get(&format!("/v1/search?{query}"))
}

fn only(kind: &str, id: impl ToString, title: &str) -> Vec<(String, String, String)> {
    vec![(kind.to_owned(), id.to_string(), title.to_owned())]
}

both_backends! {
    fn what_can_be_done_is_found_by_a_verb_and_the_beginning_of_a_name(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main-relay", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let list = api.a_list_of(3);
        let draft = api.create_campaign("email", "main-relay", list, &json!({ "name": "Spring 100% off", "body_text": "x" }));
        let page = |act: &str| format!("/ui/campaigns/{draft}/{act}");
        assert_eq!(hits(&search(&api, "edit spring")), only("act", page("edit"), "Edit Spring 100% off"));
        assert_eq!(hits(&search(&api, "check campaign Spring")), only("act", page("preflight"), "Check Spring 100% off"));
        let found = search(&api, "copy the campaign spr");
        assert_eq!(found["data"][0]["page"], page("copy"));
        assert_eq!((&found["data"][0]["detail"], &found["data"][0]["path"]), (&json!("draft"), &json!(null)));
        assert_eq!(hits(&search(&api, "pause spring")), [], "a draft cannot be paused");
        assert_eq!(hits(&search(&api, "suspend main")), only("act", "/ui/pools/main-relay/suspend", "Suspend pool main-relay"));
        assert_eq!(hits(&search(&api, "resume main")), [], "it is not suspended");
        api.post("/v1/pools/main-relay/suspend", &json!({ "reason": "machines" }));
        assert_eq!(hits(&search(&api, "suspend main")), []);
        assert_eq!(hits(&search(&api, "resume pool main")), only("act", "/ui/pools/main-relay/resume", "Resume pool main-relay"));
    }

    fn everything_is_found_by_what_people_know_of_it(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main-relay", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let people = json!({ "email": "ann@example.com", "phone": "+442079460123", "external_id": "c-7", "first_name": "Ann" });
        let ann = id(&api.post("/v1/contacts", &people));
        let list = id(&api.post("/v1/lists", &json!({ "name": "Spring news", "slug": "news" })));
        api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": [ann] }));
        let campaign = api.create_campaign("email", "main-relay", list, &json!({ "name": "Spring 100% off", "body_text": "x" }));
        let segment = id(&api.post("/v1/segments", &json!({ "name": "Regulars", "slug": "vip", "criteria": { "tag": "vip" } })));
        let template = api.create_template("email", "s", "x");
        let name = api.get(&format!("/v1/templates/{template}"))["name"].as_str().unwrap().to_owned();
        let key = api.post("/v1/keys", &json!({ "name": "web shop", "scope": "ingest" }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let found = search(&api, "sPRing");
        let both = [only("campaign", campaign, "Spring 100% off"), only("list", list, "Spring news")].concat();
        assert_eq!(hits(&found), both, "{found}");
        assert_eq!(found["data"][0]["page"], format!("/ui/campaigns/{campaign}"));
        assert_eq!(found["data"][0]["path"], format!("/v1/campaigns/{campaign}"));
        assert_eq!((&found["data"][0]["detail"], &found["data"][1]["detail"]), (&json!("sent"), &json!("news")));
        assert_eq!(hits(&search(&api, "Spring 100% o")), only("campaign", campaign, "Spring 100% off"));
        assert_eq!(hits(&search(&api, "Spring_")), [], "an underscore stands for itself");
        for text in ["Ann@Example.com", "+44 20 7946 0123", "c-7"] {
            let found = search(&api, text);
            assert_eq!(hits(&found), only("contact", ann, "ann@example.com"), "{text}");
            let hit = &found["data"][0];
            assert_eq!((&hit["page"], &hit["detail"]), (&json!(format!("/ui/contacts/{ann}")), &json!("Ann")), "{text}");
        }
        assert_eq!(hits(&search(&api, "ann@example")), [], "an address is found only as a whole");
        assert_eq!(hits(&search(&api, "news")), only("list", list, "Spring news"));
        assert_eq!(hits(&search(&api, "vip")), only("segment", segment, "Regulars"));
        assert!(hits(&search(&api, &name)).contains(&only("template", template, &name)[0]));
        assert_eq!(hits(&search(&api, "MAIN")), only("pool", "main-relay", "main-relay"));
        let found = search(&api, "web");
        assert_eq!(hits(&found), only("api_key", &key["id"], "web shop"));
        assert_eq!(found["data"][0]["page"], format!("/ui/api-keys#key-{}", key["id"]));
        assert_eq!(hits(&search(&api, "audit log")), only("page", "/ui/audit", "Audit log"));
        let of_one: Vec<String> = hits(&search(&api, &ann.to_string())).into_iter().map(|hit| hit.0).collect();
        assert!(of_one.contains(&"contact".to_owned()) && of_one.contains(&"campaign".to_owned()), "{of_one:?}");
        let links = api.get(&format!("/v1/campaigns/{campaign}/deliveries/{ann}/links"));
        let key = links["delivery_key"].as_str().unwrap();
        for text in [key.to_owned(), format!("<{}@example.com>", key.replace(':', "-"))] {
            let found = search(&api, &text);
            let delivery = format!("{campaign}/{ann}");
            assert_eq!(hits(&found), only("delivery", delivery, "Spring 100% off"), "{text}");
            assert_eq!(found["data"][0]["path"], format!("/v1/campaigns/{campaign}/why/{ann}"));
        }
    }

    fn six_of_a_kind_are_shown_the_exact_name_first_and_that_there_is_more_is_said(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let exact = api.create_list("Club");
        let others: Vec<i64> = (0..8).map(|n| api.create_list(&format!("Club {n}"))).collect();
        let found = search(&api, "club");
        let ids: Vec<String> = hits(&found).into_iter().map(|hit| hit.1).collect();
        let newest = others.iter().rev().take(5);
        assert_eq!(ids, [exact].iter().chain(newest).map(ToString::to_string).collect::<Vec<_>>(), "{found}");
        assert_eq!(found["more"], json!(["list"]));
        for (query, status, code) in [
            ("", 400, "required"),
            ("q=", 400, "required"),
            (&format!("q={}", "x".repeat(321)), 400, "too_long"),
            ("q=vly_0123", 400, "key_in_query"),
            ("q=a&kind=list", 400, "unknown_parameter"),
        ] {
            let refused = server.send("GET", &format!("/v1/search?{query}"), &[], b"");
            assert_eq!((refused.status, refused.code()), (status, code), "{query}");
        }
    }

    fn a_key_finds_what_it_may_see_and_is_told_what_was_left_out(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let made = api.post("/v1/keys", &json!({ "name": "dashboard", "scope": "read" }));
        let key = format!("Bearer {}", made["secret"].as_str().unwrap());
        let seen = |path: &str| server.send("GET", path, &[("Authorization", &key)], b"");
        let found = seen("/v1/search?q=dashboard").body;
        assert_eq!(hits(&found), only("page", "/ui", "Now"), "the key itself is not shown: {found}");
        assert_eq!(found["left_out"], json!([{ "kind": "api_key", "scope": "admin" }]));
        assert_eq!(hits(&seen("/v1/search?q=audit").body), []);
        let ingest = api.post("/v1/keys", &json!({ "name": "shop", "scope": "ingest" }));
        let key = format!("Bearer {}", ingest["secret"].as_str().unwrap());
        let refused = server.send("GET", "/v1/search?q=a", &[("Authorization", &key)], b"");
        assert_eq!((refused.status, refused.code()), (403, "insufficient_scope"));
    }
}

#[test]
fn what_is_searched_for_stands_in_no_log() {
    let db = Database::sqlite();
    let volley = Volley::on(&db).settings("[log]\nlevel = \"debug\"\n").start();
    let api = volley.api();
    api.post("/v1/contacts", &json!({ "email": "zebra@example.com" }));
    assert_eq!(hits(&search(&api, "zebra@example.com")).len(), 1);
    let too_long = format!("/v1/search?q=zebra{}", "x".repeat(321));
    assert!(api.try_get(&too_long).is_ok_and(|answer| answer.status == 400));
    assert!(volley.log().lines().count() > 1, "there is a log");
    assert!(!volley.log().contains("zebra"), "{}", volley.log());
    volley.stop();
}
