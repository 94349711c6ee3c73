//! Which campaigns use a template or a list, and how long histories are walked.

use serde_json::json;
use volley::domain::channel::ChannelKind;

use super::system::with_scope;
use super::{assert_page, text};
use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::{Server, sandbox};

const LONG: std::time::Duration = std::time::Duration::from_secs(60);

/// The numbers from 2 to `most`, as the tail of an INSERT.
fn numbers(select: &str, most: i64) -> String {
    format!("WITH RECURSIVE n(x) AS (SELECT 2 UNION ALL SELECT x + 1 FROM n WHERE x < {most}) SELECT {select} FROM n")
}

both_backends! {
    fn a_template_with_very_many_versions_and_campaigns_shows_the_newest_and_a_way_to_the_others(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let reader = with_scope(&server, "read");
        let template = api.create_template("email", "first", "first");
        let path = format!("/ui/templates/{template}");
        let page = reader.get(&path);
        assert_page(&page, 200);
        assert!(text(&page).contains("No campaign uses it.") && !text(&page).contains("/versions\">All"), "{page:?}");
        let versions = numbers(&format!("{template}, x, 's', 'body', 0"), 3_000);
        server.execute(format!("INSERT INTO template_versions (template_id, version, subject, body_text, created_at) {versions}"));
        let campaigns = numbers(&format!("'Old', 'email', 'draft', {template}, 0, 0"), 3_000);
        server.execute(format!("INSERT INTO campaigns (name, channel, status, template_id, created_at, updated_at) {campaigns}"));
        let newest = json!({ "name": "The newest", "channel": "email", "template_id": template, "audience": { "all": true } });
        let newest = id(&api.post("/v1/campaigns", &newest));
        let page = reader.get(&path);
        assert_page(&page, 200);
        let shown = text(&page);
        assert!(shown.contains(">version 3000</a>") && shown.contains(">version 2991</a>"), "{shown}");
        assert!(!shown.contains(">version 2990</a>"), "the newest ten: {shown}");
        assert!(shown.contains(&format!("<a href=\"{path}/versions\">All 3,000 versions</a>")), "{shown}");
        assert!(shown.contains(&format!("<a href=\"/ui/campaigns/{newest}\">The newest</a>")), "{shown}");
        assert_eq!(shown.matches(">Old</a>").count(), 4, "the newest five: {shown}");
        let all = format!("/ui/campaigns?template_id={template}");
        assert!(shown.contains(&format!("<a href=\"{all}\">All 3,000 campaigns</a>")), "{shown}");
        assert!(shown.len() < 80 * 1024, "{} bytes", shown.len());
        // All of both, page by page.
        let history = reader.get(&format!("{path}/versions"));
        assert_page(&history, 200);
        assert_eq!(text(&history).matches("data-row").count(), 50);
        let older = text(&history).split("\" rel=\"next\"").next().unwrap().rsplit("href=\"").next().unwrap().replace("&#38;", "&");
        let older = reader.get(&older);
        assert_page(&older, 200);
        assert!(text(&older).contains(">version 2950</a>") && text(&older).contains(">version 2901</a>"), "{older:?}");
        let listed = reader.get(&all);
        assert_page(&listed, 200);
        assert!(text(&listed).contains("Those that use the template") && text(&listed).contains("The newest"), "{listed:?}");
        assert!(text(&listed).contains(&format!("GET /v1/campaigns?template_id={template}")), "{listed:?}");
        assert!(text(&listed).contains("rel=\"next\"") && text(&listed).contains(&format!("/ui/campaigns?template_id={template}&#38;status=draft")), "{listed:?}");
        let other = api.create_template("email", "other", "other");
        assert!(text(&reader.get(&format!("/ui/campaigns?template_id={other}"))).contains("No campaign matches."));
        assert_page(&reader.get("/ui/campaigns?template_id=4711"), 404);
        assert_page(&reader.get("/ui/templates/4711/versions"), 404);
        let versions = api.get(&format!("/v1/templates/{template}/versions?page_size=2"));
        assert_eq!((&versions["data"][1]["version"], &versions["pagination"]["total_count"]), (&json!(2_999), &json!(3_000)));
        let next = api.get(&format!("/v1/templates/{template}/versions?cursor={}", versions["next_cursor"].as_str().unwrap()));
        assert_eq!(next["data"][0]["version"], 2_998);
    }

    fn a_list_shows_the_newest_campaigns_that_were_launched_to_it(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let (list, other) = (api.a_list_of(2), api.create_list("Others"));
        let reader = with_scope(&server, "read");
        let path = format!("/ui/lists/{list}");
        assert!(text(&reader.get(&path)).contains("No campaign was launched to it."));
        let mut ids = Vec::new();
        for number in 1..=6 {
            let campaign = api.create_campaign("email", "main", list, &json!({ "name": format!("Number {number}") }));
            api.send(campaign);
            api.wait_ended(campaign, LONG);
            ids.push(campaign);
        }
        api.create_campaign("email", "main", list, &json!({ "name": "A draft" }));
        let without = json!({ "name": "Without", "audience": { "lists": [list], "exclude": { "lists": [other] } } });
        let without = api.create_campaign("email", "main", list, &without);
        api.send(without);
        api.wait_ended(without, LONG);
        let page = reader.get(&path);
        assert_page(&page, 200);
        let shown = text(&page);
        assert!(shown.contains(">Without</a>") && shown.contains(">Number 6</a>") && !shown.contains(">Number 2</a>"), "{shown}");
        assert!(!shown.contains("A draft") && shown.contains(&format!("<a href=\"/ui/campaigns?list_id={list}\">All 7 campaigns</a>")), "{shown}");
        assert!(text(&reader.get(&format!("/ui/lists/{other}"))).contains("No campaign was launched to it."), "who is left out is no recipient");
        let listed = reader.get(&format!("/ui/campaigns?list_id={list}"));
        assert_page(&listed, 200);
        assert!(text(&listed).contains("Those that were launched to the list") && text(&listed).contains("Number 1"), "{listed:?}");
        let found = api.get(&format!("/v1/campaigns?list_id={list}&status=sent"));
        assert_eq!((found["data"].as_array().unwrap().len(), &found["data"][6]["id"]), (7, &json!(ids[0])));
    }
}
