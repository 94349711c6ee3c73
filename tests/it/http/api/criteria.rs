//! Criteria, before they are saved.

use serde_json::{Value, json};

use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::Server;

both_backends! {
    fn an_estimate_counts_who_criteria_take_and_shows_some_of_them(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let ids: Vec<i64> = (0..30)
            .map(|n| {
                let plan = if n % 2 == 0 { "pro" } else { "free" };
                let body = json!({ "external_id": format!("c-{n}"), "attributes": { "plan": plan } });
                id(&api.post("/v1/contacts", &body))
            })
            .collect();
        let list = api.create_list("News");
        api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": [ids[0], ids[1], ids[2]] }));
        let estimate = |criteria: Value| api.post("/v1/segments/estimate", &json!({ "criteria": criteria }));
        let pro = json!({ "attribute": { "name": "plan", "op": "eq", "value": "pro" } });
        let all: Vec<i64> = ids.iter().step_by(2).take(10).copied().collect();
        assert_eq!(
            estimate(pro.clone()),
            json!({
                "sentence": "attribute plan is \"pro\"", "count": 15, "exact": true, "error": 0, "contacts": 30, "sample": all,
            })
        );
        // A slug stands wherever an id may.
        let both = estimate(json!({ "all": [pro, { "list": { "id": "news" } }] }));
        assert_eq!((&both["count"], &both["sample"]), (&json!(2), &json!([ids[0], ids[2]])));
        assert_eq!(both["sentence"], json!(format!("attribute plan is \"pro\" and subscribed on list {list}")));
        let everybody = estimate(json!({ "everyone": true }));
        assert_eq!(everybody["count"], 30);
        let refused = |criteria: &Value, code: &str, field: &str| {
            let body = json!({ "criteria": criteria }).to_string();
            let answer = server.send("POST", "/v1/segments/estimate", &[("Content-Type", "application/json")], body.as_bytes());
            assert_eq!((answer.status, answer.code(), answer.field()), (422, code, field), "{answer:?}");
        };
        refused(&json!({ "list": { "id": 99 } }), "criteria_invalid", "/criteria/list/id");
        let opened = json!({ "message": { "event": "opened", "campaign": 99 } });
        refused(&json!({ "any": [{ "tag": "a" }, opened] }), "criteria_invalid", "/criteria/any/1/message/campaign");
        let opened = json!({ "message": { "event": "opened", "campaign": 0 } });
        refused(&opened, "criteria_invalid", "/criteria/message/campaign");
        let many: Vec<Value> = (0..200).map(|_| json!({ "list": { "id": "news" } })).collect();
        refused(&json!({ "any": many }), "criteria_too_long", "/criteria/any/100/list");
    }

    fn of_many_contacts_some_are_asked_and_the_error_is_said(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        server.execute(
            "INSERT INTO contacts (id, attributes, created_at, updated_at)
                WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 120000)
                SELECT n * 3, CASE WHEN n % 4 = 0 OR n < 5000 THEN '{\"plan\":\"pro\"}' ELSE '{}' END, 0, 0 FROM n"
                .to_owned(),
        );
        let pro = json!({ "attribute": { "name": "plan", "op": "eq", "value": "pro" } });
        let truth = 30_000 + 4_999 - 4_999 / 4;
        for answer in [
            api.post("/v1/segments/estimate", &json!({ "criteria": pro })),
            api.post("/v1/audiences/count", &json!({ "audience": { "filter": pro } })),
        ] {
            let number = |field: &str| answer[field].as_i64().unwrap();
            assert_eq!((answer["exact"].as_bool(), number("contacts")), (Some(false), 120_000), "{answer}");
            let (off, error) = ((number("count") - truth).abs(), number("error"));
            assert!(off <= error && (1..truth / 4).contains(&error), "{answer}: {truth}");
        }
        let all = api.post("/v1/audiences/count", &json!({ "audience": { "all": true } }));
        assert_eq!((&all["count"], &all["exact"]), (&json!(120_000), &json!(true)));
    }
}
