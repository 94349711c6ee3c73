//! What is uncertain, by incident.

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;

use super::recipients::uncertain;
use super::{LONG, ask, assert_illegal, assert_refused, draft, people};
use crate::support::both_backends;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::server::{Server, sandbox, webhook};

fn incidents(server: &Server) -> Vec<Value> {
    let listed = server.api().get("/v1/uncertain");
    assert_eq!(listed["next_cursor"], Value::Null, "{listed}");
    listed["data"].as_array().unwrap().clone()
}

both_backends! {
    fn uncertain_deliveries_of_one_cause_are_one_incident(db: &Database) {
        let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
        let server = Server::with_pools(db, vec![webhook("api", &sink)]);
        let api = server.api();
        assert_eq!(incidents(&server), Vec::<Value>::new());
        let (campaign, ids) = uncertain(&api, &sink);
        // As they may have become so in two minutes, they are put into one.
        server.execute("UPDATE deliveries SET settled_at = 120000, claimed_at = 119000 + contact_id".to_owned());
        let found = incidents(&server);
        assert_eq!(found.len(), 1, "{found:?}");
        let incident = &found[0];
        assert_eq!((&incident["campaign_id"], &incident["count"]), (&json!(campaign), &json!(4)), "{incident}");
        assert_eq!(incident["campaign_name"], "U", "{incident}");
        assert!(incident["reason"].as_str().unwrap().contains("500"), "{incident}");
        assert_eq!(incident["last_at"], "1970-01-01T00:02:00.000Z", "{incident}");
        let instance = api.get("/v1/instances")["data"][0]["id"].clone();
        assert_eq!((&incident["instance"]["id"], &incident["instance"]["running"]), (&instance, &json!(true)), "{incident}");
        assert_eq!((&incident["journal"]["state"], &incident["journal"]["may_decide"]), (&json!("knows_no_more"), &json!(false)));
        let key = incident["message_key"].as_str().unwrap();
        assert_eq!(incident["examples"][0], json!({ "contact_id": ids[0], "key": format!("{key}:{}", ids[0]) }));
        assert!(!incident.to_string().contains('@'), "the list names nobody's address: {incident}");
        let id = incident["id"].as_str().unwrap();
        let inside = api.get(&format!("/v1/uncertain/{id}"));
        let people: Vec<i64> =
            inside["recipients"].as_array().unwrap().iter().map(|one| one["contact"]["id"].as_i64().unwrap()).collect();
        assert_eq!((people, &inside["complete"]), (ids.clone(), &json!(true)), "{inside}");
        assert_eq!(inside["recipients"][0]["contact"]["email"], "person1@example.com", "{inside}");
        // Another minute is another incident.
        server.execute(format!("UPDATE deliveries SET settled_at = 180000 WHERE contact_id = {}", ids[3]));
        let found = incidents(&server);
        let counts: Vec<_> = found.iter().map(|one| one["count"].as_i64().unwrap()).collect();
        assert_eq!(counts, [1, 3], "the newest first");
        assert_eq!(found[1]["id"], id, "it keeps its id");
        let path = format!("/v1/campaigns/{campaign}/deliveries/resolve");
        api.post(&path, &json!({ "as": "sent" }));
        assert_eq!(incidents(&server), Vec::<Value>::new());
        let gone = server.send("GET", &format!("/v1/uncertain/{id}"), &[], b"");
        assert_eq!((gone.status, gone.code()), (404, "incident_not_found"), "{gone:?}");
    }

    fn an_incident_says_whether_a_journal_may_still_decide_it(db: &Database) {
        let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
        let server = Server::with_pools(db, vec![webhook("api", &sink)]);
        let api = server.api();
        let (_, _) = uncertain(&api, &sink);
        let journal = || {
            let found = incidents(&server);
            assert_eq!(found.len(), 1, "{found:?}");
            found[0]["journal"]["state"].as_str().unwrap().to_owned()
        };
        let reason = "the process ended before the provider''s answer was written down";
        server.execute(format!("UPDATE deliveries SET settled_at = 120000, reason = '{reason}'"));
        assert_eq!(journal(), "running");
        let instance = |id: i64| {
            format!(
                "INSERT INTO instances (id, slot, host, version, boot_id, started_at, last_seen_at, pools) \
                 VALUES ({id}, 'other', 'cellar', '0', 'b', 0, 0, '[]')"
            )
        };
        server.execute(instance(90));
        server.execute(format!("UPDATE deliveries SET token = {}", (90_i64 << 43) + 7));
        assert_eq!(journal(), "unread");
        assert_eq!(incidents(&server)[0]["instance"]["host"], "cellar");
        server.execute(instance(91));
        assert_eq!(journal(), "read");
        server.execute("UPDATE deliveries SET token = 7".to_owned());
        assert_eq!((journal().as_str(), &incidents(&server)[0]["instance"]), ("owner_unknown", &Value::Null));
    }

    fn a_log_is_matched_before_anything_changes_and_its_evidence_is_kept(db: &Database) {
        let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
        let server = Server::with_pools(db, vec![webhook("api", &sink)]);
        let api = server.api();
        let (campaign, ids) = uncertain(&api, &sink);
        server.execute("UPDATE deliveries SET settled_at = 120000".to_owned());
        let incident = incidents(&server)[0].clone();
        let (incident, key) = (incident["id"].as_str().unwrap().to_owned(), incident["message_key"].as_str().unwrap().to_owned());
        let path = format!("/v1/uncertain/{incident}/match");
        let log = format!(
            "message_id,event\n<{key}-{}@example.com>,Delivered\n{key}:{},bounce\n{key}:4711,sent\nann@example.net,sent\n",
            ids[0], ids[1]
        );
        let found = api.post(&path, &json!({ "log": log }));
        assert_eq!(found["summary"], "1 was accepted, 1 was not, 2 are not mentioned; 1 line was not understood.", "{found}");
        assert_eq!((&found["accepted"]["contact_ids"], &found["not_accepted"]["contact_ids"]), (&json!([ids[0]]), &json!([ids[1]])));
        assert_eq!((&found["lines"]["of_other_messages"], &found["lines"]["not_understood_at"]), (&json!(1), &json!([5])));
        assert_eq!(found["if_pending"], "Sent again: up to 1 person may get it twice.", "{found}");
        assert!(!found.to_string().contains("ann@"), "{found}");
        assert_eq!(api.campaign(campaign).stats.uncertain, 4, "nothing has changed");
        for (body, code) in [(json!({}), "required"), (json!({ "log": " " }), "required")] {
            assert_refused(&ask(&server, "POST", &path, &body), 422, code);
        }
        let resolve = format!("/v1/campaigns/{campaign}/deliveries/resolve");
        let order = |more: Value| {
            let mut body = json!({ "as": "sent", "message_ids": [format!("<{key}-{}@example.com>", ids[0])] });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            ask(&server, "POST", &resolve, &body)
        };
        let dry = order(json!({ "dry_run": true, "contact_ids": [ids[0], 4711] }));
        let consequence = "Counted as sent: 1 person counts as reached, and gets no other message.";
        let said = json!({
            "campaign_id": campaign, "resolved": 1, "status": "sent", "dry_run": true, "consequence": consequence, "not_uncertain": 1,
        });
        assert_eq!(dry.body, said, "{dry:?}");
        assert_eq!(api.get("/v1/audit-log?action=resolved")["data"], json!([]), "{dry:?}");
        let whole = ask(&server, "POST", &resolve, &json!({ "as": "pending", "dry_run": true }));
        assert_eq!((&whole.body["resolved"], &whole.body["consequence"]), (&json!(4), &json!("Sent again: up to 4 people may get it twice.")));
        for (more, field, code) in [
            (json!({ "message_ids": ["x"] }), "/message_ids/0", "message_id_invalid"),
            (json!({ "message_ids": [format!("{key}:1"), "0123456789abcdef01234567:1"] }), "/message_ids/1", "message_id_invalid"),
            (json!({ "message_ids": [] }), "/message_ids", "out_of_range"),
            (json!({ "evidence": { "note": " " } }), "/evidence/note", "required"),
            (json!({ "evidence": { "note": "ann@example.net says so" } }), "/evidence/note", "names_somebody"),
            (json!({ "evidence": { "note": "x".repeat(1_001) } }), "/evidence/note", "too_long"),
            (json!({ "evidence": { "note": "x", "log_sha256": "abc" } }), "/evidence/log_sha256", "invalid"),
        ] {
            let refused = order(more);
            assert_eq!((refused.status, refused.code(), refused.field()), (422, code, field), "{refused:?}");
        }
        assert_eq!(api.campaign(campaign).stats.uncertain, 4, "nothing has changed");
        let evidence = json!({ "note": "relay log of the second minute", "log_sha256": found["log_sha256"] });
        let done = order(json!({ "evidence": evidence }));
        assert_eq!(done.body, json!({ "campaign_id": campaign, "resolved": 1, "status": "sent" }), "{done:?}");
        let line = api.get("/v1/audit-log?action=resolved")["data"][0].clone();
        assert_eq!(line["after"], json!({ "resolution": "sent", "contacts": 1, "evidence": evidence }), "{line}");
        assert_eq!(api.campaign(campaign).stats.uncertain, 3);
        api.audit(campaign);
    }

    fn a_dry_run_refuses_what_could_not_be_done(db: &Database) {
        let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
        let server = Server::with_pools(db, vec![webhook("api", &sink)]);
        let api = server.api();
        let (campaign, _) = uncertain(&api, &sink);
        server.execute(format!("UPDATE campaigns SET status = 'stopped' WHERE id = {campaign}"));
        let resolve = format!("/v1/campaigns/{campaign}/deliveries/resolve");
        let order = |resolution: &str| ask(&server, "POST", &resolve, &json!({ "as": resolution, "dry_run": true }));
        assert_illegal(&order("pending"), "stopped");
        assert_eq!(order("failed").body["resolved"], 4);
        assert_refused(&ask(&server, "POST", "/v1/campaigns/4711/deliveries/resolve", &json!({ "as": "sent", "dry_run": true })), 404, "campaign_not_found");
        let named = json!({ "as": "sent", "message_ids": ["0123456789abcdef01234567:1"] });
        assert_refused(&ask(&server, "POST", "/v1/campaigns/4711/deliveries/resolve", &named), 404, "campaign_not_found");
    }

    fn what_is_uncertain_is_walked_part_by_part(db: &Database) {
        let server = Server::with(db, |settings| {
            settings.pools = vec![sandbox("main", ChannelKind::Email, 0.0)];
            settings.sending.page_size = 1;
        });
        let api = server.api();
        // A provider that confirms nothing is asked ever more slowly: what was sent is made uncertain afterwards.
        people(&api, 120);
        let campaign = draft(&api, &json!({ "pool": "main", "audience": { "all": true } }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        server.execute("UPDATE deliveries SET state = 'uncertain', settled_at = 120000".to_owned());
        server.execute("UPDATE pages SET sent = 0, uncertain = size".to_owned());
        let part = api.get(&format!("/v1/uncertain?campaign_id={campaign}"));
        assert_eq!((part["data"].as_array().unwrap().len(), &part["data"][0]["count"]), (1, &json!(100)), "{part}");
        let next = part["next_cursor"].as_str().unwrap();
        let rest = api.get(&format!("/v1/uncertain?campaign_id={campaign}&cursor={next}"));
        assert_eq!((&rest["data"][0]["count"], &rest["next_cursor"]), (&json!(20), &Value::Null), "{rest}");
        let whole = api.get(&format!("/v1/uncertain/{}", part["data"][0]["id"].as_str().unwrap()));
        assert_eq!((&whole["count"], whole["recipients"].as_array().unwrap().len()), (&json!(120), 100), "{whole}");
        let more = api.get(&format!(
            "/v1/uncertain/{}?cursor={}",
            whole["id"].as_str().unwrap(),
            whole["next_cursor"].as_str().unwrap()
        ));
        assert_eq!((more["recipients"].as_array().unwrap().len(), &more["next_cursor"]), (20, &Value::Null), "{more}");
        assert_eq!(api.get("/v1/uncertain?campaign_id=4711")["data"], json!([]));
        for query in ["cursor=x", "campaign_id=0", "campaign=1"] {
            assert_eq!(server.send("GET", &format!("/v1/uncertain?{query}"), &[], b"").status, 400, "{query}");
        }
        for id in ["1", "1-2-3", "0-0-0-00000000", "x"] {
            assert_refused(&server.send("GET", &format!("/v1/uncertain/{id}"), &[], b""), 404, "incident_not_found");
        }
    }
}
