//! Contacts, lists, segments and suppressions, as operators see them.

use std::time::Duration;

use serde_json::json;
use volley::domain::channel::ChannelKind;
use volley::services::campaigns::archive::Archivist;

use super::system::with_scope;
use super::{assert_page, text};
use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::{Server, sandbox};
use crate::support::waiting::wait_until;

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

    fn what_a_page_shows_a_part_of_is_a_download_with_the_same_filters(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let reader = with_scope(&server, "read");
        assert!(!text(&reader.get("/ui/contacts")).contains("Download"), "there is nobody");
        let list = api.a_list_of(120);
        api.post("/v1/contacts", &json!({ "external_id": "c-1", "first_name": "Zoe" }));
        let campaign = api.create_campaign("email", "main", list, &json!({ "name": "Spring" }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let downloads = |path: &str| {
            let page = reader.get(path);
            assert_page(&page, 200);
            let parts = text(&page).split(" download>");
            let links = parts.map(|before| before.rsplit("href=\"").next().unwrap().trim_end_matches('"').replace("&#38;", "&"));
            let mut links: Vec<String> = links.collect();
            links.pop();
            links
        };
        for (path, links, rows) in [
            ("/ui/contacts?search=&tag=&page_size=7", ["/ui/contacts/export?format=csv".to_owned(), "/ui/contacts/export?format=jsonl".to_owned()], 121),
            ("/ui/contacts?search=zoe", ["csv", "jsonl"].map(|format| format!("/ui/contacts/export?search=zoe&format={format}")), 1),
            (&format!("/ui/lists/{list}"), ["csv", "jsonl"].map(|format| format!("/ui/lists/{list}/members/export?format={format}")), 120),
            (&format!("/ui/campaigns/{campaign}/people?status=sent"), ["csv", "jsonl"].map(|format| format!("/ui/campaigns/{campaign}/deliveries/export?status=sent&format={format}")), 120),
        ] {
            assert_eq!(downloads(path), links, "{path}");
            for (link, header) in links.iter().zip([1, 0]) {
                let file = reader.get(link);
                assert_eq!(file.status, 200, "{file:?}");
                assert!(file.header("content-disposition").is_some_and(|file| file.starts_with("attachment")), "{link}");
                let lines = file.body.as_str().map(|body| body.matches("@example.com").count() + body.matches("c-1").count());
                assert!(lines.is_none_or(|lines| lines >= rows), "{link} {lines:?} {header}");
            }
        }
        let stranger = server.raw(b"GET /ui/contacts/export HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        assert_ne!(stranger.status, 200, "{stranger:?}");
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
        let read = || api.get("/v1/audit-log?action=read&object=contact")["data"].as_array().is_some_and(|all| !all.is_empty());
        wait_until("who has read it is in the audit log", LONG, read);
    }

    fn a_segment_is_read_explained_and_switched_off_and_on(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let reader = with_scope(&server, "read");
        assert!(text(&reader.get("/ui/segments")).contains("There is no segment yet."));
        let (ann, ben) = ("ann@example.com", "ben@example.com");
        let [ann, ben] = [ann, ben].map(|email| id(&api.post("/v1/contacts", &json!({ "email": email }))));
        api.post(&format!("/v1/contacts/{ann}/tags"), &json!({ "add": ["vip"] }));
        let rule = json!({ "all": [{ "tag": "vip" }, { "not": { "tag": "<away>" } }] });
        let segment = id(&api.post("/v1/segments", &json!({ "name": "VIPs <b>", "criteria": rule })));
        let path = format!("/ui/segments/{segment}");
        let is_ready = || api.get(&format!("/v1/segments/{segment}"))["state"] == "ready";
        wait_until("everybody is evaluated", LONG, is_ready);
        let list = reader.get("/ui/segments");
        assert_page(&list, 200);
        assert!(text(&list).contains("VIPs &#60;b&#62;") && text(&list).contains("up to date"), "{list:?}");
        let page = reader.get(&path);
        assert_page(&page, 200);
        let shown = text(&page);
        for part in ["all of these<ul><li>has tag", "not this<ul><li>", "&#60;away&#62;", "ann@example.com", "scope <code>operate"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("ben@example.com") && !shown.contains(&format!("{path}/disable")), "{shown}");
        assert_page(&reader.get(&format!("{path}/disable")), 403);
        let why = reader.get(&format!("{path}/explain?contact_id={ben}"));
        assert_page(&why, 200);
        let shown = text(&why);
        assert!(shown.contains("Is no member: the rule does not take it.") && shown.contains("has tag: no"), "{shown}");
        assert!(shown.contains("✗ no") && shown.contains("✓ yes"), "{shown}");
        assert!(text(&reader.get(&format!("{path}/explain?contact_id={ann}"))).contains("Is a member: the rule takes it."));
        assert!(text(&reader.get(&format!("{path}/explain?contact_id=4711"))).contains("there is no such contact"));
        let wrong = reader.get(&format!("{path}/explain?contact_id=ann"));
        assert_page(&wrong, 422);
        assert!(text(&wrong).contains("id_malformed") && text(&wrong).contains("value=\"ann\""), "{wrong:?}");
        assert!(text(&reader.get(&format!("/ui/contacts/{ann}"))).contains(&format!("{path}/explain?contact_id={ann}")));
        let operator = with_scope(&server, "operate");
        let off = format!("{path}/disable");
        let question = operator.get(&off);
        assert_page(&question, 200);
        assert!(text(&question).contains("It keeps 1 member:"), "{question:?}");
        let form = format!("idempotency_key={}", operator.form_key(&off));
        let done = operator.press(&off, &form);
        let receipt = format!("{path}#receipt");
        assert_eq!((done.status, done.header("location")), (303, Some(receipt.as_str())), "{done:?}");
        assert_eq!(api.get(&format!("/v1/segments/{segment}"))["enabled"], json!(false));
        assert!(text(&operator.get(&path)).contains("until it is switched on"), "its page says so");
        assert!(text(&operator.get(&off)).contains("switched off already"), "once is enough");
        let on = format!("{path}/enable");
        let form_on = format!("idempotency_key={}", operator.form_key(&on));
        assert_eq!(operator.press(&on, &form_on).status, 303);
        assert_eq!(operator.press(&off, &form).status, 303, "the same form again");
        assert_eq!(api.get(&format!("/v1/segments/{segment}"))["enabled"], json!(true), "did it once");
        let admin = with_scope(&server, "admin");
        assert!(text(&admin.get(&path)).contains("by operate"), "an administrator sees who it was");
        assert_page(&reader.get("/ui/segments/4711"), 404);
    }

    fn a_suppression_is_looked_up_and_lifted_for_a_reason_by_those_who_may(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let reader = with_scope(&server, "read");
        assert!(text(&reader.get("/ui/suppressions")).contains("Every address may be written to."));
        let list = api.create_list("News <b>");
        for body in [
            json!({ "address": "ann@example.com", "channel": "email" }),
            json!({ "address": "ann@example.com", "channel": "email", "list": list.to_string() }),
            json!({ "address": "ben@example.com", "channel": "email", "reason": "complained" }),
            json!({ "domain": "example.net" }),
        ] {
            api.post("/v1/suppressions", &body);
        }
        let all = reader.get("/ui/suppressions");
        assert_page(&all, 200);
        let shown = text(&all);
        for part in ["ann@example.com", "News &#60;b&#62;", "complained to the mailbox provider", "example.net", "<code>operate"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("/ui/suppressions/lift"), "{shown}");
        let found = reader.get("/ui/suppressions?address=+Ann@EXAMPLE.com");
        assert_page(&found, 200);
        assert!(text(&found).contains("ann@example.com") && !text(&found).contains("ben@example.com"), "{found:?}");
        assert!(text(&reader.get("/ui/suppressions?address=x@example.net")).contains("but its domain"));
        let question = "/ui/suppressions/lift?address=ann%40example.com&channel=email&reason=unsubscribed";
        assert_page(&reader.get(question), 403);
        let operator = with_scope(&server, "operate");
        let shown = operator.get("/ui/suppressions");
        assert!(text(&shown).contains(&question.replace('&', "&#38;")) && text(&shown).contains("takes <code>admin"), "{shown:?}");
        assert_page(&operator.get(question), 200);
        let form = |key: &str, reason: &str, note: &str| {
            format!("idempotency_key={key}&address=ann%40example.com&domain=&channel=email&list=&reason={reason}&note={note}")
        };
        let key = operator.form_key(question);
        let path = "/ui/suppressions/lift";
        let nothing = operator.press(path, &form(&key, "unsubscribed", "+"));
        assert_page(&nothing, 422);
        assert!(text(&nothing).contains("say why it is lifted"), "{nothing:?}");
        let done = operator.press(path, &form(&key, "unsubscribed", "asked+by+phone"));
        assert_eq!((done.status, done.header("location")), (303, Some("/ui/suppressions?address=ann%40example.com")), "{done:?}");
        let left = api.get("/v1/suppressions?address=ann@example.com");
        let left = left["data"].as_array().unwrap();
        assert!(!left.is_empty() && left.iter().all(|one| one["list_id"] != json!(null)), "only the refusal of the list stays: {left:?}");
        assert!(text(&operator.get(question)).contains("There is nothing to lift"), "once is enough");
        let of_ben = "/ui/suppressions/lift?address=ben@example.com&channel=email&reason=complained";
        assert!(text(&operator.get(of_ben)).contains("scope admin only"), "it is said before it is tried");
        let ben = "address=ben%40example.com&domain=&channel=email&list=&reason=complained&note=sorry";
        let refused = operator.press(path, &format!("idempotency_key=b&{ben}"));
        assert_page(&refused, 403);
        assert!(text(&refused).contains("insufficient_scope"), "{refused:?}");
        let admin = with_scope(&server, "admin");
        assert_eq!(admin.press(path, &format!("idempotency_key=b&{ben}")).status, 303);
        let domain = "idempotency_key=d&address=&domain=example.net&channel=&list=&reason=&note=sold";
        assert_eq!(admin.press(path, domain).status, 303);
        assert!(!text(&admin.get("/ui/suppressions")).contains("example.net"));
        let logged = api.get("/v1/audit-log?action=deleted&object=suppression");
        assert_eq!(logged["data"].as_array().unwrap().len(), 3, "{logged}");
    }

    fn lists_show_how_many_stand_on_them_and_lead_to_the_people(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let reader = with_scope(&server, "read");
        assert!(text(&reader.get("/ui/lists")).contains("There is no list yet."));
        let body = json!({ "name": "News <b>", "slug": "news", "double_opt_in": true, "public": true, "public_title": "Our news" });
        let list = id(&api.post("/v1/lists", &body));
        let ann = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com" })));
        api.post(&format!("/v1/lists/{list}/subscribe"), &json!({ "contact_id": ann, "confirmed": true }));
        let page = reader.get("/ui/lists");
        assert_page(&page, 200);
        let shown = text(&page);
        for part in ["News &#60;b&#62;", "<code>news</code>", "who subscribes and confirms it", "Our news"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        for path in [format!("/ui/lists/{list}"), "/ui/lists/news".to_owned()] {
            let one = reader.get(&path);
            assert_page(&one, 200);
            let members = format!("<a href=\"/ui/contacts?list={list}&amp;standing=subscribed\" data-row>1</a>");
            assert!(text(&one).contains(&members), "{members}: {one:?}");
        }
        let members = reader.get(&format!("/ui/contacts?list={list}&standing=subscribed"));
        assert!(text(&members).contains("ann@example.com"), "{members:?}");
        assert_page(&reader.get("/ui/lists/4711"), 404);
        assert_page(&reader.get("/ui/lists/none"), 404);
    }

    fn pages_of_a_campaign_whose_deliveries_were_archived_say_where_they_are(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let reader = with_scope(&server, "read");
        let list = api.a_list_of(12);
        let campaign = api.create_campaign("email", "main", list, &json!({ "name": "Spring" }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        server.execute("UPDATE campaigns SET ended_at = ended_at - 864000000".to_owned());
        let folder = db.folder().join("data");
        let archivist = Archivist::new(server.store.clone(), &folder, "a slot".to_owned(), "mail-3".to_owned(), 5);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(archivist.round()).unwrap(), 1);
        let shown = api.get(&format!("/v1/campaigns/{campaign}"));
        let file = shown["archive"]["file"].as_str().unwrap();
        let contact = api.get("/v1/contacts")["data"][0]["id"].as_i64().unwrap();
        for (path, says) in [
            (format!("/ui/campaigns/{campaign}"), file),
            (format!("/ui/campaigns/{campaign}/people"), file),
            (format!("/ui/campaigns/{campaign}/books"), "The books balance"),
            (format!("/ui/contacts/{contact}"), "Whether these campaigns wrote to it"),
        ] {
            let page = reader.get(&path);
            assert_page(&page, 200);
            assert!(text(&page).contains(says), "{path}: {}", text(&page));
        }
        let people = reader.get(&format!("/ui/campaigns/{campaign}/people"));
        assert!(text(&people).contains("mail-3") && !text(&people).contains("Nobody is packed yet"), "{people:?}");
        let why = reader.get(&format!("/ui/campaigns/{campaign}/people/{contact}"));
        assert_page(&why, 409);
        assert!(text(&why).contains(file), "{why:?}");
    }
}
