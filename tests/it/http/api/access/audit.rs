//! The audit log.

use std::time::Duration;

use serde_json::{Value, json};
use volley::domain::access::Scope;
use volley::domain::channel::ChannelKind;
use volley::http::routes::{Door, Entry, TABLE, Verb};

use crate::http::api::changes;
use crate::support::api::{Api, id};
use crate::support::server::{Raw, Server, sandbox};
use crate::support::waiting::wait_for;
use crate::support::{Database, both_backends};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn server(db: &Database) -> Server {
    let server = Server::with_pools(
        db,
        vec![sandbox("main", ChannelKind::Email, 0.0), sandbox("held", ChannelKind::Email, 0.0)],
    );
    server.api().post("/v1/pools/held/suspend", &json!({ "reason": "a test" }));
    server
}

/// A request that changes something: path, body, and what the audit log says of it.
type Change = (String, Value, (&'static str, &'static str));

/// Things to change.
struct World {
    api: Api,
    contact: i64,
    list: i64,
}

impl World {
    fn of(server: &Server) -> Self {
        let api = server.api();
        let contact = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com" })));
        let list = api.create_list("Customers");
        api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": [contact] }));
        let failed = "INSERT INTO callbacks (pool, format, content_type, key, received_at, state, attempts, next_attempt_at) \
                      VALUES ('main', 'standard-webhooks', '', 'a', 0, 'failed', 3, 0)";
        server.execute(failed.to_owned());
        for _ in 0..2 {
            let failed = "INSERT INTO reactions_due (kind, shard, key, event, at, depth, target, content, state, attempts, due_at, created_at) \
                          VALUES ('call', 0, 'a', 'campaign.ended', 0, 0, 'crm', '{}', 'failed', 3, 0, 0)";
            server.execute(failed.to_owned());
        }
        Self { api, contact, list }
    }

    fn contact(&self) -> i64 {
        id(&self.api.post("/v1/contacts", &json!({ "email": "bob@example.com" })))
    }

    fn segment(&self, name: &str) -> Value {
        json!({ "name": name, "criteria": { "tag": "vip" } })
    }

    /// The path of a new segment, and what is behind it.
    fn of_segment(&self, behind: &str) -> String {
        let name = format!("Segment {}", self.api.get("/v1/segments")["pagination"]["total_count"]);
        format!("/v1/segments/{}{behind}", id(&self.api.post("/v1/segments", &self.segment(&name))))
    }

    fn template(&self) -> String {
        format!("/v1/templates/{}", self.api.create_template("email", "s", "b"))
    }

    fn campaign(&self) -> Value {
        json!({
            "name": "Spring", "channel": "email", "pool": "held", "subject": "s", "body_text": "b",
            "audience": { "lists": [self.list] },
        })
    }

    fn draft(&self) -> i64 {
        id(&self.api.post("/v1/campaigns", &self.campaign()))
    }

    /// A campaign whose pool keeps it open, after these actions.
    fn sending(&self, actions: &[&str]) -> i64 {
        let campaign = self.draft();
        for action in ["send"].iter().chain(actions) {
            self.api.post(&format!("/v1/campaigns/{campaign}/{action}"), &json!({}));
        }
        campaign
    }

    /// How to cause a change through a route. A new route that changes something needs its line here, and its service needs
    /// `audit::write`. `None`: what it changes needs more than this server, and another test looks at it.
    fn change(&self, entry: &Entry) -> Option<Change> {
        let path = |before: &str, id: i64, after: &str| format!("{before}/{id}{after}");
        let campaign = |id: i64, after: &str| path("/v1/campaigns", id, after);
        let none = json!({});
        Some(match (entry.method.as_str(), entry.path) {
            ("POST", "/v1/keys") => {
                (entry.path.to_owned(), json!({ "name": "a", "scope": "read" }), ("created", "key"))
            }
            ("DELETE", "/v1/keys/{id}") => {
                let key = self.api.post("/v1/keys", &json!({ "name": "a", "scope": "read" }));
                (path("/v1/keys", id(&key), ""), none, ("revoked", "key"))
            }
            ("POST", "/v1/contacts") => {
                (entry.path.to_owned(), json!({ "email": "eve@example.com" }), ("created", "contact"))
            }
            ("POST", "/v1/contacts/import") => (entry.path.to_owned(), json!(null), ("created", "import")),
            ("PATCH", "/v1/contacts/{id}") => {
                (path("/v1/contacts", self.contact, ""), json!({ "first_name": "Ann" }), ("updated", "contact"))
            }
            ("DELETE", "/v1/contacts/{id}") => (path("/v1/contacts", self.contact(), ""), none, ("deleted", "contact")),
            ("POST", "/v1/segments") => (entry.path.to_owned(), self.segment("News"), ("created", "segment")),
            ("PATCH", "/v1/segments/{id}") => {
                (self.of_segment(""), json!({ "description": "d" }), ("updated", "segment"))
            }
            ("DELETE", "/v1/segments/{id}") => (self.of_segment(""), none, ("deleted", "segment")),
            ("POST", "/v1/segments/{id}/enable") => (self.of_segment("/enable"), none, ("updated", "segment")),
            ("POST", "/v1/segments/{id}/disable") => (self.of_segment("/disable"), none, ("updated", "segment")),
            ("POST", "/v1/segments/{id}/recompute") => (self.of_segment("/recompute"), none, ("recomputed", "segment")),
            ("DELETE", "/v1/files/{id}") => {
                let file = self.api.post("/v1/files?name=other.json", &json!({ "a": 1 }));
                (path("/v1/files", id(&file), ""), none, ("deleted", "file"))
            }
            ("POST", "/v1/files") => ("/v1/files?name=people.csv".to_owned(), json!(null), ("created", "file")),
            ("POST", "/v1/lists") => (entry.path.to_owned(), json!({ "name": "News" }), ("created", "list")),
            ("PATCH", "/v1/lists/{id}") => {
                (path("/v1/lists", self.list, ""), json!({ "description": "d" }), ("updated", "list"))
            }
            ("DELETE", "/v1/lists/{id}") => {
                (path("/v1/lists", self.api.create_list("Other"), ""), none, ("deleted", "list"))
            }
            ("POST", "/v1/lists/{id}/members") => {
                let members = json!({ "contact_ids": [self.contact()] });
                (path("/v1/lists", self.list, "/members"), members, ("members_added", "list"))
            }
            ("DELETE", "/v1/lists/{id}/members") => {
                let members = json!({ "contact_ids": [self.contact()] });
                (path("/v1/lists", self.list, "/members"), members, ("members_removed", "list"))
            }
            ("DELETE", "/v1/lists/{id}/members/{contact_id}") => {
                let contact = self.contact();
                (path("/v1/lists", self.list, &format!("/members/{contact}")), none, ("members_removed", "list"))
            }
            ("POST", "/v1/lists/{id}/subscribe") => {
                let who = json!({ "contact_id": self.contact() });
                (path("/v1/lists", self.list, "/subscribe"), who, ("members_added", "list"))
            }
            ("POST", "/v1/lists/{id}/unsubscribe") => {
                let who = json!({ "contact_id": self.contact() });
                (path("/v1/lists", self.list, "/unsubscribe"), who, ("members_removed", "list"))
            }
            ("POST", "/v1/contacts/tags") => {
                let body = json!({ "contact_ids": [self.contact()], "add": ["vip"] });
                (entry.path.to_owned(), body, ("updated", "contact"))
            }
            ("POST", "/v1/contacts/{id}/tags") => {
                (path("/v1/contacts", self.contact, "/tags"), json!({ "add": ["vip"] }), ("updated", "contact"))
            }
            ("POST", "/v1/suppressions") => {
                (entry.path.to_owned(), json!({ "address": "max@example.com" }), ("created", "suppression"))
            }
            ("POST", "/v1/suppressions/import") => (entry.path.to_owned(), json!(null), ("created", "suppression")),
            ("POST", "/v1/suppressions/undo") => {
                let hour = json!({ "pool": "main", "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00Z" });
                (entry.path.to_owned(), hour, ("deleted", "suppression"))
            }
            ("DELETE", "/v1/suppressions") => {
                let blocked = json!({ "address": "eva@example.com", "reason": "blocked" });
                self.api.post("/v1/suppressions", &blocked);
                (entry.path.to_owned(), blocked, ("deleted", "suppression"))
            }
            ("POST", "/v1/templates") => {
                let body = json!({ "name": "t", "channel": "email", "subject": "s", "body_text": "b" });
                (entry.path.to_owned(), body, ("created", "template"))
            }
            ("PUT", "/v1/templates/{id}") => {
                let body = json!({ "name": "t", "channel": "email", "subject": "s", "body_text": "c" });
                (self.template(), body, ("updated", "template"))
            }
            ("PATCH", "/v1/templates/{id}") => (self.template(), json!({ "body_text": "c" }), ("updated", "template")),
            ("DELETE", "/v1/templates/{id}") => (self.template(), none, ("deleted", "template")),
            ("POST", "/v1/campaigns") => (entry.path.to_owned(), self.campaign(), ("created", "campaign")),
            ("POST", "/v1/campaigns/bulk-action") => {
                let body = json!({ "action": "pause", "campaign_ids": [self.sending(&[])] });
                (entry.path.to_owned(), body, ("paused", "campaign"))
            }
            ("PATCH", "/v1/campaigns/{id}") => {
                (campaign(self.draft(), ""), json!({ "name": "b" }), ("updated", "campaign"))
            }
            ("DELETE", "/v1/campaigns/{id}") => (campaign(self.draft(), ""), none, ("deleted", "campaign")),
            ("POST", "/v1/campaigns/{id}/send") => (campaign(self.draft(), "/send"), none, ("launched", "campaign")),
            ("POST", "/v1/campaigns/{id}/pause") => {
                (campaign(self.sending(&[]), "/pause"), none, ("paused", "campaign"))
            }
            ("POST", "/v1/campaigns/{id}/resume") => {
                (campaign(self.sending(&["pause"]), "/resume"), none, ("resumed", "campaign"))
            }
            ("POST", "/v1/campaigns/{id}/stop") => {
                (campaign(self.sending(&[]), "/stop"), none, ("stopped", "campaign"))
            }
            ("POST", "/v1/campaigns/{id}/duplicate") => {
                (campaign(self.draft(), "/duplicate"), none, ("created", "campaign"))
            }
            ("POST", "/v1/campaigns/{id}/schedule") => {
                let at = json!({ "scheduled_at": jiff::Timestamp::now() + Duration::from_secs(86_400) });
                (campaign(self.draft(), "/schedule"), at, ("scheduled", "campaign"))
            }
            ("POST", "/v1/campaigns/{id}/unschedule") => {
                let draft = self.draft();
                let at = json!({ "scheduled_at": jiff::Timestamp::now() + Duration::from_secs(86_400) });
                self.api.post(&campaign(draft, "/schedule"), &at);
                (campaign(draft, "/unschedule"), none, ("unscheduled", "campaign"))
            }
            ("POST", "/v1/campaigns/{id}/retry-failed") => {
                (campaign(self.sending(&["pause"]), "/retry-failed"), none, ("retried", "campaign"))
            }
            ("POST", "/v1/campaigns/{id}/test-send") => {
                let body = json!({ "contact_ids": [self.contact] });
                (campaign(self.draft(), "/test-send"), body, ("tested", "campaign"))
            }
            ("POST", "/v1/campaigns/{id}/deliveries/resolve") => {
                (campaign(self.sending(&[]), "/deliveries/resolve"), json!({ "as": "sent" }), ("resolved", "campaign"))
            }
            ("POST", "/v1/pools/{name}/suspend") => {
                ("/v1/pools/main/suspend".to_owned(), json!({ "reason": "a test" }), ("suspended", "pool"))
            }
            ("POST", "/v1/pools/{name}/check") => ("/v1/pools/main/check".to_owned(), none, ("checked", "pool")),
            ("POST", "/v1/pools/{name}/resume") => ("/v1/pools/main/resume".to_owned(), none, ("resumed", "pool")),
            ("POST", "/v1/pools/{name}/pace/pin") => {
                ("/v1/pools/main/pace/pin".to_owned(), json!({ "places": 3 }), ("pace_changed", "pool"))
            }
            ("POST", "/v1/pools/{name}/pace/mark") => {
                let body = json!({ "signature": "451 try later", "scope": "relay" });
                ("/v1/pools/main/pace/mark".to_owned(), body, ("pace_changed", "pool"))
            }
            ("POST", "/v1/pools/{name}/pace/reset" | "/v1/pools/{name}/pace/probe") => {
                (entry.path.replace("{name}", "main"), none, ("pace_changed", "pool"))
            }
            ("POST", "/v1/callbacks/{id}/replay") => {
                ("/v1/callbacks/1/replay".to_owned(), none, ("replayed", "callback"))
            }
            ("POST", "/v1/reactions/{id}/retry") => ("/v1/reactions/1/retry".to_owned(), none, ("retried", "reaction")),
            ("POST", "/v1/reactions/retry") => (entry.path.to_owned(), none, ("retried", "reaction")),
            // They are many, and counted.
            ("POST", "/v1/events" | "/v1/events/batch") => return None,
            // It needs a broker: tests/it/replicas/messages.rs.
            ("POST", "/v1/dead-letters/{id}/replay") | ("DELETE", "/v1/dead-letters/{id}") => return None,
            unknown => panic!("how is {unknown:?} caused, and what does the audit log say of it?"),
        })
    }
}

fn ask(server: &Server, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Raw {
    if body.is_null() {
        let csv = [("Content-Type", "text/csv")];
        return server.send(method, path, &[&csv, headers].concat(), b"email\nzoe@example.com\n");
    }
    server.send(method, path, &[&[JSON], headers].concat(), body.to_string().as_bytes())
}

fn lines(api: &Api, query: &str) -> Vec<Value> {
    api.get(&format!("/v1/audit-log?{query}"))["data"].as_array().unwrap().clone()
}

both_backends! {
    fn every_route_that_changes_something_leaves_its_line(db: &Database) {
        let server = server(db);
        let world = World::of(&server);
        let mut seen = 0;
        for (n, entry) in TABLE.iter().enumerate() {
            if !changes(entry) || !matches!(entry.door, Door::Api(_)) {
                continue;
            }
            let Some((path, body, (action, object))) = world.change(entry) else { continue };
            let request = format!("audited-{n}");
            let done = ask(&server, entry.method.as_str(), &path, &[("X-Request-Id", &request)], &body);
            assert!((200..300).contains(&done.status), "{entry:?}: {done:?}");
            let lines = lines(&world.api, &format!("request_id={request}"));
            let line = lines.first().unwrap_or_else(|| panic!("no line for {entry:?}"));
            assert_eq!((&line["action"], &line["object"]), (&json!(action), &json!(object)), "{entry:?}: {line}");
            assert_eq!((&line["actor"], &line["ip"]), (&json!("root_key"), &json!("127.0.0.1")), "{line}");
            assert!(line["object_id"].is_string() && line["at"].is_string() && line["key"].is_null(), "{line}");
            assert_eq!(lines.len(), 1, "{lines:?}");
            seen += 1;
        }
        assert!(seen > 30, "{seen}");
        let all = world.api.get("/v1/audit-log?page_size=100").to_string();
        for private in ["example.com", "Spring", "Customers", "a test", "try later"] {
            assert!(!all.contains(private), "{private} is in the audit log: {all}");
        }
    }

    fn a_change_without_its_line_does_not_happen(db: &Database) {
        let server = server(db);
        let api = server.api();
        server.execute("ALTER TABLE audit_log RENAME TO hidden".to_owned());
        let refused = ask(&server, "POST", "/v1/lists", &[], &json!({ "name": "a" }));
        assert!(refused.status >= 500, "{refused:?}");
        let refused = ask(&server, "POST", "/v1/contacts", &[], &json!({ "email": "ann@example.com" }));
        assert!(refused.status >= 500, "{refused:?}");
        server.execute("ALTER TABLE hidden RENAME TO audit_log".to_owned());
        for path in ["/v1/lists", "/v1/contacts"] {
            assert_eq!(api.get(path)["pagination"]["total_count"], 0, "{path}");
        }
    }

    fn a_line_says_who_did_it_and_what_changed(db: &Database) {
        let server = server(db);
        let world = World::of(&server);
        let made = world.api.post("/v1/keys", &json!({ "name": "the shop", "scope": "operate" }));
        let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
        let path = format!("/v1/contacts/{}", world.contact);
        let body = json!({ "first_name": "Ann", "last_name": null, "attributes": { "tier": "gold" } });
        assert_eq!(ask(&server, "PATCH", &path, &[("Authorization", &bearer)], &body).status, 200);
        let line = &lines(&world.api, &format!("key_id={}", made["id"]))[0];
        assert_eq!(line["key"]["name"], "the shop", "{line}");
        assert_eq!((&line["actor"], &line["key"]["prefix"]), (&json!("api_key"), &made["prefix"]), "{line}");
        assert_eq!(line["after"], json!({ "fields": ["first_name", "attributes.tier", "last_name"] }), "{line}");
        let campaign = world.sending(&["pause"]);
        let told: Vec<_> = lines(&world.api, &format!("object=campaign&object_id={campaign}"))
            .into_iter()
            .map(|line| (line["action"].clone(), line["before"]["status"].clone(), line["after"]["status"].clone()))
            .collect();
        let expected = [
            ("paused", json!("sending"), json!("paused")),
            ("launched", json!("draft"), json!("sending")),
            ("created", Value::Null, json!("draft")),
        ];
        assert_eq!(told, expected.map(|(action, before, after)| (json!(action), before, after)));
    }

    fn reads_of_personal_data_and_refusals_are_counted(db: &Database) {
        let server = server(db);
        let world = World::of(&server);
        let made = world.api.post("/v1/keys", &json!({ "name": "a", "scope": "read" }));
        let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
        let key = [("Authorization", bearer.as_str())];
        let campaign = world.draft();
        let members = format!("/v1/lists/{}/members", world.list);
        let deliveries = format!("/v1/campaigns/{campaign}/deliveries");
        for path in ["/v1/contacts", &format!("/v1/contacts/{}", world.contact), &members, &deliveries, "/v1/lists"] {
            assert_eq!(server.send("GET", path, &key, b"").status, 200, "{path}");
        }
        assert_eq!(server.send("GET", "/v1/contacts/4711", &key, b"").status, 404);
        assert_eq!(ask(&server, "POST", "/v1/lists", &key, &json!({ "name": "a" })).status, 403);
        let seen = wait_for("they are written", Duration::from_secs(20), || {
            let lines = lines(&world.api, &format!("key_id={}", made["id"]));
            (lines.len() == 4).then_some(lines)
        });
        let mut told: Vec<String> = seen
            .iter()
            .map(|line| format!("{} {} {}", line["action"], line["object"], line["object_id"]).replace('"', ""))
            .collect();
        told.sort();
        let mut expected = [
            "read contact null".to_owned(),
            format!("read list {}", world.list),
            format!("read campaign {campaign}"),
            "denied route POST /v1/lists".to_owned(),
        ];
        expected.sort();
        assert_eq!(told, expected);
        let contacts = seen.iter().find(|line| line["object"] == "contact").unwrap();
        // Two requests, unless the first one was written before the second.
        assert!(contacts["after"]["requests"].as_u64() >= Some(1) && contacts["ip"] == "127.0.0.1", "{contacts}");
        let shop = world.api.post("/v1/keys", &json!({ "name": "shop", "scope": "ingest" }));
        let bearer = format!("Bearer {}", shop["secret"].as_str().unwrap());
        let event = json!({ "name": "order_placed", "email": "ann@example.com" });
        assert_eq!(ask(&server, "POST", "/v1/events", &[("Authorization", &bearer)], &event).status, 202);
        let told = wait_for("events are counted, too", Duration::from_secs(20), || {
            lines(&world.api, &format!("key_id={}", shop["id"])).first().cloned()
        });
        assert_eq!((&told["action"], &told["object"], &told["object_id"]), (&json!("created"), &json!("event"), &Value::Null));
    }

    fn a_preview_is_a_read_of_a_contact(db: &Database) {
        let server = server(db);
        let world = World::of(&server);
        let template = json!({ "name": "t", "channel": "email", "subject": "s", "body_text": "Dear {email}" });
        let template = id(&world.api.post("/v1/templates", &template));
        let campaign = json!({ "name": "c", "channel": "email", "template_id": template });
        let campaign = id(&world.api.post("/v1/campaigns", &campaign));
        let content = json!({ "channel": "email", "subject": "s", "body_text": "Dear {email}", "contact_id": world.contact });
        let contact = json!({ "contact_id": world.contact });
        for (path, body) in [
            ("/v1/content/preview".to_owned(), &content),
            (format!("/v1/templates/{template}/preview"), &contact),
            (format!("/v1/campaigns/{campaign}/personalized-preview"), &contact),
        ] {
            let made = world.api.post("/v1/keys", &json!({ "name": "a", "scope": "read" }));
            let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
            let shown = ask(&server, "POST", &path, &[("Authorization", bearer.as_str())], body);
            assert_eq!(shown.status, 200, "{path}: {shown:?}");
            wait_for(&format!("{path} is written"), Duration::from_secs(20), || {
                let lines = lines(&world.api, &format!("key_id={}", made["id"]));
                lines.into_iter().find(|line| line["action"] == "read" && line["object"] == "contact")
            });
        }
    }

    fn the_log_is_read_by_filters_and_in_parts(db: &Database) {
        let server = server(db);
        let api = server.api();
        for name in ["a", "b", "c"] {
            api.create_list(name);
        }
        let first = api.get("/v1/audit-log?object=list&page_size=2");
        assert_eq!(first["data"].as_array().unwrap().len(), 2);
        let rest = api.get(&format!(
            "/v1/audit-log?object=list&page_size=2&cursor={}",
            first["next_cursor"].as_str().unwrap()
        ));
        assert_eq!((rest["data"][0]["object_id"].as_str(), &rest["next_cursor"]), (Some("1"), &Value::Null), "{rest}");
        assert_eq!(lines(&api, "action=suspended&actor=root_key").len(), 1);
        assert_eq!(lines(&api, "actor=scheduler"), Vec::<Value>::new());
        let at = first["data"][0]["at"].as_str().unwrap();
        assert!(!lines(&api, &format!("from={at}")).is_empty());
        assert!(lines(&api, &format!("object=list&to={at}")).len() < 3);
        for (query, code) in [
            ("action=exploded", "not_allowed"),
            ("object=moon", "not_allowed"),
            ("key_id=0", "out_of_range"),
            ("from=yesterday", "invalid"),
            ("cursor=7", "cursor_invalid"),
            ("who=me", "unknown_parameter"),
        ] {
            let refused = server.send("GET", &format!("/v1/audit-log?{query}"), &[], b"");
            assert_eq!((refused.status, refused.code()), (400, code), "{query}");
        }
    }
}

#[test]
fn there_is_no_way_to_change_or_delete_a_line_and_only_admins_read_them() {
    let routes: Vec<_> = TABLE.iter().filter(|entry| entry.path.contains("audit-log")).collect();
    assert_eq!(routes.len(), 1);
    assert_eq!((routes[0].method, routes[0].door), (Verb::Get, Door::Api(Scope::Admin)));
}

#[test]
fn a_key_that_the_command_line_or_a_first_start_made_is_in_the_log() {
    let db = Database::sqlite();
    let server = Server::with(&db, |settings| settings.auth.root_key = None);
    let (action, actor) = server.ask(|conn| {
        let lines = volley::store::access::audit_log::list(conn, &Default::default(), 10)?;
        Ok(lines.first().map(|(line, _)| (line.action.clone(), line.actor.clone())).unwrap())
    });
    assert_eq!((action.as_str(), actor.as_str()), ("created", "start"));
}
