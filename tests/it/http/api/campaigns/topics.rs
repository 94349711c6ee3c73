//! Why a campaign is sent, and what it is about.

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;

use super::{JSON, LONG, ask, assert_refused, draft, fields, people, pools};
use crate::support::api::{Api, id};
use crate::support::server::{Server, sandbox};
use crate::support::waiting::wait_for;
use crate::support::{Database, both_backends};

fn strict(db: &Database) -> Server {
    Server::with(db, |settings| {
        settings.pools = pools();
        settings.pools.push(sandbox("api", ChannelKind::Http, 0.0));
        settings.consent.require_topic = true;
    })
}

/// A list with some of the people on it.
fn list_of(api: &Api, name: &str, ids: &[i64]) -> i64 {
    let list = api.create_list(name);
    api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": ids }));
    list
}

fn skips(body: &Value) -> &Value {
    &body["stats"]["skipped_by_reason"]
}

both_backends! {
    fn marketing_needs_a_topic_on_every_channel_and_goes_to_those_who_agreed_to_it(db: &Database) {
        let server = strict(db);
        let api = server.api();
        let ids = people(&api, 3);
        let list = list_of(&api, "News", &ids[..2]);
        for more in [json!({}), json!({ "channel": "sms", "pool": "texts", "subject": "" }), json!({ "channel": "http", "pool": "api" })] {
            let mut body = fields(&more);
            body["audience"] = json!({ "all": true });
            let campaign = id(&api.post("/v1/campaigns", &body));
            let refused = ask(&server, "POST", &format!("/v1/campaigns/{campaign}/send"), &json!({}));
            assert_refused(&refused, 422, "topic_required");
            assert_eq!(refused.field(), "/topic_id");
        }
        let campaign = draft(&api, &json!({ "audience": { "all": true } }));
        let path = format!("/v1/campaigns/{campaign}");
        assert_refused(&ask(&server, "PATCH", &path, &json!({ "topic_id": 4711 })), 404, "list_not_found");
        let edited = ask(&server, "PATCH", &path, &json!({ "topic_id": list }));
        assert_eq!((edited.status, &edited.body["topic_id"]), (200, &json!(list)));
        let preview = api.post(&format!("{path}/personalized-preview"), &json!({ "contact_id": ids[2] }));
        assert_eq!(preview["skip_reason"], "not_subscribed", "{preview}");
        api.send(campaign);
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.stats.sent, ended.stats.skipped), (2, 1), "{}", ended.body);
        assert_eq!(skips(&ended.body), &json!({ "not_subscribed": 1 }));
        assert_eq!(ended.body["category"], "marketing");
        // The lists of an audience are its topics.
        let to_list = draft(&api, &json!({ "audience": { "lists": [list] } }));
        api.send(to_list);
        assert_eq!(api.wait_ended(to_list, LONG).stats.sent, 2);
    }

    fn a_campaign_names_its_lists_by_slug_and_what_is_wrong_is_named_with_its_field(db: &Database) {
        let server = strict(db);
        let api = server.api();
        let ids = people(&api, 3);
        let (news, tired) = (list_of(&api, "News", &ids), list_of(&api, "Tired people", &ids[..1]));
        let audience = json!({ "lists": ["news", news], "exclude": { "lists": ["tired-people"] } });
        let made = api.post("/v1/campaigns", &fields(&json!({ "topic_id": "news", "audience": audience })));
        assert_eq!(made["topic_id"], news);
        assert_eq!(made["audience"], json!({ "lists": [news], "exclude": { "lists": [tired] } }));
        let path = format!("/v1/campaigns/{}", id(&made));
        for (body, fields, ids) in [
            (json!({ "topic_id": "newz" }), json!(["/topic_id"]), json!(null)),
            (json!({ "topic_id": 4711 }), json!(["/topic_id"]), json!([4711])),
            (
                json!({ "audience": { "lists": ["news", "newz"], "exclude": { "lists": [4711, tired, "old"] } } }),
                json!(["/audience/lists/1", "/audience/exclude/lists/0", "/audience/exclude/lists/2"]),
                json!([4711]),
            ),
        ] {
            let refused = ask(&server, "PATCH", &path, &body);
            assert_refused(&refused, 404, "list_not_found");
            let named: Value = refused.body["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
            assert_eq!((&named, &refused.body["ids"]), (&fields, &ids), "{refused:?}");
        }
        for (name, code) in [(json!("Tired people"), "invalid"), (json!("12"), "invalid"), (json!(1.5), "wrong_type"), (json!(null), "wrong_type")] {
            let refused = ask(&server, "PATCH", &path, &json!({ "audience": { "lists": [news, name] } }));
            assert_eq!((refused.status, refused.code(), refused.field()), (422, code, "/audience/lists/1"), "{name}");
        }
        let many = ask(&server, "PATCH", &path, &json!({ "audience": { "lists": vec![news; 1_001] } }));
        assert_eq!((many.status, many.code(), many.field()), (422, "out_of_range", "/audience/lists"));
        assert_eq!(api.get(&path)["audience"], made["audience"], "nothing was stored by halves");
        let cleared = ask(&server, "PATCH", &path, &json!({ "topic_id": null, "audience": { "lists": ["tired-people"] } }));
        assert_eq!((&cleared.body["topic_id"], &cleared.body["audience"]), (&json!(null), &json!({ "lists": [tired] })));
        let kept = ask(&server, "PATCH", &path, &json!({ "topic_id": "news" }));
        assert_eq!((&kept.body["topic_id"], &kept.body["audience"]), (&json!(news), &json!({ "lists": [tired] })));
        api.send(id(&made));
        assert_eq!(api.wait_ended(id(&made), LONG).stats.sent, 1);
    }

    fn transactional_is_said_by_the_template_and_pinned_at_the_launch(db: &Database) {
        let server = strict(db);
        let api = server.api();
        people(&api, 2);
        let body = json!({ "name": "Receipt", "channel": "email", "subject": "s", "body_text": "b" });
        let template = api.post("/v1/templates", &body);
        assert_eq!(template["category"], "marketing", "never transactional by default");
        let template = id(&template);
        let changed = ask(&server, "PATCH", &format!("/v1/templates/{template}"), &json!({ "category": "transactional" }));
        assert_eq!((&changed.body["category"], &changed.body["version"]), (&json!("transactional"), &json!(1)));
        let with = json!({ "name": "R", "channel": "email", "pool": "fast", "template_id": template, "audience": { "all": true } });
        let campaign = api.post("/v1/campaigns", &with);
        assert_eq!(campaign["category"], "transactional");
        let campaign = id(&campaign);
        let path = format!("/v1/campaigns/{campaign}");
        assert_refused(&ask(&server, "PATCH", &path, &json!({ "category": "marketing" })), 422, "category_of_template");
        api.send(campaign);
        assert_eq!(api.wait_ended(campaign, LONG).stats.sent, 2);
        ask(&server, "PATCH", &format!("/v1/templates/{template}"), &json!({ "category": "marketing" }));
        assert_eq!(api.get(&path)["category"], "transactional", "it keeps the one that it was launched with");
        let own = draft(&api, &json!({ "audience": { "all": true }, "category": "transactional" }));
        api.send(own);
        assert_eq!(api.wait_ended(own, LONG).stats.sent, 2);
    }

    fn a_scheduled_campaign_that_would_be_refused_says_so_before_it_is_due(db: &Database) {
        let before = Server::with_pools(db, pools());
        let ids = people(&before.api(), 1);
        let list = list_of(&before.api(), "News", &ids);
        let at = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2)).to_string();
        let body = fields(&json!({ "audience": { "all": true }, "scheduled_at": at }));
        let campaign = id(&before.api().post("/v1/campaigns", &body));
        drop(before);
        let after = strict(db);
        let api = after.api();
        let path = format!("/v1/campaigns/{campaign}");
        let attention = wait_for("it says so", LONG, || Some(api.get(&path)["attention"].clone()).filter(Value::is_object));
        assert_eq!(attention["code"], "launch_impossible", "{attention}");
        assert!(attention["detail"].as_str().unwrap().starts_with("topic_required: "), "{attention}");
        let edited = ask(&after, "PATCH", &path, &json!({ "topic_id": list }));
        assert_eq!((edited.status, &edited.body["status"], &edited.body["attention"]), (200, &json!("scheduled"), &Value::Null));
    }

    fn a_test_message_overrides_no_refusal(db: &Database) {
        let server = strict(db);
        let api = server.api();
        let ids = people(&api, 3);
        let list = list_of(&api, "News", &ids);
        for (n, column) in [(1, "unsubscribed_at"), (2, "bounced_at")] {
            server.execute(format!(
                "INSERT INTO suppressions (address, channel, topic, {column}, created_at, updated_at) \
                 VALUES ('person{n}@example.com', 'email', 0, 1, 0, 0)"
            ));
        }
        let campaign = draft(&api, &json!({ "audience": { "lists": [list] } }));
        let path = format!("/v1/campaigns/{campaign}/test-send");
        let tested = server.send("POST", &path, &[JSON], json!({ "contact_ids": ids }).to_string().as_bytes());
        let outcomes: Vec<&Value> = tested.body["results"].as_array().unwrap().iter().map(|one| &one["outcome"]).collect();
        assert_eq!(outcomes, ["unsubscribed", "suppressed", "accepted"], "{tested:?}");
        api.send(campaign);
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!(skips(&ended.body), &json!({ "unsubscribed": 1, "suppressed": 1 }), "{}", ended.body);
    }
    fn only_an_administrator_sends_a_transactional_campaign_to_many(db: &Database) {
        let server = Server::with(db, |settings| {
            settings.pools = pools();
            settings.consent.transactional_campaign_limit = 2;
        });
        let api = server.api();
        let ids = people(&api, 3);
        let made = api.post("/v1/keys", &json!({ "name": "operators", "scope": "operate" }));
        let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
        let as_operator = |path: &str, body: &Value| {
            server.send("POST", path, &[JSON, ("Authorization", &bearer)], body.to_string().as_bytes())
        };
        let to = |audience: Value| draft(&api, &json!({ "category": "transactional", "audience": audience }));
        let many = to(json!({ "all": true }));
        let path = format!("/v1/campaigns/{many}");
        assert_refused(&as_operator(&format!("{path}/send"), &json!({})), 403, "transactional_limit");
        let at = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2)).to_string();
        let later = as_operator(&format!("{path}/schedule"), &json!({ "scheduled_at": at }));
        assert_refused(&later, 403, "transactional_limit");
        assert_eq!((api.campaign(many).status.as_str(), api.campaign(many).stats.total), ("draft", 0));
        let few = to(json!({ "contact_ids": ids[..2] }));
        assert_eq!(as_operator(&format!("/v1/campaigns/{few}/send"), &json!({})).status, 202);
        api.send(many);
        assert_eq!(api.wait_ended(many, LONG).stats.sent, 3);
    }

    fn a_test_message_overrides_no_refusal_of_what_the_campaign_is_about(db: &Database) {
        let server = strict(db);
        let api = server.api();
        let ids = people(&api, 4);
        let list = list_of(&api, "News", &ids[..1]);
        api.post(&format!("/v1/lists/{list}/unsubscribe"), &json!({ "members": [{ "contact_id": ids[0] }, { "contact_id": ids[1] }] }));
        server.execute(format!(
            "INSERT INTO suppressions (address, channel, topic, unsubscribed_at, created_at, updated_at) \
             VALUES ('person3@example.com', 'email', {list}, 1, 0, 0)"
        ));
        let tests = |category: &str| {
            let campaign = draft(&api, &json!({ "audience": { "all": true }, "topic_id": list, "category": category }));
            let path = format!("/v1/campaigns/{campaign}/test-send");
            let tested = server.send("POST", &path, &[JSON], json!({ "contact_ids": ids }).to_string().as_bytes());
            let outcome = |one: &Value| one["outcome"].as_str().unwrap().to_owned();
            tested.body["results"].as_array().unwrap().iter().map(outcome).collect::<Vec<String>>()
        };
        // A tester who is on none of the lists gets tests all the same.
        assert_eq!(tests("marketing"), ["unsubscribed", "unsubscribed", "unsubscribed", "accepted"]);
        assert_eq!(tests("transactional"), ["accepted"; 4]);
    }

    fn a_template_makes_no_scheduled_campaign_transactional(db: &Database) {
        let server = strict(db);
        let api = server.api();
        let ids = people(&api, 3);
        let list = list_of(&api, "News", &ids[..1]);
        let template = id(&api.post("/v1/templates", &json!({ "name": "News", "channel": "email", "subject": "s", "body_text": "b" })));
        let at = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2)).to_string();
        let body = json!({
            "name": "News", "channel": "email", "pool": "fast", "template_id": template, "topic_id": list,
            "audience": { "all": true }, "scheduled_at": at,
        });
        let campaign = id(&api.post("/v1/campaigns", &body));
        let path = format!("/v1/campaigns/{campaign}");
        let say = |category: &str| {
            let said = ask(&server, "PATCH", &format!("/v1/templates/{template}"), &json!({ "category": category }));
            assert_eq!(said.body["category"], category, "{said:?}");
        };
        say("transactional");
        assert_eq!(api.get(&path)["category"], "marketing", "as it was scheduled");
        let renamed = ask(&server, "PATCH", &path, &json!({ "name": "Newer" }));
        assert_eq!(renamed.body["category"], "marketing", "{renamed:?}");
        // To take it back and schedule it again is to say so.
        assert_eq!(api.post(&format!("{path}/unschedule"), &json!({}))["category"], "transactional");
        assert_eq!(api.post(&format!("{path}/schedule"), &json!({ "scheduled_at": at }))["category"], "transactional");
        say("marketing");
        assert_eq!(api.get(&path)["category"], "marketing", "what asks for consent counts at once");
        say("transactional");
        api.post(&format!("{path}/unschedule"), &json!({}));
        say("marketing");
        api.post(&format!("{path}/schedule"), &json!({ "scheduled_at": at }));
        say("transactional");
        server.execute(format!("UPDATE campaigns SET scheduled_at = 1 WHERE id = {campaign}"));
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.stats.sent, ended.stats.skipped), (1, 2), "{}", ended.body);
        assert_eq!(ended.body["category"], "marketing");
    }

    fn a_launch_at_its_time_asks_with_the_rights_of_the_key_that_set_it(db: &Database) {
        let limited = |db: &Database| Server::with(db, |settings| {
            settings.pools = pools();
            settings.consent.transactional_campaign_limit = 2;
        });
        let server = limited(db);
        let api = server.api();
        let ids = people(&api, 4);
        let list = list_of(&api, "Customers", &ids[..2]);
        let made = api.post("/v1/keys", &json!({ "name": "operators", "scope": "operate" }));
        let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
        let at = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2)).to_string();
        let to_list = || fields(&json!({ "category": "transactional", "audience": { "lists": [list] }, "scheduled_at": at }));
        let by_operator = |method: &str, path: &str, body: &Value| {
            let done = server.send(method, path, &[JSON, ("Authorization", &bearer)], body.to_string().as_bytes());
            assert!(done.status < 300, "{done:?}");
            id(&done.body)
        };
        let [waits, falls_due] = [(), ()].map(|()| by_operator("POST", "/v1/campaigns", &to_list()));
        let [by_admin, edited] = [(), ()].map(|()| id(&api.post("/v1/campaigns", &to_list())));
        by_operator("PATCH", &format!("/v1/campaigns/{edited}"), &json!({ "name": "Now mine" }));
        // Until then, more people come to the list than an operator may write to so.
        api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": ids }));
        server.execute(format!("UPDATE campaigns SET scheduled_at = 1 WHERE id IN ({falls_due}, {by_admin}, {edited})"));
        for refused in [falls_due, edited] {
            let ended = api.wait_ended(refused, LONG);
            assert_eq!((ended.status.as_str(), ended.stats.total), ("failed", 0), "{}", ended.body);
            assert_eq!(ended.body["launch_error"]["code"], "transactional_limit", "{}", ended.body);
        }
        assert_eq!(api.wait_ended(by_admin, LONG).stats.sent, 4);
        drop(server);
        let server = limited(db);
        let (api, path) = (server.api(), format!("/v1/campaigns/{waits}"));
        let attention = wait_for("it says so", LONG, || Some(api.get(&path)["attention"].clone()).filter(Value::is_object));
        assert!(attention["detail"].as_str().unwrap().starts_with("transactional_limit: "), "{attention}");
    }
}
