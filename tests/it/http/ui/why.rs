//! The page that says why one person got a campaign's message, or did not.

use serde_json::json;
use volley::domain::channel::ChannelKind;

use super::{LONG, Visitor, assert_page, text};
use crate::support::api::id;
use crate::support::server::{ROOT_KEY, Server, sandbox};
use crate::support::{Database, both_backends};

both_backends! {
    fn a_row_of_the_people_leads_to_why_and_so_does_an_address(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let list = api.create_list("Customers <b>");
        let ann = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com", "first_name": "Ann" })));
        let eve = id(&api.post("/v1/contacts", &json!({ "email": "eve@example.com" })));
        api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": [ann] }));
        let campaign = api.create_campaign("email", "main", list, &json!({ "name": "Spring", "body_text": "x" }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let visitor = Visitor::with_key(&server, ROOT_KEY);
        let base = format!("/ui/campaigns/{campaign}/people");
        let people = visitor.get(&base);
        assert!(text(&people).contains(&format!("href=\"{base}/{ann}\"")), "{people:?}");
        let why = visitor.get(&format!("{base}/{ann}"));
        assert_page(&why, 200);
        for part in [
            "<h1 id=\"verdict\">Sent: the provider took the message.</h1>",
            "Customers &#60;b&#62;",
            "ann@example.com",
            "Ann",
            "list 1",
            "page 1",
            &format!("volley why {campaign} {ann}"),
            &format!("GET /v1/campaigns/{campaign}/why/{ann}"),
        ] {
            assert!(text(&why).contains(part), "{part}: {why:?}");
        }
        let links = api.get(&format!("/v1/campaigns/{campaign}/deliveries/{ann}/links"));
        let key = links["delivery_key"].as_str().unwrap();
        let message_id = format!("%3C{}%40example.com%3E", key.replace(':', "-"));
        let place = format!("{base}/{ann}");
        for named in [key, &message_id, "ann%40example.com", &ann.to_string()] {
            let found = visitor.get(&format!("{base}/find?contact={named}"));
            assert_eq!((found.status, found.header("location")), (303, Some(place.as_str())), "{named}: {found:?}");
        }
        let stranger = visitor.get(&format!("{base}/find?contact=eve%40example.com"));
        let place = format!("{base}/{eve}");
        assert_eq!((stranger.status, stranger.header("location")), (303, Some(place.as_str())), "{stranger:?}");
        let stranger = visitor.get(&place);
        assert_page(&stranger, 200);
        assert!(text(&stranger).contains("Never meant: not named by list 1"), "{stranger:?}");
        for (path, status, code) in [
            (format!("{base}/4711"), 404, "contact_not_found"),
            (format!("{base}/x"), 400, "id_malformed"),
            (format!("{base}/find?contact=nobody%40example.com"), 400, "invalid"),
            (format!("{base}/find"), 400, "required"),
            (format!("/ui/campaigns/4711/people/{ann}"), 404, "campaign_not_found"),
        ] {
            let refused = visitor.get(&path);
            assert_page(&refused, status);
            assert!(text(&refused).contains(code), "{path}: {refused:?}");
        }
    }
}

#[test]
fn what_can_be_done_is_a_button_for_those_who_may_and_a_word_for_others() {
    let db = Database::sqlite();
    let server = Server::with_pools(&db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
    let api = server.api();
    let campaign =
        api.create_campaign("email", "main", api.a_list_of(50), &json!({ "name": "Spring", "rate_per_second": 1.0 }));
    api.send(campaign);
    api.pause(campaign);
    api.wait(campaign, "it is paused", LONG, |seen| seen.status == "paused");
    let key = |scope: &str| {
        let made = api.post("/v1/keys", &json!({ "name": scope, "scope": scope }));
        made["secret"].as_str().unwrap().to_owned()
    };
    let path = format!("/ui/campaigns/{campaign}/people/50");
    let button = format!("href=\"/ui/campaigns/{campaign}/resume\"");
    let operator = Visitor::with_key(&server, &key("operate")).get(&path);
    assert!(text(&operator).contains(&button), "{operator:?}");
    let reader = Visitor::with_key(&server, &key("read")).get(&path);
    assert_page(&reader, 200);
    assert!(!text(&reader).contains(&button), "{reader:?}");
    assert!(text(&reader).contains("Needs a key with the scope operate."), "{reader:?}");
}
