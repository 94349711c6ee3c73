//! Contacts, lists, segments and suppressions, as operators see them.

use std::time::Duration;

use serde_json::json;
use volley::domain::channel::ChannelKind;

use super::system::with_scope;
use super::{assert_page, text};
use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::{Server, sandbox};

const LONG: Duration = Duration::from_secs(60);

both_backends! {
    fn contacts_are_found_and_walked_page_by_page(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let reader = with_scope(&server, "read");
        let empty = reader.get("/ui/contacts");
        assert_page(&empty, 200);
        assert!(text(&empty).contains("Nobody is known yet.") && text(&empty).contains("volley import"), "{empty:?}");
        let list = api.a_list_of(120);
        let odd = json!({ "external_id": "c-1", "first_name": "Ann", "last_name": "<Lee>" });
        let ann = id(&api.post("/v1/contacts", &odd));
        let (mut seen, mut next) = (0, Some(format!("/ui/contacts?list={list}&search=&tag=")));
        let mut pages = 0;
        while let Some(path) = next {
            let page = reader.get(&path);
            assert_page(&page, 200);
            (seen, pages) = (seen + text(&page).matches("<tr><th scope=\"row\">").count(), pages + 1);
            let link = text(&page).split("\" rel=\"next\"").next().filter(|before| before.len() < text(&page).len());
            next = link.map(|before| before.rsplit("href=\"").next().unwrap().replace("&#38;", "&"));
        }
        assert_eq!((seen, pages), (120, 3));
        let found = reader.get("/ui/contacts?search=lee&list=&standing=&tag=&suppressed=");
        assert_page(&found, 200);
        let shown = text(&found);
        assert!(shown.contains("Ann &#60;Lee&#62;") && shown.contains(&format!("href=\"/ui/contacts/{ann}\"")), "{shown}");
        assert!(shown.contains("GET /v1/contacts?search=lee&#38;page_size=50"), "{shown}");
        assert!(text(&reader.get("/ui/contacts?search=nobody+here")).contains("No contact matches."));
        assert_page(&reader.get("/ui/contacts?standing=subscribed"), 400);
        assert_page(&reader.get("/ui/contacts/4711"), 404);
    }

    fn one_contact_shows_what_it_agreed_to_what_holds_it_back_and_what_was_sent(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let contact = json!({
            "email": "ann@example.com", "first_name": "Ann", "attributes": { "city": "<b>Leeds", "orders": 3 },
        });
        let ann = id(&api.post("/v1/contacts", &contact));
        let list = api.create_list("News");
        api.post(&format!("/v1/lists/{list}/subscribe"), &json!({ "contact_id": ann }));
        let campaign = api.create_campaign("email", "main", list, &json!({ "name": "Spring" }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let reader = with_scope(&server, "read");
        let path = format!("/ui/contacts/{ann}");
        let page = reader.get(&path);
        assert_page(&page, 200);
        let shown = text(&page);
        for part in ["Nothing holds messages back", "&#60;b&#62;Leeds", "News", "subscribed", "looked at 1 campaign"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(shown.contains(&format!("<a href=\"/ui/campaigns/{campaign}\" data-row>Spring</a>")), "{shown}");
        api.post("/v1/suppressions", &json!({ "address": "ann@example.com", "reason": "complained" }));
        api.post("/v1/suppressions", &json!({ "address": "ann@example.com", "list": list.to_string() }));
        let held = reader.get(&path);
        let shown = text(&held);
        assert!(shown.contains("Gets nothing by email and http: complained to the mailbox provider."), "{shown}");
        assert!(shown.contains("<td>unsubscribed</td>"), "{shown}");
        api.post("/v1/suppressions", &json!({ "domain": "example.com" }));
        assert!(text(&reader.get(&path)).contains("the domain example.com is blocked"), "{held:?}");
        assert_page(&reader.get(&format!("{path}?cursor=seven")), 400);
        let read = api.get("/v1/audit-log?action=read&object=contact");
        assert!(!read["data"].as_array().unwrap().is_empty(), "who has read it is in the audit log: {read}");
    }
}
