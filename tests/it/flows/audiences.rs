//! Who is in, who is out, and who drops out on the way.

use serde_json::json;

use crate::support::both_backends;
use crate::support::people;
use crate::support::provider::{POOL, Provider};
use crate::support::stage::{LONG, Stage};
use crate::support::volley::{Pool, Volley};
use crate::support::waiting::{wait_for, wait_until};

both_backends! {
    fn an_empty_audience_closes_the_campaign(db: &Database) {
        let volley = Volley::on(db).pool(Pool::sandbox(POOL, "email")).start();
        let api = volley.api();
        let list = api.create_list("Nobody");
        let content = json!({ "subject": "Hi", "body_text": "Hi" });
        let campaign = api.create_campaign("email", POOL, list, &content);
        api.send(campaign);
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.status.as_str(), ended.stats.total), ("sent", 0));
        assert_eq!(ended.body["outcome"], "empty_audience", "{}", ended.body);
        volley.stop();
    }

    fn the_log_follows_a_sending_by_its_correlation_id_and_names_nobody(db: &Database) {
        let volley = Volley::on(db).pool(Pool::sandbox(POOL, "email").set("failure_rate", "0.5")).start();
        let api = volley.api();
        let list = api.create_list("Customers");
        api.import_csv(list, "email,first_name,phone\nann@example.com,Annabella,\nbob@example.com,Bobby,\nno address,Carlo,\n,Dora,+14155552671\n");
        let content = json!({ "subject": "Hello", "body_text": "Dear {first_name}, a word in confidence." });
        let campaign = api.create_campaign("email", POOL, list, &content);
        api.send(campaign);
        let ended = api.wait_ended(campaign, LONG);
        let correlation = ended.body["correlation_id"].as_str().expect("an id").to_owned();
        let log = volley.log();
        for event in ["launched", "paginated", "packed", "batch.processed", "completed"] {
            let line = log.lines().find(|line| line.contains(&format!("campaign.{event}")));
            let line = line.unwrap_or_else(|| panic!("no campaign.{event} in\n{log}"));
            assert!(line.contains(&correlation), "{line}");
        }
        let line = |event: &str| log.lines().position(|line| line.contains(event)).unwrap();
        assert!(line("campaign.packed") < line("campaign.paginated"), "{log}");
        let says = |event: &str, words: &str| {
            let line = log.lines().find(|line| line.contains(event)).unwrap();
            for word in words.split(' ') {
                assert!(line.contains(word), "{event} does not say {word}: {line}");
            }
        };
        says("campaign.packed", "audienceSize=3 validContacts=2 invalidContacts=1 strategy=\"lists\"");
        says("campaign.paginated", "pages=1 contacts=3");
        says("campaign.batch.processed", "dispatched= skipped=1 failed= aborted=0");
        for secret in ["example.com", "no address", "Annabella", "in confidence"] {
            assert!(!log.contains(secret), "{secret:?} stands in\n{log}");
        }
        volley.stop();
    }

    fn the_log_tells_what_a_pause_left_of_a_page_and_names_launches_in_bulk(db: &Database) {
        let pool = Pool::sandbox(POOL, "email").set("failure_rate", "0.0").set("rate_per_second", "20").set("burst", "1");
        let volley = Volley::on(db).pool(pool).start();
        let api = volley.api();
        let list = api.a_list_of(50);
        let campaign = api.create_campaign("email", POOL, list, &json!({ "subject": "s", "body_text": "x" }));
        let bulk = api.post("/v1/campaigns/bulk-action", &json!({ "action": "send", "campaign_ids": [campaign] }));
        assert_eq!(bulk["results"][0]["ok"], true, "{bulk}");
        let seen = api.wait(campaign, "some are sent", LONG, |seen| seen.stats.sent > 0);
        api.pause(campaign);
        let processed = wait_for("the page is released", LONG, || {
            volley.log().lines().find(|line| line.contains("campaign.batch.processed")).map(str::to_owned)
        });
        let paused = api.campaign(campaign).stats;
        for field in [format!("dispatched={}", paused.sent), format!("aborted={}", paused.pending)] {
            assert!(processed.contains(&field), "{field} is not said: {processed}");
        }
        let correlation = seen.body["correlation_id"].as_str().expect("an id");
        let log = volley.log();
        assert!(log.lines().any(|line| line.contains("campaign.launched") && line.contains(correlation)), "{log}");
        volley.stop();
    }

    fn people_without_an_address_of_the_channel_are_skipped(db: &Database) {
        let volley = Volley::on(db).pool(Pool::sandbox(POOL, "sms").set("failure_rate", "0.0")).start();
        let api = volley.api();
        let list = api.create_list("Customers");
        api.import_csv(list, "email,phone\nann@example.com,\nbob@example.com,+14155552671\n");
        let content = json!({ "body_text": "Hi", "subject": "" });
        let campaign = api.create_campaign("sms", POOL, list, &content);
        api.send(campaign);
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.stats.sent, ended.stats.skipped), (1, 1), "{}", ended.body);
        let skipped = api.deliveries(campaign, "skipped");
        assert!(skipped[0].to_string().contains("no_address"), "{}", skipped[0]);
        volley.stop();
    }

    fn a_contact_deleted_after_packing_is_skipped(db: &Database) {
        let provider = Provider::webhook((0, 0));
        let pool = provider.pool().set("rate_per_second", "20").set("burst", "1");
        let volley = Volley::on(db).pool(pool).start();
        let api = volley.api();
        let list = api.a_list_of(50);
        let campaign = api.create_campaign("http", POOL, list, &json!({}));
        api.send(campaign);
        api.wait(campaign, "everyone is packed", LONG, |campaign| campaign.stats.total == 50);
        api.pause(campaign);
        let pending = api.deliveries(campaign, "pending");
        let last = pending.last().expect("somebody still waits")["contact"]["id"].as_i64().unwrap();
        let path = format!("/v1/contacts/{last}");
        assert!(api.request(reqwest::Method::DELETE, &path, "", None, &[]).unwrap().status < 300);
        api.resume(campaign);
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.stats.sent, ended.stats.skipped), (49, 1), "{}", ended.body);
        volley.stop();
    }

    fn the_excluded_are_left_out(db: &Database) {
        let provider = Provider::webhook((0, 2));
        let volley = Volley::on(db).pool(provider.pool()).start();
        let api = volley.api();
        let customers = api.a_list_of(100);
        let tired = api.create_list("Tired");
        api.import_csv(tired, "email\nperson5@example.com\nperson50@example.com\n");
        let audience = json!({ "audience": { "lists": [customers], "exclude": { "lists": [tired] } } });
        let campaign = api.create_campaign("http", POOL, customers, &audience);
        api.send(campaign);
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.stats.total, ended.stats.sent), (98, 98), "{}", ended.body);
        let missing = provider.ledger().missing(&crate::support::people::addresses(100));
        assert_eq!(missing, ["person5@example.com", "person50@example.com"].map(str::to_owned).into());
        volley.stop();
    }

    fn who_became_a_member_by_what_happened_is_sent_to_and_nobody_else(db: &Database) {
        let provider = Provider::webhook((0, 2));
        let volley = Volley::on(db).pool(provider.pool()).start();
        let api = volley.api();
        let list = api.a_list_of(5);
        let twice = json!({ "event": { "name": "order_placed", "count": { "op": "gte", "n": 2 } } });
        api.post("/v1/segments", &json!({ "name": "Regulars", "criteria": twice }));
        wait_until("everybody is evaluated", LONG, || api.get("/v1/segments/regulars")["state"] == "ready");
        for person in [2, 4, 2] {
            let email = format!("person{person}@example.com");
            api.post("/v1/events", &json!({ "name": "order_placed", "email": email }));
        }
        wait_until("one ordered twice", LONG, || api.get("/v1/segments/regulars")["member_count"] == 1);
        let to_regulars = json!({ "audience": { "segments": ["regulars"] }, "topic_id": list });
        let campaign = api.create_campaign("http", POOL, list, &to_regulars);
        api.send(campaign);
        let ended = api.wait_ended(campaign, LONG);
        assert_eq!((ended.stats.total, ended.stats.sent), (1, 1), "{}", ended.body);
        let missing = provider.ledger().missing(&people::addresses(5));
        assert_eq!(missing, [1, 3, 4, 5].map(|person| format!("person{person}@example.com")).into());
        volley.stop();
    }

    fn who_joins_after_the_launch_is_not_sent_to(db: &Database) {
        let stage = Stage::set(db, Provider::webhook((5, 10)), 3_000, |builder| {
            builder.settings("[sending]\npage_size = 100")
        });
        stage.api.send(stage.campaign);
        stage.api.import_csv(1, "email\nlate@example.com\n");
        stage.assert_everyone_once();
        stage.volley.stop();
    }

    fn as_many_are_announced_as_are_packed_whatever_the_audience(db: &Database) {
        let sandbox = Pool::sandbox(POOL, "http").set("failure_rate", "0.0").set("latency_ms", "[0, 1]");
        let volley = Volley::on(db).pool(sandbox).settings("[sending]\npage_size = 3").start();
        let api = volley.api();
        let everyone = api.create_list("Everyone");
        api.import_csv(everyone, &people::csv(20));
        let some = api.create_list("Some");
        api.import_csv(some, "email\nperson3@example.com\nperson20@example.com\n");
        let few = api.create_list("Few");
        api.import_csv(few, "email\nperson1@example.com\nperson20@example.com\n");
        let gone = format!("/v1/contacts/{}", api.get("/v1/contacts?search=person20@")["data"][0]["id"]);
        assert!(api.request(reqwest::Method::DELETE, &gone, "", None, &[]).unwrap().status < 300);
        let one = &api.get("/v1/contacts?search=person3@")["data"][0]["id"];
        for (audience, expected) in [
            (json!({ "all": true }), 19),
            (json!({ "lists": [everyone] }), 19),
            (json!({ "lists": [few] }), 1),
            (json!({ "lists": [some, few] }), 2),
            (json!({ "lists": [everyone, some, few] }), 19),
            (json!({ "contact_ids": [one] }), 1),
            (json!({ "all": true, "exclude": { "lists": [some] } }), 18),
            (json!({ "lists": [everyone], "exclude": { "lists": [some, few], "contact_ids": [one] } }), 17),
            (json!({ "lists": [some, few], "exclude": { "contact_ids": [one] } }), 1),
            (json!({ "lists": [few], "contact_ids": [one] }), 2),
            (json!({ "lists": [some], "contact_ids": [one] }), 1),
            (json!({ "all": true, "lists": [some], "contact_ids": [one] }), 19),
            (json!({ "all": true, "contact_ids": [one], "exclude": { "lists": [some] } }), 18),
        ] {
            let campaign = api.create_campaign("http", POOL, everyone, &json!({ "audience": audience, "category": "transactional" }));
            let launched = api.post(&format!("/v1/campaigns/{campaign}/send"), &json!({}));
            assert_eq!(launched["messages_queued"], expected, "{audience}");
            let ended = api.wait_ended(campaign, LONG);
            assert_eq!((ended.stats.total, ended.stats.sent), (expected, expected), "{audience}");
        }
        volley.stop();
    }
}
