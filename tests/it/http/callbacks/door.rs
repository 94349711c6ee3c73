//! Who is let in, and what is stored.

use serde_json::json;
use volley::domain::callbacks::Format;
use volley::domain::channel::ChannelKind;

use super::{LONG, POOL, SECRET, World, now, pool, signed};
use crate::support::both_backends;
use crate::support::server::{Server, sandbox};
use crate::support::waiting::wait_for;

both_backends! {
    fn a_report_is_counted_once_however_often_its_callback_comes(db: &Database) {
        let world = World::on(db);
        let body = json!({ "kind": "opened", "delivery_key": world.delivery(world.ann) });
        for _ in 0..3 {
            assert_eq!(world.report("msg_1", &body).status, 200);
        }
        world.wait_read();
        // A provider that signs the repetition anew, and another callback about the same.
        assert_eq!(world.report("msg_1", &body).status, 200);
        assert_eq!(world.report("msg_2", &body).status, 200);
        world.wait_read();
        assert_eq!(world.reported("opened"), (1, 2));
        assert_eq!(world.count("callbacks"), 2);
        assert_eq!(world.count("callbacks WHERE state = 'done' AND body IS NULL"), 2, "what was read is removed");
    }

    fn what_is_forged_or_replayed_or_from_another_time_is_refused_and_nothing_is_stored(db: &Database) {
        let world = World::on(db);
        let body = json!({ "kind": "complained", "delivery_key": world.delivery(world.ann) }).to_string();
        let good = signed(SECRET, "msg_1", now(), body.as_bytes());
        let other_secret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for (what, headers, sent) in [
            ("another body", good.clone(), body.replace("complained", "delivered")),
            ("another secret", signed(other_secret, "msg_1", now(), body.as_bytes()), body.clone()),
            ("an old one", signed(SECRET, "msg_1", now() - 301, body.as_bytes()), body.clone()),
            ("one of the future", signed(SECRET, "msg_1", now() + 310, body.as_bytes()), body.clone()),
            ("no signature", Vec::new(), body.clone()),
            ("two signatures", good.iter().cloned().chain(good.clone()).collect(), body.clone()),
        ] {
            let refused = world.post(&headers, sent.as_bytes());
            assert_eq!((refused.status, refused.code()), (401, "callback_unverified"), "{what}");
        }
        let key = world.server.send("POST", &format!("/v1/callbacks/{POOL}"), &[], body.as_bytes());
        assert_eq!(key.status, 401, "an API key does not take the place of a signature");
        assert_eq!(world.count("callbacks"), 0);
        assert_eq!(world.post(&good, body.as_bytes()).status, 200);
    }

    fn a_pool_without_a_secret_has_no_door(db: &Database) {
        let mut closed = pool(Format::StandardWebhooks, "");
        closed.name = "closed".to_owned();
        let server = Server::with_pools(db, vec![closed, sandbox("silent", ChannelKind::Email, 0.0)]);
        for name in ["closed", "silent", "unknown"] {
            let refused = server.send("POST", &format!("/v1/callbacks/{name}"), &[("Authorization", "none")], b"{}");
            assert_eq!((refused.status, refused.code()), (404, "callbacks_pool_not_found"), "{name}");
        }
    }

    fn a_body_that_is_too_large_or_compressed_is_refused(db: &Database) {
        let world = World::on(db);
        let large = vec![b' '; 5 << 20];
        assert_eq!(world.post(&signed(SECRET, "msg_1", now(), &large), &large).status, 413);
        let mut headers = signed(SECRET, "msg_1", now(), b"{}");
        headers.push(("Content-Encoding".to_owned(), "gzip".to_owned()));
        assert_eq!(world.post(&headers, b"{}").status, 415);
        assert_eq!(world.count("callbacks"), 0);
    }

    fn a_delivery_that_is_unknown_is_dropped_and_keeps_no_other_report_out(db: &Database) {
        let world = World::on(db);
        let all = json!({ "reports": [
            { "kind": "opened", "delivery_key": "0123456789abcdef01234567:1" },
            { "kind": "opened", "delivery_key": format!("{}:4711", world.key) },
            { "kind": "opened", "delivery_key": "nonsense" },
            { "kind": "opened", "delivery_key": world.delivery(world.bob), "occurred_at": "2020-01-01T00:00:00Z" },
        ] });
        assert_eq!(world.report("msg_1", &all).status, 200);
        world.wait_read();
        assert_eq!(world.reported("opened"), (1, 1));
        assert_eq!(world.count("callbacks WHERE state = 'done'"), 1);
    }

    fn what_cannot_be_understood_is_kept_listed_and_read_again_when_asked(db: &Database) {
        let world = World::on(db);
        assert_eq!(world.report("msg_1", &json!({ "hello": "ann@example.com" })).status, 200);
        let failed = wait_for("it has failed", LONG, || {
            let all = world.api.get("/v1/callbacks");
            all["data"].as_array().unwrap().first().cloned()
        });
        assert_eq!((&failed["pool"], &failed["format"], &failed["attempts"]), (&json!(POOL), &json!("standard-webhooks"), &json!(3)));
        assert!(!failed.to_string().contains("ann@example.com"), "{failed}");
        let id = failed["id"].as_i64().unwrap();
        // It is understood now.
        let body = json!({ "kind": "replied", "delivery_key": world.delivery(world.ann) });
        world.server.execute(format!("UPDATE callbacks SET body = '{body}' WHERE id = {id}"));
        world.api.post(&format!("/v1/callbacks/{id}/replay"), &json!({}));
        world.wait_read();
        assert_eq!(world.reported("replied"), (1, 1));
        assert_eq!(world.api.get("/v1/callbacks")["data"], json!([]));
        let again = world.api.try_post(&format!("/v1/callbacks/{id}/replay"), &json!({})).unwrap();
        assert_eq!((again.status, &again.body["code"]), (409, &json!("callback_not_failed")));
        let unknown = world.api.try_post("/v1/callbacks/4711/replay", &json!({})).unwrap();
        assert_eq!((unknown.status, &unknown.body["code"]), (404, &json!("callback_not_found")));
    }
}
