//! How many people an audience names and a channel reaches, and edits of a draft that know what they have seen.

use serde_json::{Value, json};

use super::{ask, assert_refused, draft, people, pools};
use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::Server;

both_backends! {
    fn a_count_says_who_is_reached_through_a_channel_and_why_the_others_are_not(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let (news, vips) = (api.create_list("News"), api.create_list("Vips"));
        let all = people(&api, 8);
        let stranger = id(&api.post("/v1/contacts", &json!({ "external_id": "c-1" })));
        let members: Vec<i64> = all.iter().copied().chain([stranger]).collect();
        api.post(&format!("/v1/lists/{news}/members"), &json!({ "contact_ids": members }));
        api.post(&format!("/v1/lists/{vips}/members"), &json!({ "contact_ids": [all[0], all[1]] }));
        api.post("/v1/suppressions", &json!({ "address": "person3@example.com", "reason": "complained" }));
        let audience = json!({ "lists": [news], "exclude": { "lists": ["vips"] } });
        let plain = api.post("/v1/audiences/count", &json!({ "audience": audience }));
        assert_eq!(plain, json!({ "count": 7, "exact": true, "error": 0, "contacts": 9 }));
        let counted = api.post("/v1/audiences/count", &json!({ "audience": audience, "channel": "email" }));
        assert_eq!(counted["count"], 7);
        assert_eq!(
            counted["reach"],
            json!({
                "looked_at": 9, "complete": true, "excluded": 2, "reached": 5,
                "skipped_by_reason": { "no_address": 1, "suppressed": 1 }, "examples": all[3..].to_vec(),
            })
        );
        let by_text = api.post("/v1/audiences/count", &json!({ "audience": audience, "channel": "sms" }));
        assert_eq!((&by_text["reach"]["reached"], &by_text["reach"]["skipped_by_reason"]["no_address"]), (&json!(0), &json!(7)));
        // About a list to which few agreed.
        let about = json!({ "audience": audience, "channel": "email", "topic_id": "vips" });
        let about = api.post("/v1/audiences/count", &about);
        assert_eq!(about["reach"]["reached"], 0, "{about}");
        let caused = json!({ "audience": audience, "channel": "email", "topic_id": "vips", "category": "transactional" });
        assert_eq!(api.post("/v1/audiences/count", &caused)["reach"]["reached"], 5);
        let wrong = json!({ "audience": audience, "channel": "email", "topic_id": "nowhere" });
        assert_refused(&ask(&server, "POST", "/v1/audiences/count", &wrong), 404, "list_not_found");
    }

    fn an_edit_that_has_not_seen_the_last_one_changes_nothing(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let campaign = draft(&api, &json!({}));
        let path = format!("/v1/campaigns/{campaign}");
        let edit = |body: Value| ask(&server, "PATCH", &path, &body);
        let seen = api.get(&path)["updated_at"].clone();
        let first = edit(json!({ "name": "One", "if_updated_at": seen }));
        assert_eq!(first.status, 200, "{first:?}");
        let second = edit(json!({ "name": "Two", "if_updated_at": seen }));
        assert_refused(&second, 409, "changed_meanwhile");
        assert_eq!(api.get(&path)["name"], "One");
        let third = edit(json!({ "name": "Two", "if_updated_at": first.body["updated_at"] }));
        assert_eq!((third.status, &third.body["name"]), (200, &json!("Two")), "{third:?}");
        assert_refused(&edit(json!({ "name": "Three", "if_updated_at": "soon" })), 422, "invalid");
    }

    fn the_same_edit_again_changes_nothing_and_is_not_refused(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let (campaign, list) = (draft(&api, &json!({})), api.create_list("News"));
        let path = format!("/v1/campaigns/{campaign}");
        let lines = || api.get(&format!("/v1/audit-log?object=campaign&object_id={campaign}&action=updated"))["data"].clone();
        let seen = api.get(&path)["updated_at"].clone();
        let with = |name: &str| json!({
            "name": name, "pool": "slow", "subject": "Hello", "body_text": "Dear friend", "body_html": "<p>Dear friend</p>",
            "audience": { "lists": [list] }, "topic_id": list, "category": "transactional",
            "rate_per_second": 12.5, "retry_for": "90m", "on_uncertain": "resend", "tracking": { "clicks": true, "opens": false },
            "if_updated_at": seen,
        });
        let first = ask(&server, "PATCH", &path, &with("One"));
        assert_eq!(first.status, 200, "{first:?}");
        assert!(first.body["updated_at"].as_str() > seen.as_str(), "{seen}: {first:?}");
        let written = lines();
        assert_eq!(written.as_array().unwrap().len(), 1, "{written}");
        for same in [with("One"), json!({ "name": "One" }), json!({ "template_id": null, "if_updated_at": seen })] {
            let again = ask(&server, "PATCH", &path, &same);
            assert_eq!((again.status, &again.body), (200, &first.body), "{same}");
            assert_eq!(lines(), written, "{same}");
        }
        assert_refused(&ask(&server, "PATCH", &path, &with("Two")), 409, "changed_meanwhile");
        assert_eq!((&api.get(&path), &lines()), (&first.body, &written));
    }

    fn of_a_draft_that_is_edited_often_one_content_is_kept(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let campaign = draft(&api, &json!({}));
        let path = format!("/v1/campaigns/{campaign}");
        let contents = || db.number("SELECT count(*) AS n FROM template_versions");
        assert_eq!(contents(), 1);
        for text in ["one", "two", "two", "three"] {
            let edited = ask(&server, "PATCH", &path, &json!({ "body_text": text }));
            assert_eq!((edited.status, &edited.body["body_text"]), (200, &json!(text)), "{edited:?}");
            assert_eq!(contents(), 1);
        }
        let template = api.create_template("email", "Hello", "Dear friend");
        assert_eq!(ask(&server, "PATCH", &path, &json!({ "template_id": template })).status, 200);
        assert_eq!(ask(&server, "PATCH", &path, &json!({ "body_text": "four", "subject": "s" })).status, 200);
        let versions = api.get(&format!("/v1/templates/{template}/versions"));
        assert_eq!(versions["data"].as_array().unwrap().len(), 1, "what belongs to a template stays: {versions}");
    }
}
