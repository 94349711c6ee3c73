//! Instances that are not running any more.

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;

use crate::support::both_backends;
use crate::support::server::{Server, sandbox};

both_backends! {
    fn instances_of_the_last_day_are_listed_with_what_became_of_them(db: &Database) {
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let own = api.get("/v1/instances")["data"][0]["id"].clone();
        let now = jiff::Timestamp::now().as_millisecond();
        let add = |id: i64, slot: &str, ago_ms: i64, stopped: bool| {
            let seen = now - ago_ms;
            let stopped = if stopped { seen.to_string() } else { "NULL".to_owned() };
            server.execute(format!(
                "INSERT INTO instances (id, slot, host, version, boot_id, started_at, last_seen_at, stopped_at, pools) \
                 VALUES ({id}, '{slot}', 'cellar', '0', 'b', {seen}, {seen}, {stopped}, '[]')"
            ));
        };
        add(90, "a", 7_200_000, false);
        add(91, "a", 3_600_000, true);
        add(92, "b", 60_000, false);
        add(93, "c", 90_000_000, false);
        // A page in the name of the silent one.
        let list = api.a_list_of(1);
        let campaign = api.create_campaign("email", "main", list, &json!({}));
        api.send(campaign);
        api.wait_ended(campaign, std::time::Duration::from_secs(60));
        let all = api.get("/v1/instances?all=true");
        let gone: Vec<(i64, &Value)> =
            all["data"].as_array().unwrap().iter().map(|one| (one["id"].as_i64().unwrap(), &one["gone"])).collect();
        let ids: Vec<i64> = gone.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [92, 91, 90, own.as_i64().unwrap()], "the newest first, and none of the day before: {all}");
        assert_eq!((&gone[0].1["how"], &gone[0].1["pages_held"]), (&json!("silent"), &json!(0)), "{all}");
        assert_eq!((&gone[1].1["how"], gone[1].1["ended_at"].is_string()), (&json!("ended"), true), "{all}");
        assert_eq!((&gone[2].1["how"], &gone[2].1["succeeded_by"]), (&json!("replaced"), &json!(91)), "{all}");
        assert_eq!(gone[3].1, &Value::Null, "it is running: {all}");
        assert_eq!(api.get("/v1/instances?all=false")["data"].as_array().unwrap().len(), 1);
        let wrong = server.send("GET", "/v1/instances?all=perhaps", &[], b"");
        assert_eq!((wrong.status, wrong.code()), (400, "not_allowed"), "{wrong:?}");
    }
}
