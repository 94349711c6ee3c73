//! The audit log's page: what belongs together is one line.

use serde_json::json;
use volley::domain::channel::ChannelKind;

use super::{Visitor, assert_page, text};
use crate::support::both_backends;
use crate::support::server::{ROOT_KEY, Server, sandbox};

const LONG: std::time::Duration = std::time::Duration::from_secs(60);

both_backends! {
    fn edits_of_one_draft_that_follow_each_other_are_one_line_of_the_audit_log(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let list = api.a_list_of(2);
        let campaign = api.create_campaign("email", "main", list, &json!({}));
        let change = |body: serde_json::Value| {
            let json = [("Content-Type", "application/json")];
            let changed = server.send("PATCH", &format!("/v1/campaigns/{campaign}"), &json, body.to_string().as_bytes());
            assert_eq!(changed.status, 200, "{changed:?}");
        };
        change(json!({ "name": "A" }));
        change(json!({ "name": "B" }));
        change(json!({ "name": "C", "rate_per_second": 5 }));
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let path = format!("/ui/audit?object=campaign&object_id={campaign}");
        let page = visitor.get(&path);
        assert_page(&page, 200);
        let shown = text(&page);
        assert_eq!(shown.matches("<tr><td class=\"since\">").count(), 2, "one for the edits, one for its making: {shown}");
        assert!(shown.contains("3 times since ") && shown.contains("name, rate per second"), "{shown}");
        // Something else between them, and two lines are two.
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let lines = api.get(&format!("/v1/audit-log?object=campaign&object_id={campaign}"));
        assert_eq!(lines["data"].as_array().unwrap().iter().filter(|line| line["action"] == "updated").count(), 3, "the API has each: {lines}");
        assert!(text(&visitor.get(&path)).contains("3 times since "));
    }
}
