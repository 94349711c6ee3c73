//! What became of messages by day, pool and domain, as clients read it.

use std::time::Duration;

use serde_json::{Map, Value, json};
use volley::domain::channel::ChannelKind;
use volley::domain::dispatch::delivery::DeliveryId;
use volley::domain::events::EventSource;
use volley::domain::ids::{CampaignId, ContactId};
use volley::domain::reports::ReportKind;
use volley::store::deliverability;
use volley::store::events::EventKey;
use volley::store::reports::{self, Line};

use crate::support::api::id;
use crate::support::both_backends;
use crate::support::server::{Server, sandbox};
use crate::support::waiting::wait_for;

const LONG: Duration = Duration::from_secs(60);

both_backends! {
    fn bounces_show_at_which_domain_and_pool_messages_come_back(db: &Database) {
        let pools = vec![sandbox("mail", ChannelKind::Email, 0.0), sandbox("texts", ChannelKind::Sms, 0.0)];
        let server = Server::with_pools(db, pools);
        let api = server.api();
        let person = |body: &Value| id(&api.post("/v1/contacts", body));
        let ann = person(&json!({ "email": "ann@big.example", "phone": "+14155552671" }));
        let bob = person(&json!({ "email": "Bob@BIG.example" }));
        person(&json!({ "email": "cleo@small.example" }));
        let mut mail = 0;
        for (channel, pool) in [("sms", "texts"), ("email", "mail")] {
            let mut body = json!({
                "name": "Spring", "channel": channel, "pool": pool, "body_text": "Hi", "audience": { "all": true },
            });
            if channel == "email" {
                body["subject"] = json!("Hi");
            }
            mail = id(&api.post("/v1/campaigns", &body));
            api.send(mail);
            api.wait_ended(mail, LONG);
        }
        let line = |contact: i64, kind: ReportKind| Line {
            key: EventKey { source: EventSource::of_pool("mail").as_str().to_owned(), key: contact.to_string() },
            delivery: DeliveryId { campaign: CampaignId(mail), contact: ContactId(contact) },
            kind,
            occurred_at: None,
            details: Map::new(),
        };
        let lines = vec![line(ann, ReportKind::Delivered), line(bob, ReportKind::HardBounced)];
        server.change(move |conn| reports::apply(conn, &lines));
        let shown = wait_for("the figures are in", LONG, || {
            // The instance does so by itself, every few seconds.
            server.change(deliverability::fold);
            let sum = |shown: &Value, name: &str| -> i64 {
                shown["data"].as_array().unwrap().iter().filter_map(|row| row[name].as_i64()).sum()
            };
            let is_in = |shown: &Value| ["sent", "delivered", "hard_bounced"].map(|name| sum(shown, name)) == [4, 1, 1];
            Some(api.get("/v1/deliverability")).filter(is_in)
        });
        let rows = shown["data"].as_array().unwrap();
        let day = rows[0]["day"].as_str().unwrap();
        let row = |pool: &str, domain: Value, sent: i64, delivered: i64, hard: i64| {
            json!({
                "day": day, "pool": pool, "domain": domain, "sent": sent, "delivered": delivered, "soft_bounced": 0,
                "hard_bounced": hard, "complained": 0,
            })
        };
        let big = row("mail", json!("big.example"), 2, 1, 1);
        let small = row("mail", json!("small.example"), 1, 0, 0);
        let texts = row("texts", json!(null), 1, 0, 0);
        assert_eq!(rows, &[big.clone(), small.clone(), texts.clone()]);
        assert!(shown["next_cursor"].is_null(), "{shown}");

        let first = api.get("/v1/deliverability?page_size=2");
        assert_eq!(first["data"], json!([big, small]));
        let next = first["next_cursor"].as_str().unwrap();
        assert_eq!(api.get(&format!("/v1/deliverability?page_size=2&cursor={next}"))["data"], json!([texts]));
        assert_eq!(api.get(&format!("/v1/deliverability?domain=BIG.example&from={day}&to={day}"))["data"], json!([big]));
        assert_eq!(api.get("/v1/deliverability?pool=texts")["data"], json!([texts]));
        assert_eq!(api.get("/v1/deliverability?to=2020-01-01&from=2019-01-01")["data"], json!([]));
        for query in ["domain=", "domain=a%40b.example", "from=2026-02-02&to=2026-02-01", "from=yesterday", "to=2026-02-30", "page_size=0", "cursor=1", "channel=email"] {
            assert_eq!(server.send("GET", &format!("/v1/deliverability?{query}"), &[], b"").status, 400, "{query}");
        }
    }
}
