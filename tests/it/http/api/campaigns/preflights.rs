//! What a preflight says of a campaign, and that its launch does just that.

use serde_json::{Value, json};

use super::{JSON, LONG, ask, assert_illegal, assert_refused, draft, people, pools};
use crate::support::api::{Api, id};
use crate::support::both_backends;
use crate::support::server::{Raw, Server};
use crate::support::waiting::wait_until;

fn preflight(api: &Api, campaign: i64) -> Value {
    api.post(&format!("/v1/campaigns/{campaign}/preflight"), &json!({}))
}

fn send(server: &Server, campaign: i64, fingerprint: &Value) -> Raw {
    ask(server, "POST", &format!("/v1/campaigns/{campaign}/send"), &json!({ "preflight": fingerprint }))
}

fn codes(found: &Value) -> Vec<&str> {
    found.as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect()
}

fn tag(api: &Api, contacts: &[i64], tag: &str) {
    for contact in contacts {
        api.post(&format!("/v1/contacts/{contact}/tags"), &json!({ "add": [tag] }));
    }
}

fn list_of(api: &Api, name: &str, ids: &[i64]) -> i64 {
    let list = api.create_list(name);
    api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": ids }));
    list
}

/// A new contact that no email reaches.
fn without_email(api: &Api, n: usize) -> i64 {
    id(&api.post("/v1/contacts", &json!({ "phone": format!("+4420794601{n:02}"), "first_name": "Nobody" })))
}

/// Launches, and checks that everything came as the preflight had said.
#[track_caller]
fn assert_comes_true(server: &Server, api: &Api, campaign: i64, said: &Value) {
    let launched = send(server, campaign, &said["fingerprint"]);
    assert_eq!(launched.status, 202, "{launched:?}");
    let ended = api.wait_ended(campaign, LONG);
    let funnel = &said["funnel"];
    let became = json!([ended.stats.total, ended.stats.sent, ended.stats.failed]);
    assert_eq!(became, json!([funnel["recipients"], funnel["messages"], funnel["unrenderable"]]), "{said:#}");
    let skipped = ended.body["stats"].get("skipped_by_reason").cloned().unwrap_or(json!({}));
    assert_eq!(skipped, funnel["skipped_by_reason"], "{said:#}");
}

both_backends! {
    fn a_launch_does_what_its_preflight_has_said(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 12);
        let (unreachable, blank) = (
            without_email(&api, 1),
            id(&api.post("/v1/contacts", &json!({ "email": "blank@example.com", "attributes": { "city": "Ulm" } }))),
        );
        let list = list_of(&api, "News", &ids[..8]);
        api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": [unreachable, blank] }));
        tag(&api, &ids[6..10], "vip");
        tag(&api, &ids[2..4], "tired");
        api.post(&format!("/v1/lists/{list}/unsubscribe"), &json!({ "contact_id": ids[7] }));
        for address in ["person1@example.com", "person10@example.com"] {
            api.post("/v1/suppressions", &json!({ "address": address, "reason": "blocked" }));
        }
        let audience = json!({
            "lists": [list], "tags": ["vip"], "contact_ids": [ids[0], ids[11]], "exclude": { "tags": ["tired"], "contact_ids": [ids[4]] },
        });
        let campaign = draft(&api, &json!({ "audience": audience, "subject": "{first_name}", "body_text": "Hello {city|you}" }));
        let said = preflight(&api, campaign);
        // Nine are subscribed. Of those with the tag one is among them and one has unsubscribed, and one is named by its id alone.
        assert_eq!(
            said["funnel"],
            json!({
                "named": 13, "in_several_sources": 2, "excluded": 3, "recipients": 10, "unreachable": 1, "suppressed": 2, "refused": 3,
                "skipped_by_reason": { "no_address": 1, "suppressed": 2, "not_subscribed": 2, "unsubscribed": 1 },
                "unrenderable": 1, "messages": 3,
            }),
            "{said:#}"
        );
        assert_eq!(said["missing"][0], json!({ "placeholder": "city", "people": 3, "example_contact_ids": [ids[1], ids[5], ids[6]] }));
        let failed = json!([{ "error": "subject is empty", "people": 1, "example_contact_ids": [blank] }]);
        assert_eq!(said["render_errors"], failed);
        assert_eq!((&said["verdict"]["go"], codes(&said["verdict"]["remarks"])), (&json!(true), vec!["missing_values", "render_errors"]));
        assert_eq!(api.campaign(campaign).status, "draft", "nothing is stored");
        assert_comes_true(&server, &api, campaign, &said);

        // Those who got this one are known to the next one's preflight.
        let next = draft(&api, &json!({ "audience": { "lists": [list], "campaigns": [{ "id": campaign }] }, "subject": "Hello" }));
        let said = preflight(&api, next);
        assert_eq!(said["recently_mailed"], json!({ "people": 3, "campaigns": 1, "complete": true }));
        assert_eq!(codes(&said["verdict"]["remarks"]), ["missing_values", "recently_mailed"]);
        assert_comes_true(&server, &api, next, &said);
    }

    fn audiences_of_every_kind_are_counted_as_their_launch_packs_them(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 9);
        without_email(&api, 2);
        for id in &ids[..5] {
            ask(&server, "PATCH", &format!("/v1/contacts/{id}"), &json!({ "attributes": { "plan": "pro" } }));
        }
        tag(&api, &ids[3..7], "buyer");
        let made = api.post("/v1/segments", &json!({ "name": "buyers", "criteria": { "tag": "buyer" } }));
        let open = id(&api.post("/v1/lists", &json!({ "name": "Open", "default_opt_in": true })));
        api.post(&format!("/v1/lists/{open}/unsubscribe"), &json!({ "contact_id": ids[0] }));
        let more: Vec<i64> = (0..4).map(|n| list_of(&api, &format!("List {n}"), &ids[n..n + 2])).collect();
        wait_until("members are known", LONG, || {
            api.get("/v1/segments/buyers/members")["data"].as_array().is_some_and(|all| all.len() == 4)
        });
        let pro = json!({ "attribute": { "name": "plan", "op": "eq", "value": "pro" } });
        for (audience, several) in [
            (json!({ "all": true }), 0),
            (json!({ "all": true, "exclude": { "filter": pro, "contact_ids": [ids[8]] } }), 0),
            (json!({ "filter": pro, "tags": ["buyer"] }), 2),
            (json!({ "segments": [id(&made)], "contact_ids": [ids[3], ids[8]], "exclude": { "lists": [more[3]] } }), 1),
            (json!({ "lists": [open], "exclude": { "segments": ["buyers"] } }), 0),
            (json!({ "lists": [open, more[0]] }), 1),
            (json!({ "lists": more }), 3),
            (json!({ "contact_ids": ids, "exclude": { "contact_ids": [ids[1]] } }), 0),
        ] {
            let campaign = draft(&api, &json!({ "audience": audience }));
            let said = preflight(&api, campaign);
            assert_eq!(said["funnel"]["in_several_sources"], several, "{audience} {said:#}");
            assert_comes_true(&server, &api, campaign, &said);
        }
    }

    fn a_launch_that_names_a_preflight_is_refused_when_something_has_changed_since(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 4);
        let list = list_of(&api, "News", &ids[..2]);
        tag(&api, &ids[..1], "vip");
        let audience = json!({ "lists": [list], "tags": ["vip"] });
        let campaign = draft(&api, &json!({ "audience": audience }));
        let path = format!("/v1/campaigns/{campaign}");
        let mut known = preflight(&api, campaign)["fingerprint"].clone();
        assert_eq!(preflight(&api, campaign)["fingerprint"], known, "nothing has changed");
        let mut changed = |what: &str, change: &dyn Fn()| {
            change();
            let refused = send(&server, campaign, &known);
            assert_eq!((refused.status, refused.code()), (409, "preflight_outdated"), "{what}: {refused:?}");
            assert_eq!(api.campaign(campaign).status, "draft", "{what}");
            let fresh = preflight(&api, campaign)["fingerprint"].clone();
            assert_ne!(fresh, known, "{what}");
            known = fresh;
        };
        let edit = |body: Value| assert_eq!(ask(&server, "PATCH", &path, &body).status, 200, "{body}");
        changed("content", &|| edit(json!({ "body_text": "Dear {first_name|you}" })));
        changed("rate", &|| edit(json!({ "rate_per_second": 500 })));
        changed("pool", &|| edit(json!({ "pool": "slow" })));
        changed("pool again", &|| edit(json!({ "pool": "fast" })));
        changed("definition", &|| edit(json!({ "audience": { "lists": [list], "tags": ["vip"], "contact_ids": [ids[3]] } })));
        changed("one more member", &|| {
            api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": [ids[2]] }));
        });
        changed("one fewer", &|| {
            assert_eq!(server.send("DELETE", &format!("/v1/lists/{list}/members/{}", ids[2]), &[], b"").status, 200);
        });
        changed("one has unsubscribed", &|| {
            api.post(&format!("/v1/lists/{list}/unsubscribe"), &json!({ "contact_id": ids[1] }));
        });
        changed("a tag", &|| tag(&api, &ids[3..], "vip"));
        let path = format!("{path}/send");
        let others = ask(&server, "POST", &path, &json!({ "preflight": known, "contact_ids": [ids[0]] }));
        assert_refused(&others, 409, "preflight_outdated");
        let launched = send(&server, campaign, &known);
        assert_eq!(launched.status, 202, "{launched:?}");
    }

    fn what_forbids_a_launch_is_said_all_at_once_and_with_the_codes_of_the_launch(db: &Database) {
        let server = Server::with(db, |settings| {
            settings.pools = pools();
            settings.consent.require_topic = true;
        });
        let api = server.api();
        let ids = people(&api, 2);
        let audience = json!({ "contact_ids": ids });
        let campaign = draft(&api, &json!({ "audience": audience }));
        db.execute("UPDATE template_versions SET body_text = 'Dear {nickname}'");
        db.execute("UPDATE campaigns SET pool = 'gone'");
        let said = preflight(&api, campaign);
        let blockers = codes(&said["verdict"]["blockers"]);
        assert_eq!(blockers, ["unknown_placeholder", "topic_required", "pool_missing"], "{said:#}");
        assert_eq!((&said["verdict"]["go"], &said["fingerprint"]), (&json!(false), &json!(null)));
        assert_eq!(said["funnel"]["recipients"], 2, "people are counted all the same");
        let refused = ask(&server, "POST", &format!("/v1/campaigns/{campaign}/send"), &json!({}));
        assert_eq!(refused.code(), blockers[0]);

        let news = api.create_list("News");
        let empty = draft(&api, &json!({ "audience": { "lists": [news] } }));
        api.post("/v1/pools/fast/suspend", &json!({ "reason": "a test" }));
        let said = preflight(&api, empty);
        assert_eq!(codes(&said["verdict"]["blockers"]), ["pool_suspended", "empty_audience"], "{said:#}");
        let nobody = draft(&api, &json!({ "audience": audience, "topic_id": news, "pool": "slow" }));
        let said = preflight(&api, nobody);
        assert_eq!(codes(&said["verdict"]["blockers"]), ["none_eligible"], "{said:#}");
        let none = draft(&api, &json!({ "topic_id": news }));
        assert_eq!(codes(&preflight(&api, none)["verdict"]["blockers"]), ["audience_required", "pool_suspended"]);
    }

    fn no_sample_lets_anybody_refuse_in_the_name_of_a_recipient(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 2);
        let text = "{{ unsubscribe_url }} {{ preferences_url }}";
        let campaign = draft(&api, &json!({ "body_text": text, "audience": { "contact_ids": ids } }));
        let said = preflight(&api, campaign);
        let sample = said["samples"][0]["text"].as_str().unwrap();
        let paths: Vec<&str> = sample.split(' ').filter_map(|url| url.find("/u/").or(url.find("/preferences/")).map(|at| &url[at..])).collect();
        assert_eq!(paths.len(), 2, "{sample}");
        let form = [("Authorization", ""), ("Content-Type", "application/x-www-form-urlencoded")];
        let refused = server.send("POST", paths[0], &form, b"List-Unsubscribe=One-Click");
        assert_ne!(refused.status, 200, "{refused:?}");
        assert_ne!(server.send("GET", paths[1], &form[..1], b"").status, 200, "{sample}");
        assert_eq!(api.get("/v1/suppressions")["data"], json!([]), "nobody has refused");
    }

    fn what_text_messages_take_in_parts_is_counted(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let names = ["Ann", "Zoë", &"Maximilian ".repeat(12)];
        let ids: Vec<i64> = (1..)
            .zip(names)
            .map(|(n, name)| id(&api.post("/v1/contacts", &json!({ "phone": format!("+4420794601{n:02}"), "first_name": name }))))
            .collect();
        let text = json!({
            "channel": "sms", "pool": "texts", "subject": null, "audience": { "contact_ids": ids },
            "body_text": format!("Dear {{first_name}}, {}", "good news. ".repeat(8)),
        });
        let said = preflight(&api, draft(&api, &text));
        // 98 characters; as many with one outside of GSM 03.38, of which 67 go into a part; and more than 160.
        assert_eq!(said["sms_parts"], json!({ "total": 5, "longest": 2, "in_several": 2, "in_unicode": 1 }), "{said:#}");
        let email = preflight(&api, draft(&api, &json!({ "audience": { "contact_ids": ids } })));
        assert_eq!(email.get("sms_parts"), None, "{email:#}");
    }

    fn a_preflight_is_told_line_by_line_and_only_of_campaigns_that_can_be_launched(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 3);
        let campaign = draft(&api, &json!({ "audience": { "contact_ids": ids }, "pool": "slow", "rate_per_second": 100 }));
        let path = format!("/v1/campaigns/{campaign}/preflight");
        let told = server.send("POST", &path, &[JSON, ("Accept", "application/x-ndjson")], b"{}");
        assert_eq!((told.status, told.header("content-type")), (200, Some("application/x-ndjson")), "{told:?}");
        let said = preflight(&api, campaign);
        assert_eq!((said["estimate"]["bound_by"].as_str(), &said["estimate"]["seconds"]), (Some("pool"), &json!(2)), "{said:#}");
        assert_eq!(said["samples"].as_array().unwrap().len(), 3);
        assert_eq!(said["samples"][0]["text"], "Dear First1");
        assert_refused(&ask(&server, "POST", "/v1/campaigns/4711/preflight", &json!({})), 404, "campaign_not_found");
        api.send(campaign);
        assert_illegal(&ask(&server, "POST", &path, &json!({})), "sending");
    }
}
