//! What a report proves about a delivery that is in doubt.

use serde_json::json;
use volley::config::pools::{CallbackConfig, PoolConfig};
use volley::config::secret::Secret;
use volley::domain::callbacks::Format;
use volley::domain::ids::CampaignId;
use volley::store::campaigns;

use super::{LONG, SECRET, World, now, signed};
use crate::support::api::id;
use crate::support::both_backends;
use crate::support::scripted_http::{Keys, ScriptedHttp};
use crate::support::server::{Server, webhook};

both_backends! {
    fn what_the_former_pool_of_a_campaign_reports_still_counts_and_what_a_stranger_says_does_not(db: &Database) {
        let world = World::on(db);
        world.server.execute("UPDATE campaigns SET pool = 'other'".to_owned());
        world.tell("msg_1", world.ann, "delivered", &json!({}));
        assert_eq!(world.reported("delivered"), (0, 0), "the pool has sent nothing of it");
        world.server.execute(format!("INSERT INTO former_pools VALUES ({}, 'main', 0)", world.campaign));
        world.tell("msg_2", world.ann, "delivered", &json!({}));
        assert_eq!(world.reported("delivered"), (1, 1));
    }

    fn a_report_settles_a_delivery_of_which_nobody_knew_whether_it_was_accepted(db: &Database) {
        let sink = ScriptedHttp::slow((0, 0), Keys::Ignored);
        let callbacks = CallbackConfig { format: Format::StandardWebhooks, secret: Some(Secret::new(SECRET)), topics: Vec::new() };
        let server = Server::with_pools(db, vec![PoolConfig { callbacks: Some(callbacks), ..webhook("api", &sink) }]);
        let api = server.api();
        let contacts: Vec<i64> =
            (0..4).map(|n| id(&api.post("/v1/contacts", &json!({ "email": format!("person{n}@example.com") })))).collect();
        sink.play("request every=1: {take} 500");
        let body = json!({ "name": "U", "channel": "http", "pool": "api", "body_text": "x", "audience": { "all": true } });
        let campaign = id(&api.post("/v1/campaigns", &body));
        api.send(campaign);
        assert_eq!(api.wait_ended(campaign, LONG).stats.uncertain, 4);
        let key = server.ask(move |conn| Ok(campaigns::find(conn, CampaignId(campaign))?.unwrap().key.unwrap()));
        let reports: Vec<_> = [(contacts[0], "delivered"), (contacts[1], "rejected_later"), (contacts[2], "complained")]
            .iter()
            .map(|(contact, kind)| json!({ "kind": kind, "delivery_key": format!("{key}:{contact}") }))
            .collect();
        let body = json!({ "reports": reports }).to_string();
        for id in ["msg_1", "msg_1", "msg_2"] {
            let headers = signed(SECRET, id, now(), body.as_bytes());
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(server.send("POST", "/v1/callbacks/api", &headers, body.as_bytes()).status, 200);
        }
        let settled = api.wait(campaign, "what was reported is settled", LONG, |seen| seen.stats.uncertain == 1);
        assert_eq!((settled.stats.sent, settled.stats.failed), (2, 1), "{}", settled.body);
        api.audit(campaign);
        let complained = server.ask(|conn| {
            Ok(crate::support::database::number(conn, "SELECT count(*) AS n FROM suppressions WHERE complained_at IS NOT NULL"))
        });
        assert_eq!(complained, 1, "on channel http");
    }
}
