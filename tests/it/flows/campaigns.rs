//! From a CSV file to the provider.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::both_backends;
use crate::support::people;
use crate::support::provider::{POOL, Provider};
use crate::support::stage::{LONG, Stage};
use crate::support::volley::{Pool, Volley};
use crate::support::waiting::{wait_for, wait_until};

both_backends! {
    fn a_campaign_goes_from_a_csv_file_to_a_relay(db: &Database) {
        let provider = Provider::smtp((0, 2));
        let volley = Volley::on(db).pool(provider.pool()).start();
        let api = volley.api();
        let list = api.create_list("Customers");
        let import = api.import_csv(list, &format!("{}nobody at all,X,Y,Z\n", people::csv(1_500)));
        assert_eq!(import["rows_created"], json!(1_500), "{import}");
        assert_eq!(import["rows_rejected"], json!(1), "{import}");
        let template = api.create_template("email", "Hello {first_name|friend}", "News from {city|town}.");
        let body = json!({
            "name": "News", "channel": "email", "template_id": template, "audience": { "lists": [list] },
        });
        let campaign = crate::support::api::id(&api.post("/v1/campaigns", &body));
        let launched = api.send(campaign);
        assert_eq!(launched["messages_queued"], json!(1_500), "{launched}");
        let stage = Stage { volley, api, provider, campaign, everyone: people::addresses(1_500) };
        stage.assert_everyone_once();
        let mail = stage.provider.ledger().message_to(&people::address(7));
        assert!(mail.contains("Subject: Hello First7"), "{mail}");
        assert!(mail.contains("From: "), "{mail}");
        assert!(mail.to_ascii_lowercase().contains("message-id: "), "{mail}");
        stage.volley.stop();
    }

    fn a_campaign_goes_from_a_csv_file_to_a_webhook(db: &Database) {
        let stage = Stage::launched(db, Provider::webhook((0, 2)), 1_500);
        stage.assert_everyone_once();
        let request: serde_json::Value =
            serde_json::from_str(&stage.provider.ledger().message_to(&people::address(7))).unwrap();
        assert_eq!(request["subject"], "Hello First7");
        assert_eq!(request["text"], "Dear First7, good news from Town 7.");
        assert_eq!(request["campaign_id"], json!(stage.campaign));
        stage.volley.stop();
    }

    fn the_pages_of_a_campaign_under_way_are_counted_by_state_and_forgotten_at_its_end(db: &Database) {
        let pool = Pool::sandbox(POOL, "email").set("failure_rate", "0.0").set("rate_per_second", "20").set("burst", "1");
        let settings = "[sending]\npage_size = 1\n[timing]\nreaper_tick_ms = 50";
        let volley = Volley::on(db).settings(settings).pool(pool).start();
        let api = volley.api();
        let list = api.a_list_of(20);
        let campaign = api.create_campaign("email", POOL, list, &json!({ "subject": "s", "body_text": "x" }));
        api.send(campaign);
        let pages = |state: &str| -> u64 {
            let metrics = api.try_get("/metrics").unwrap().body.as_str().unwrap().to_owned();
            let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("volley_pages{{state=\"{state}\"}} ")));
            line.map_or(0, |figure| figure.parse().unwrap())
        };
        api.wait(campaign, "a page is done", LONG, |seen| seen.stats.sent >= 10);
        api.pause(campaign);
        wait_until("all pages are counted, some of them done", LONG, || {
            pages("done") >= 1 && pages("done") + pages("ready") + pages("leased") == 20
        });
        api.resume(campaign);
        api.wait_ended(campaign, LONG);
        wait_until("the pages of an ended campaign are not counted", LONG, || pages("done") == 0);
        volley.stop();
    }

    fn whoever_packs_says_how_far_it_is(db: &Database) {
        let pool = Pool::sandbox(POOL, "email").set("rate_per_second", "1");
        let volley = Volley::on(db).settings("[sending]\npage_size = 1").pool(pool).start();
        let api = volley.api();
        let list = api.a_list_of(20_000);
        let campaign = api.create_campaign("email", POOL, list, &json!({ "subject": "s", "body_text": "x" }));
        api.send(campaign);
        let paginator = wait_for("a paginator is at work", LONG, || {
            let state = api.get("/v1/admin/state");
            let paginator = state["paginators"][0].clone();
            paginator["cursor_contact_id"].is_i64().then_some(paginator)
        });
        assert_eq!((&paginator["campaign_id"], &paginator["waits_for"]), (&json!(campaign), &json!(null)));
        assert_eq!(paginator["pages"], paginator["recipients"], "{paginator}");
        assert!(paginator["recipients"].as_i64().unwrap() > 0, "{paginator}");
        api.stop(campaign);
        volley.stop();
    }

    fn a_second_import_of_the_same_file_creates_nobody(db: &Database) {
        let volley = Volley::on(db).pool(Pool::sandbox(POOL, "email")).start();
        let api = volley.api();
        let list = api.create_list("Customers");
        api.import_csv(list, &people::csv(500));
        let again = api.import_csv(list, &people::csv(500));
        assert_eq!(again["rows_created"], json!(0), "{again}");
        volley.stop();
    }

    fn a_pool_keeps_its_rate(db: &Database) {
        let provider = Provider::webhook((0, 0));
        let pool = provider.pool().set("rate_per_second", "100").set("burst", "10");
        let volley = Volley::on(db).pool(pool).start();
        let api = volley.api();
        let list = api.a_list_of(200);
        let campaign = api.create_campaign("http", POOL, list, &json!({}));
        let launched = Instant::now();
        api.send(campaign);
        api.wait_ended(campaign, LONG);
        let took = launched.elapsed();
        assert!(took > Duration::from_millis(1_800), "190 after the burst, at 100 a second, took {took:?}");
        provider.ledger().assert_each_once(&people::addresses(200));
        volley.stop();
    }

    fn two_campaigns_of_one_pool_take_turns(db: &Database) {
        let first = Stage::set(db, Provider::webhook((5, 10)), 4_000, |builder| builder);
        let audience = json!({ "audience": { "contact_ids": [1, 2, 3] } });
        let second = first.api.create_campaign("http", POOL, 1, &audience);
        first.api.send(first.campaign);
        first.wait_reached(100);
        first.api.send(second);
        first.api.wait_ended(second, LONG);
        assert_eq!(first.api.campaign(first.campaign).status, "sending", "the small one waited for the large one");
        first.wait_ended();
        first.volley.stop();
    }
}
