//! Audiences by criteria, and by what became of other campaigns.

use serde_json::{Value, json};

use super::{LONG, ask, assert_refused, draft, fields, people, pools};
use crate::support::api::Api;
use crate::support::both_backends;
use crate::support::server::Server;

/// Launches a campaign for an audience, waits for its end, and returns who it was sent to.
fn sent_to(api: &Api, audience: &Value) -> (i64, Vec<i64>) {
    let campaign = draft(api, &json!({ "audience": audience }));
    api.send(campaign);
    api.wait_ended(campaign, LONG);
    let mut ids: Vec<i64> =
        api.deliveries(campaign, "sent").iter().map(|delivery| delivery["contact"]["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    (campaign, ids)
}

fn count(api: &Api, audience: &Value) -> Value {
    api.post("/v1/audiences/count", &json!({ "audience": audience }))
}

both_backends! {
    fn a_filter_takes_who_matches_when_it_is_packed_and_an_earlier_campaign_who_it_was_sent_to(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 8);
        for id in &ids[..5] {
            ask(&server, "PATCH", &format!("/v1/contacts/{id}"), &json!({ "attributes": { "plan": "pro" } }));
        }
        for id in &ids[3..6] {
            api.post("/v1/events", &json!({ "name": "order_placed", "contact_id": id, "properties": { "total": 20 * id } }));
        }
        let pro = json!({ "attribute": { "name": "plan", "op": "eq", "value": "pro" } });
        let ordered = json!({ "event": { "name": "order_placed", "within": "30d" } });

        let audience = json!({ "filter": pro, "contact_ids": [ids[7]], "exclude": { "contact_ids": [ids[0]] } });
        assert_eq!(count(&api, &audience), json!({ "count": 5, "exact": true, "error": 0, "contacts": 8 }));
        let (first, sent) = sent_to(&api, &audience);
        assert_eq!(sent, [ids[1], ids[2], ids[3], ids[4], ids[7]]);
        assert_eq!(api.get(&format!("/v1/campaigns/{first}"))["audience"]["filter"], pro, "pinned as it was given");

        let audience = json!({ "campaigns": [{ "id": first }], "exclude": { "filter": ordered } });
        assert_eq!(count(&api, &audience)["count"], 3);
        assert_eq!(sent_to(&api, &audience).1, [ids[1], ids[2], ids[7]], "was sent the first, and ordered nothing");

        let audience = json!({ "filter": ordered, "exclude": { "campaigns": [{ "id": first, "was": "sent" }] } });
        assert_eq!(count(&api, &audience)["count"], 1);
        assert_eq!(sent_to(&api, &audience).1, [ids[5]]);

        let nobody = json!({ "filter": { "tag": "nobody" } });
        assert_eq!(count(&api, &nobody)["count"], 0);
        assert!(sent_to(&api, &nobody).1.is_empty());
    }

    fn a_campaign_whose_filter_asks_for_a_list_that_was_deleted_since_is_not_launched(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        people(&api, 1);
        let list = api.create_list("News");
        let filter = json!({ "list": { "id": list } });
        let campaigns = [json!({ "filter": filter }), json!({ "all": true, "exclude": { "filter": filter } })]
            .map(|audience| draft(&api, &json!({ "audience": audience })));
        assert_eq!(server.send("DELETE", &format!("/v1/lists/{list}"), &[], b"").status, 204);
        for campaign in campaigns {
            let answer = server.send("POST", &format!("/v1/campaigns/{campaign}/send"), &[], b"");
            assert_refused(&answer, 404, "list_not_found");
        }
    }

    fn an_audience_with_a_filter_that_cannot_be_read_is_refused_at_its_place(db: &Database) {
        let server = Server::with_pools(db, pools());
        let refused = |audience: Value| {
            let body = json!({ "audience": audience });
            let counted = ask(&server, "POST", "/v1/audiences/count", &body);
            let made = ask(&server, "POST", "/v1/campaigns", &fields(&body));
            assert_eq!((counted.status, counted.code()), (made.status, made.code()), "{counted:?} {made:?}");
            counted
        };
        for (audience, place) in [
            (json!({ "filter": { "list": { "id": "nothing" } } }), "/audience/filter/list/id"),
            (json!({ "all": true, "exclude": { "filter": { "segment": "nothing" } } }), "/audience/exclude/filter/segment"),
            (json!({ "filter": { "all": [{ "tag": "a" }, { "event": {} }] } }), "/audience/filter/all/1/event/name"),
        ] {
            let answer = refused(audience);
            assert_refused(&answer, 422, "criteria_invalid");
            assert_eq!(answer.field(), place);
        }
        let audience = json!({ "filter": { "not": { "tag": "a" } } });
        assert_refused(&refused(audience), 422, "criteria_everybody");
        assert_refused(&refused(json!({ "campaigns": [{ "id": 99 }] })), 404, "campaign_not_found");
        assert_refused(&ask(&server, "POST", "/v1/audiences/count", &json!({ "audience": {} })), 422, "audience_required");
    }
}
