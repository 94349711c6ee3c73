//! What the pages of a campaign show of its course and of what was decided about it.

use serde_json::json;
use volley::domain::channel::ChannelKind;

use super::system::with_scope;
use super::{LONG, Visitor, assert_page, site, text};
use crate::support::both_backends;
use crate::support::server::{ROOT_KEY, Server, sandbox};

both_backends! {
    fn the_course_of_a_campaign_is_drawn_and_the_same_numbers_stand_below_it(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.3)]);
        let api = server.api();
        let campaign = api.create_campaign("email", "main", api.a_list_of(150), &json!({ "name": "Spring" }));
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let path = format!("/ui/campaigns/{campaign}");
        assert!(!text(&visitor.get(&path)).contains("id=\"course\""), "a draft has none");
        api.send(campaign);
        let stats = api.wait_ended(campaign, LONG).stats;
        let page = visitor.get(&path);
        assert_page(&page, 200);
        let shown = text(&page);
        assert!(shown.contains("class=\"col sent\"") && shown.contains("class=\"col failed\""), "{shown}");
        assert!(shown.contains(&format!("{} sent, {} failed", stats.sent, stats.failed)), "{shown}");
        assert!(shown.contains("launched by root key") && shown.contains("<line class=\"mark\""), "{shown}");
        assert!(!shown.contains("before Volley counted"), "{shown}");
        let (_, reasons) = shown.split_once("Why not sent").unwrap_or_else(|| panic!("{shown}"));
        let link = reasons.split("<td class=\"number\"><a href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
        let people = visitor.get(&link);
        assert_page(&people, 200);
        assert!(text(&people).contains("id=\"kind\"") && text(&people).contains("<tr><th scope=\"row\">"), "{link}: {people:?}");
        let table = shown.split("The same as a table").nth(1).unwrap().split("</table>").next().unwrap();
        let sum: i64 = table
            .split("<tr><th scope=\"row\">")
            .skip(1)
            .map(|row| row.split("<td class=\"number").nth(1).unwrap())
            .map(|cell| cell.split('>').nth(1).unwrap().split('<').next().unwrap().replace(',', "").parse::<i64>().unwrap())
            .sum();
        assert_eq!(u64::try_from(sum).unwrap(), stats.sent, "{table}");

        server.execute("DELETE FROM campaign_minutes".to_owned());
        let page = visitor.get(&path);
        assert!(text(&page).contains("went out before Volley counted minutes"), "{page:?}");
    }

    fn decisions_are_read_by_who_made_them_and_through_which_door(db: &Database) {
        let (server, campaign) = site(db);
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let act = |act: &str| format!("/ui/campaigns/{campaign}/{act}");
        let form = format!("idempotency_key={}", visitor.form_key(&act("pause")));
        assert_eq!(visitor.press(&act("pause"), &form).status, 303);
        let decided = server.api().get(&format!("/v1/campaigns/{campaign}/decisions"));
        assert_eq!((&decided["data"][0]["door"], &decided["data"][1]["door"]), (&json!("page"), &json!("api")), "{decided}");
        let page = visitor.get(&act("decisions"));
        assert_page(&page, 200);
        let shown = text(&page);
        assert!(shown.contains("paused <a class=\"quiet\" href=\"#receipt\">") && shown.contains("id=\"receipt\""), "{shown}");
        assert!(shown.contains("/ui/audit?request_id="), "an administrator goes on from here: {shown}");
        assert!(shown.contains(&format!("GET /v1/campaigns/{campaign}/decisions")), "{shown}");

        let reader = with_scope(&server, "read");
        let page = reader.get(&act("decisions"));
        assert_page(&page, 200);
        assert!(text(&page).contains("root key") && !text(&page).contains("/ui/audit"), "{page:?}");
        let part = reader.get(&act("decisions?page_size=1"));
        assert!(text(&part).contains("rel=\"next\""), "{part:?}");
        assert_page(&reader.get("/ui/campaigns/4711/decisions"), 404);
    }
}
