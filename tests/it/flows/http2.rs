//! Campaigns over HTTP/2.

use std::time::Duration;

use serde_json::json;

use crate::support::http2::{Habits, Http2};
use crate::support::provider::POOL;
use crate::support::stage::LONG;
use crate::support::volley::{Pool, Volley};
use crate::support::{both_backends, people};

const PEOPLE: usize = 400;

both_backends! {
    fn a_server_that_takes_few_requests_on_a_connection_is_asked_for_each_recipient_once(db: &Database) {
        let habits = Habits { at_once: Some(5), in_all: Some(20), latency: Duration::from_millis(5) };
        let server = Http2::good(habits);
        let pool = Pool::webhook_at(POOL, server.port()).set("http_version", "\"2\"").set("timeout_seconds", "10");
        let volley = Volley::on(db).pool(pool).start();
        let api = volley.api();
        let list = api.a_list_of(PEOPLE);
        let campaign = api.create_campaign("http", POOL, list, &json!({}));
        api.send(campaign);
        let ended = api.wait_ended(campaign, LONG);
        server.ledger().assert_each_once(&people::addresses(PEOPLE));
        assert_eq!((ended.stats.sent, ended.stats.uncertain), (ended.stats.total, 0), "{}", ended.body);
        assert!(server.busiest() <= 5, "{} at once", server.busiest());
        assert!(server.connections() >= PEOPLE / 20, "{} connections", server.connections());
        volley.stop();
    }
}
