//! What a campaign shows of the reports about its messages.

use serde_json::{Map, Value, json};
use volley::domain::dispatch::delivery::DeliveryId;
use volley::domain::events::EventSource;
use volley::domain::ids::{CampaignId, ContactId};
use volley::domain::reports::{Reader, ReportKind};
use volley::store::events::EventKey;
use volley::store::reports::{self, Line};

use super::{LONG, draft, people, pools};
use crate::support::api::{Api, id};
use crate::support::both_backends;
use crate::support::server::Server;

/// The lines of an export.
fn exported(api: &Api, path: &str) -> Vec<String> {
    api.get(path).as_str().unwrap().lines().map(ToOwned::to_owned).collect()
}

both_backends! {
    fn a_campaigns_recipients_are_exported_with_what_was_reported_of_each(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        let ids = people(&api, 3);
        let other = id(&api.post("/v1/contacts", &json!({ "external_id": "=1+1", "phone": "+14155552671" })));
        let campaign = draft(&api, &json!({ "audience": { "all": true } }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let line = |n: usize, kind| Line {
            key: EventKey { source: EventSource::of_pool("fast").as_str().to_owned(), key: format!("{n}{kind:?}") },
            delivery: DeliveryId { campaign: CampaignId(campaign), contact: ContactId(ids[n]) },
            kind,
            occurred_at: None,
            details: Map::new(),
        };
        let machine = ReportKind::Clicked(Reader::Machine);
        let lines = vec![line(0, ReportKind::Delivered), line(0, machine), line(1, ReportKind::HardBounced)];
        server.change(move |conn| reports::apply(conn, &lines));
        let path = format!("/v1/campaigns/{campaign}/deliveries/export");
        assert_eq!(server.send("GET", &path, &[], b"").header("content-type"), Some("text/csv; charset=utf-8"));
        let rows = exported(&api, &path);
        let header = "contact_id,external_id,address,status,error,error_category,answer_class,attempts,sent_at,delivered,\
            soft_bounced,hard_bounced,complained,opened,machine_opened,clicked,machine_clicked,replied,unsubscribed,rejected_later,\
            provider_id,claimed_at,settled_at";
        assert_eq!((rows.len(), rows[0].as_str()), (5, header));
        let start = |n: usize| format!("{},,person{}@example.com,sent,,,,1,20", ids[n], n + 1);
        for (n, reports) in [
            (0, "yes,no,no,no,no,no,no,yes,no,no,no"),
            (1, "no,no,yes,no,no,no,no,no,no,no,no"),
            (2, "no,no,no,no,no,no,no,no,no,no,no"),
        ] {
            let row = &rows[n + 1];
            assert!(row.starts_with(&start(n)) && row.contains(&format!("Z,{reports},")) && row.ends_with('Z'), "{row}");
        }
        let nothing = "no,".repeat(10);
        let skipped = |id_of: &str| format!("{other},{id_of},,skipped,no_address,,,0,,{nothing}no,,,");
        assert!(rows[4].starts_with(&skipped("'=1+1")), "{}", rows[4]);
        let kind = "status=skipped&skip_reason=no_address&raw=true";
        for (query, count) in [("status=skipped&raw=true", 1), (kind, 1), ("status=skipped&skip_reason=suppressed&raw=true", 0)] {
            let found = exported(&api, &format!("{path}?{query}"));
            assert_eq!(found.len(), count + 1, "{query}");
            assert!(found[1..].iter().all(|row| row.starts_with(&skipped("=1+1"))), "{found:?}");
        }
        let lines = exported(&api, &format!("{path}?format=jsonl"));
        let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (first, last) = (&lines[0], &lines[3]);
        assert_eq!((&first["reported"], &first["status"], &first["attempts"]), (&json!(["delivered", "machine_clicked"]), &json!("sent"), &json!(1)));
        assert_eq!((&first["address"], &first["contact"]["id"]), (&json!("person1@example.com"), &json!(ids[0])));
        assert_eq!((&last["error"], &last["address"], &last["contact"]["external_id"]), (&json!("no_address"), &json!(null), &json!("=1+1")));
        for (path, status) in [
            (format!("{path}?status=lost"), 400),
            (format!("{path}?raw=1"), 400),
            (format!("{path}?answer_class=policy"), 400),
            (format!("{path}?format=xml"), 400),
            ("/v1/campaigns/999/deliveries/export".to_owned(), 404),
        ] {
            assert_eq!(server.send("GET", &path, &[], b"").status, status, "{path}");
        }
    }

    fn an_export_of_many_recipients_has_each_of_them_once(db: &Database) {
        let server = Server::with_pools(db, pools());
        let api = server.api();
        // More than are read at once, and than fit on one page.
        let campaign = draft(&api, &json!({ "audience": { "lists": [api.a_list_of(4_100)] } }));
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let rows = exported(&api, &format!("/v1/campaigns/{campaign}/deliveries/export"));
        let ids: Vec<i64> = rows[1..].iter().map(|row| row.split(',').next().unwrap().parse().unwrap()).collect();
        assert_eq!(ids.len(), 4_100);
        assert!(ids.is_sorted_by(|one, next| one < next));
    }

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
