//! Lists and their members.

use serde_json::json;

use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::Server;

const JSON: (&str, &str) = ("Content-Type", "application/json");

both_backends! {
    fn a_list_lives_from_its_name_to_its_end(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let made = server.send("POST", "/v1/lists", &[JSON], br#"{"name":" News ","description":"monthly\nat most"}"#);
        assert_eq!((made.status, &made.body["name"], &made.body["member_count"]), (201, &json!("News"), &json!(0)));
        let list = id(&made.body);
        let path = format!("/v1/lists/{list}");
        assert_eq!(made.header("location"), Some(path.as_str()));
        let taken = server.send("POST", "/v1/lists", &[JSON], br#"{"name":"News"}"#);
        assert_eq!((taken.status, taken.code(), &taken.body["ids"]), (409, "list_name_taken", &json!([list])));
        let other = api.create_list("Other");
        let renamed = server.send("PATCH", &path, &[JSON], br#"{"name":"Letter"}"#);
        assert_eq!((renamed.status, &renamed.body["description"]), (200, &json!("monthly\nat most")));
        assert_eq!(server.send("PATCH", &path, &[JSON], br#"{"name":"Other"}"#).code(), "list_name_taken");
        assert_eq!(server.send("PATCH", &path, &[JSON], b"{}").body["name"], "Letter");
        let names: Vec<_> = api.get("/v1/lists")["data"].as_array().unwrap().iter().map(id).collect();
        assert_eq!(names, [other, list]);
        assert_eq!(server.send("DELETE", &path, &[], b"").status, 204);
        assert_eq!(server.send("DELETE", &path, &[], b"").code(), "list_not_found");
    }

    fn members_are_added_counted_listed_and_removed(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("News");
        let people: Vec<i64> =
            (0..5).map(|n| id(&api.post("/v1/contacts", &json!({ "external_id": format!("c-{n}") })))).collect();
        let members = format!("/v1/lists/{list}/members");
        let added = api.post(&members, &json!({ "contact_ids": [people[0], people[1], people[1]] }));
        assert_eq!(added, json!({ "changed": 2, "member_count": 2 }));
        let added = api.post(&members, &json!({ "contact_ids": people }));
        assert_eq!(added, json!({ "changed": 3, "member_count": 5 }));
        let unknown = json!({ "contact_ids": [people[0], 4711, 4712] }).to_string();
        let unknown = server.send("POST", &members, &[JSON], unknown.as_bytes());
        assert_eq!((unknown.status, unknown.code(), &unknown.body["ids"]), (404, "contact_not_found", &json!([4711, 4712])));
        let listed = api.get(&format!("{members}?page_size=2"));
        assert_eq!(listed["pagination"]["total_count"], 5);
        assert_eq!(id(&listed["data"][0]), people[4]);
        let removed = json!({ "contact_ids": [people[4], 4711] }).to_string();
        assert_eq!(server.send("DELETE", &members, &[JSON], removed.as_bytes()).body["member_count"], 4);
        assert_eq!(server.send("DELETE", &format!("{members}/{}", people[3]), &[], b"").body["changed"], 1);
        assert_eq!(server.send("DELETE", &format!("/v1/contacts/{}", people[2]), &[], b"").status, 204);
        assert_eq!(api.get(&format!("/v1/lists/{list}"))["member_count"], 2, "the deleted one is no member");
        let rest = api.get(&members);
        assert_eq!(rest["data"].as_array().unwrap().iter().map(id).collect::<Vec<_>>(), [people[1], people[0]]);
    }

    fn a_deleted_list_leaves_no_members_behind(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let (doomed, other) = (api.create_list("Doomed"), api.create_list("Other"));
        for list in [doomed, other] {
            api.import_csv(list, "email\nann@example.com\nbob@example.com\n");
        }
        assert_eq!(server.send("DELETE", &format!("/v1/lists/{doomed}"), &[], b"").status, 204);
        assert_eq!(api.get(&format!("/v1/lists/{other}"))["member_count"], 2);
        // As if the id were given out again: nobody may be on the new list.
        server.execute(format!("INSERT INTO lists (id, name, created_at, updated_at) VALUES ({doomed}, 'New', 0, 0)"));
        assert_eq!(api.get(&format!("/v1/lists/{doomed}"))["member_count"], 0);
        assert_eq!(api.get("/v1/contacts")["pagination"]["total_count"], 2);
    }

    fn a_list_stays_while_a_campaign_is_sending_to_it(db: &Database) {
        let server = Server::on(db);
        let path = format!("/v1/lists/{}", server.api().create_list("News"));
        let list = path.rsplit('/').next().unwrap();
        server.execute(
            "INSERT INTO campaigns (id, name, channel, status, created_at, updated_at)
             VALUES (7, 'c', 'sms', 'sending', 0, 0)".to_owned(),
        );
        server.execute(format!("INSERT INTO audience_lists (campaign_id, list_id, excluded) VALUES (7, {list}, FALSE)"));
        let refused = server.send("DELETE", &path, &[], b"");
        assert_eq!((refused.status, refused.code(), &refused.body["ids"]), (409, "list_in_use", &json!([7])));
        server.execute("UPDATE campaigns SET status = 'sent'".to_owned());
        assert_eq!(server.send("DELETE", &path, &[], b"").status, 204);
    }
}
