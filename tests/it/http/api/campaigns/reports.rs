//! What a campaign shows of the reports about its messages.

use serde_json::{Map, json};
use volley::domain::dispatch::delivery::DeliveryId;
use volley::domain::events::EventSource;
use volley::domain::ids::{CampaignId, ContactId};
use volley::domain::reports::{Reader, ReportKind};
use volley::store::events::EventKey;
use volley::store::reports::{self, Line};

use super::{LONG, draft, people, pools};
use crate::support::both_backends;
use crate::support::server::Server;

both_backends! {
    fn a_campaign_shows_what_was_reported_of_it(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 4);
        let campaign = draft(&api, &json!({ "audience": { "all": true } }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let path = format!("/v1/campaigns/{campaign}");
        assert!(api.get(&path).get("reports").is_none(), "nothing was reported so far");
        let (person, machine) = (ReportKind::Opened(Reader::Person), ReportKind::Opened(Reader::Machine));
        let told = [
            (0, ReportKind::Delivered), (1, ReportKind::Delivered), (2, ReportKind::HardBounced),
            (0, machine), (1, machine), (0, person), (0, person),
        ];
        let lines: Vec<Line> = told
            .into_iter()
            .enumerate()
            .map(|(n, (recipient, kind))| Line {
                key: EventKey { source: EventSource::of_pool("fast").as_str().to_owned(), key: n.to_string() },
                delivery: DeliveryId { campaign: CampaignId(campaign), contact: ContactId(ids[recipient]) },
                kind,
                occurred_at: None,
                details: Map::new(),
            })
            .collect();
        server.change(move |conn| reports::apply(conn, &lines));
        let shown = api.get(&path)["reports"].clone();
        let figure = |recipients, total| json!({ "recipients": recipients, "total": total });
        assert_eq!(shown["delivered"], figure(2, 2));
        assert_eq!(shown["hard_bounced"], figure(1, 1));
        assert_eq!(shown["opened"], figure(1, 2));
        assert_eq!(shown["machine"], json!({ "opened": figure(2, 2), "clicked": figure(0, 0) }));
        let rates = &shown["rates"];
        assert_eq!((&rates["of_sent"]["delivered"], &rates["of_sent"]["opened"]), (&json!(0.5), &json!(0.25)));
        assert_eq!((&rates["of_delivered"]["opened"], &rates["of_sent"]["hard_bounced"]), (&json!(0.5), &json!(0.25)));
        assert_eq!(api.get("/v1/campaigns")["data"][0]["reports"], shown, "the list shows the same");
        let events = api.get(&format!("/v1/events?contact_id={}&name=message.opened", ids[0]));
        let told: Vec<_> = events["data"].as_array().unwrap().iter().map(|event| &event["properties"]["machine"]).collect();
        assert_eq!(told, [&json!(false), &json!(false), &json!(true)], "the newest first");
        assert_eq!(events["data"][0]["source"], "pool:fast");
    }
}
