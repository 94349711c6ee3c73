//! The links of a recipient.

use serde_json::{Value, json};

use super::{LONG, assert_refused, draft, people, pools};
use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::Server;

both_backends! {
    fn the_link_of_a_recipient_that_the_api_gives_takes_effect_while_the_campaign_runs(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 8);
        let list = api.create_list("News");
        api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": ids }));
        let campaign = draft(&api, &json!({ "pool": "slow", "audience": { "lists": [list] } }));
        api.send(campaign);
        api.wait(campaign, "everyone is packed", LONG, |seen| seen.stats.total == 8);
        let last = ids[7];
        let links = api.get(&format!("/v1/campaigns/{campaign}/deliveries/{last}/links"));
        let url = links["unsubscribe_url"].as_str().expect("a link");
        assert_eq!(links["headers"]["List-Unsubscribe"], format!("<{url}>"));
        assert_eq!(links["headers"]["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click");
        assert!(links["preferences_url"].as_str().unwrap().contains("/preferences/"), "{links}");
        let path = url.split_once("/u/").map(|(_, token)| format!("/u/{token}")).unwrap();
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        let refused = server.send("POST", &path, &[("Authorization", ""), form], b"List-Unsubscribe=One-Click");
        assert_eq!(refused.status, 200, "{refused:?}");
        assert_eq!(api.campaign(campaign).status, "sending", "it was to run still");
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.stats.sent, ended.stats.skipped), (7, 1), "{}", ended.body);
        let skipped = api.deliveries(campaign, "skipped");
        assert_eq!((&skipped[0]["contact"]["id"], &skipped[0]["error"]), (&json!(last), &json!("unsubscribed")));
    }

    fn links_are_given_of_recipients_alone_and_the_audit_log_says_of_whom(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 1);
        let phone = id(&api.post("/v1/contacts", &json!({ "phone": "+14155552671" })));
        let made = api.post("/v1/keys", &json!({ "name": "operators", "scope": "operate" }));
        let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
        let get = |path: &str| server.send("GET", path, &[("Authorization", &bearer)], b"");
        let campaign = draft(&api, &json!({ "audience": { "contact_ids": ids } }));
        let path = |contact: i64| format!("/v1/campaigns/{campaign}/deliveries/{contact}/links");
        assert_refused(&get(&path(ids[0])), 404, "delivery_not_found");
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let given = get(&path(ids[0]));
        assert_eq!((given.status, &given.body["contact_id"]), (200, &json!(ids[0])));
        let other = get(&path(phone));
        assert_refused(&other, 404, "delivery_not_found");
        assert_eq!(other.body["ids"], json!([phone]));
        assert_refused(&get("/v1/campaigns/4711/deliveries/1/links"), 404, "campaign_not_found");
        assert_refused(&get(&format!("/v1/campaigns/{campaign}/deliveries/x/links")), 400, "id_malformed");
        let lines = api.get(&format!("/v1/audit-log?action=read&object=campaign&key_id={}", made["id"]));
        let told: Vec<&Value> = lines["data"].as_array().unwrap().iter().map(|line| &line["after"]).collect();
        assert_eq!(told, [&json!({ "fields": ["links"], "contact_ids": [ids[0]] })], "{lines}");
        let text = draft(&api, &json!({ "channel": "sms", "pool": "texts", "subject": "", "audience": { "contact_ids": [phone] } }));
        api.send(text);
        api.wait_ended(text, LONG);
        let links = api.get(&format!("/v1/campaigns/{text}/deliveries/{phone}/links"));
        assert_eq!(links["headers"], json!({}), "a text message has no headers");
        assert!(links["unsubscribe_url"].is_string(), "{links}");
    }
}
