//! What is known of one contact: how it stands on lists, why it may get nothing, and what was sent to it.

use std::time::Duration;

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;

use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::{Server, sandbox};

const LONG: Duration = Duration::from_secs(60);

fn campaigns(answer: &Value) -> Vec<i64> {
    answer["data"].as_array().unwrap().iter().map(|one| one["campaign_id"].as_i64().unwrap()).collect()
}

fn refused(server: &Server, path: &str) -> (u16, String) {
    let answer = server.send("GET", path, &[], b"");
    (answer.status, answer.code().to_owned())
}

both_backends! {
    fn a_contact_is_told_what_was_sent_to_it_and_nothing_of_others(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let ann = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com" })));
        let (first, other) = (api.create_list("First"), api.create_list("Other"));
        let put = |list: i64, contact: i64| {
            api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": [contact] }));
        };
        put(first, ann);
        let send = |list: i64, name: &str| {
            let campaign = api.create_campaign("email", "main", list, &json!({ "name": name, "body_text": "x" }));
            api.send(campaign);
            api.wait_ended(campaign, LONG);
            campaign
        };
        let spring = send(first, "Spring");
        let ben = id(&api.post("/v1/contacts", &json!({ "email": "ben@example.com" })));
        put(other, ben);
        let (_, summer) = (send(other, "Not for her"), send(first, "Summer"));
        let path = format!("/v1/contacts/{ann}/deliveries");
        let sent = api.get(&path);
        assert_eq!(campaigns(&sent), [summer, spring], "the newest comes first: {sent}");
        let newest = &sent["data"][0];
        assert_eq!((&newest["campaign"], &newest["status"]), (&json!("Summer"), &json!("sent")), "{sent}");
        assert!(newest["settled_at"].is_string() && newest["provider_id"].is_string(), "{sent}");
        assert_eq!((&sent["campaigns_looked_at"], &sent["next_cursor"]), (&json!(3), &json!(null)), "{sent}");
        let of_ben = api.get(&format!("/v1/contacts/{ben}/deliveries"));
        assert_eq!(campaigns(&of_ben).len(), 1, "{of_ben}");
        assert_eq!(of_ben["campaigns_looked_at"], json!(2), "the launch of Spring did not know him: {of_ben}");
        let page = api.get(&format!("{path}?page_size=1"));
        assert_eq!((campaigns(&page), &page["campaigns_looked_at"]), (vec![summer], &json!(1)), "{page}");
        let cursor = page["next_cursor"].as_str().unwrap();
        let rest = api.get(&format!("{path}?page_size=1&cursor={cursor}"));
        assert_eq!((campaigns(&rest), &rest["next_cursor"]), (vec![spring], &json!(null)), "{rest}");
        assert_eq!(refused(&server, &format!("{path}?cursor=7")), (400, "cursor_invalid".to_owned()));
        assert_eq!(refused(&server, &format!("{path}?page_size=0")), (400, "out_of_range".to_owned()));
        assert_eq!(refused(&server, "/v1/contacts/4711/deliveries"), (404, "contact_not_found".to_owned()));
    }

    fn a_contact_shows_its_lists_and_why_it_gets_nothing(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let ann = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com", "phone": "+442079460123" })));
        let (news, offers) = (api.create_list("News"), api.create_list("Offers"));
        for (list, act) in [(news, "subscribe"), (offers, "unsubscribe")] {
            api.post(&format!("/v1/lists/{list}/{act}"), &json!({ "contact_id": ann }));
        }
        let lists = api.get(&format!("/v1/contacts/{ann}/lists"));
        let seen: Vec<(i64, &str, &str)> = lists["data"].as_array().unwrap().iter().map(|one| {
            let text = |name: &str| one[name].as_str().unwrap();
            (one["list_id"].as_i64().unwrap(), text("name"), text("standing"))
        }).collect();
        assert_eq!(seen, [(news, "News", "subscribed"), (offers, "Offers", "unsubscribed")], "{lists}");
        assert!(lists["data"][0]["since"].is_string() && lists["data"][0]["source"].is_string(), "{lists}");
        api.post("/v1/suppressions", &json!({ "address": "+442079460123", "reason": "blocked" }));
        api.post("/v1/suppressions", &json!({ "address": "other@example.com", "reason": "blocked" }));
        api.post("/v1/suppressions", &json!({ "domain": "example.com" }));
        let found = api.get(&format!("/v1/contacts/{ann}/suppressions"));
        let of_all: Vec<(&str, &Value)> = found["data"].as_array().unwrap().iter()
            .map(|one| (one["channel"].as_str().unwrap(), &one["reasons"])).collect();
        let blocked = json!(["blocked"]);
        assert!(of_all.contains(&("sms", &blocked)) && of_all.contains(&("whatsapp", &blocked)), "{found}");
        assert!(!found.to_string().contains("other@example.com"), "{found}");
        assert_eq!(found["blocked_domain"]["domain"], "example.com", "{found}");
        for path in ["lists", "suppressions"] {
            let nobody = refused(&server, &format!("/v1/contacts/4711/{path}"));
            assert_eq!(nobody, (404, "contact_not_found".to_owned()));
        }
    }

    fn one_address_and_one_domain_are_looked_up_whole(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        for address in ["ann@example.com", "joann@example.com", "+442079460123"] {
            api.post("/v1/suppressions", &json!({ "address": address, "reason": "blocked" }));
        }
        for domain in ["example.com", "example.org"] {
            api.post("/v1/suppressions", &json!({ "domain": domain }));
        }
        let found = |query: &str| -> Vec<String> {
            let answer = api.get(&format!("/v1/suppressions?{query}"));
            answer["data"].as_array().unwrap().iter().map(|one| one["address"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(found("address=%20Ann@EXAMPLE.com&channel=email"), ["ann@example.com"]);
        assert_eq!(found("address=0044%2020%207946%200123&channel=sms"), ["+442079460123"]);
        assert!(found("address=ben@example.com").is_empty());
        let domains = api.get("/v1/suppressions/domains?domain=Example.ORG");
        assert_eq!(domains["data"].as_array().unwrap().len(), 1, "{domains}");
        assert_eq!(domains["data"][0]["domain"], "example.org", "{domains}");
        assert_eq!(refused(&server, "/v1/suppressions/domains?domain=a%20b").0, 400);
        assert_eq!(refused(&server, "/v1/suppressions?address=").0, 400);
    }
}
