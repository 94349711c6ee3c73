//! What follows for the recipient.

use serde_json::json;
use volley::config::pools::PoolConfig;
use volley::domain::callbacks::Format;
use volley::services::campaigns::archive::Archivist;

use super::{SECRET, World, now, pool, signed};
use crate::support::both_backends;

const NOTHING: [&str; 0] = [];

both_backends! {
    fn a_bounce_suppresses_only_where_the_address_is_the_reason(db: &Database) {
        let world = World::on(db);
        let blocked = json!({ "status": "5.7.1", "address": "bob@example.com", "reason": "your IP is on a list" });
        world.tell("msg_1", world.bob, "hard_bounced", &blocked);
        world.tell("msg_2", world.bob, "hard_bounced", &json!({ "status": "5.2.2", "address": "bob@example.com" }));
        assert_eq!(world.suppressed("bob@example.com"), NOTHING);
        world.tell("msg_3", world.ann, "hard_bounced", &json!({ "status": "5.1.1", "address": "Ann@Example.com" }));
        assert_eq!(world.suppressed("ann@example.com"), ["bounced"]);
        assert_eq!(world.reported("hard_bounced"), (2, 3));
        assert_eq!(world.count("suppressions WHERE source = 'pool: main'"), 2, "on channel email, and on channel http with it");
    }

    fn a_complaint_suppresses_at_once_and_an_administrator_may_lift_it(db: &Database) {
        let world = World::on(db);
        world.tell("msg_1", world.ann, "complained", &json!({}));
        assert_eq!(world.suppressed("ann@example.com"), ["complained"]);
        let lift = json!({ "channel": "email", "address": "ann@example.com" }).to_string();
        let lifted = world.server.send("DELETE", "/v1/suppressions", &[("Content-Type", "application/json")], lift.as_bytes());
        assert_eq!((lifted.status, &lifted.body["lifted"]), (200, &json!(true)), "{lifted:?}");
        // The provider says it again: that has no second effect.
        world.tell("msg_1", world.ann, "complained", &json!({}));
        assert_eq!(world.suppressed("ann@example.com"), NOTHING);
    }

    fn the_third_soft_bounce_within_a_month_suppresses_for_a_month(db: &Database) {
        let world = World::on(db);
        let bounced = |status: &str| json!({ "status": status, "address": "ann@example.com" });
        for n in 0..3 {
            world.tell(&format!("blocked_{n}"), world.ann, "soft_bounced", &bounced("4.7.1"));
        }
        world.tell("msg_1", world.ann, "soft_bounced", &bounced("4.2.2"));
        let mut old = bounced("4.2.2");
        old["occurred_at"] = json!("2020-01-01T00:00:00Z");
        world.tell("msg_2", world.ann, "soft_bounced", &old);
        world.tell("msg_3", world.ann, "soft_bounced", &bounced("4.2.2"));
        assert_eq!(world.suppressed("ann@example.com"), NOTHING, "what blames the sender does not count, nor what is old");
        world.tell("msg_4", world.ann, "soft_bounced", &bounced("4.2.2"));
        assert_eq!(world.suppressed("ann@example.com"), ["soft_bounced"]);
        let month = 30 * 86_400_000_i64;
        let until = format!("suppressions WHERE channel = 'email' AND soft_until - updated_at BETWEEN {} AND {month}", month - 60_000);
        assert_eq!(world.count(&until), 1);
    }

    fn an_address_that_the_contact_has_no_more_is_not_suppressed_and_neither_is_the_new_one(db: &Database) {
        let world = World::on(db);
        let change = json!({ "email": "ann@new.example.com" }).to_string().into_bytes();
        let path = format!("/v1/contacts/{}", world.ann);
        let changed = world.api.request(reqwest::Method::PATCH, &path, "application/json", Some(change), &[]);
        assert_eq!(changed.unwrap().status, 200);
        world.tell("msg_1", world.ann, "hard_bounced", &json!({ "status": "5.1.1", "address": "ann@example.com" }));
        world.tell("msg_2", world.ann, "hard_bounced", &json!({ "status": "5.1.1" }));
        assert_eq!(world.count("suppressions"), 0);
        assert_eq!(world.reported("hard_bounced"), (1, 2));
    }

    fn who_was_deleted_meanwhile_is_counted_and_a_complaint_is_kept_for_the_address(db: &Database) {
        let world = World::on(db);
        let path = format!("/v1/contacts/{}", world.ann);
        let deleted = world.api.request(reqwest::Method::DELETE, &path, "", None, &[]);
        assert!(deleted.unwrap().status < 300);
        world.tell("msg_1", world.ann, "complained", &json!({ "address": "ann@example.com" }));
        assert_eq!(world.reported("complained"), (1, 1));
        assert_eq!(world.suppressed("ann@example.com"), ["complained"]);
    }

    fn who_unsubscribes_at_the_provider_has_refused_what_the_campaign_was_about(db: &Database) {
        let world = World::on(db);
        world.tell("msg_1", world.ann, "unsubscribed", &json!({}));
        let refused = format!("list_members WHERE contact_id = {} AND status = 'unsubscribed' AND source = 'pool: main'", world.ann);
        assert_eq!(world.count(&refused), 1);
        assert_eq!(world.count("list_members WHERE status = 'subscribed'"), 1, "Bob has refused nothing");
        assert_eq!(world.suppressed("ann@example.com"), NOTHING);
    }

    fn a_pool_speaks_for_no_message_of_another_pool(db: &Database) {
        let other = PoolConfig { name: "other".to_owned(), ..pool(Format::StandardWebhooks, SECRET) };
        let world = World::with_pools(db, vec![pool(Format::StandardWebhooks, SECRET), other]);
        let body = json!({ "kind": "complained", "delivery_key": world.delivery(world.ann) }).to_string();
        let headers = signed(SECRET, "msg_1", now(), body.as_bytes());
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = world.server.send("POST", "/v1/callbacks/other", &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        world.wait_read();
        assert_eq!((world.reported("complained"), world.suppressed("ann@example.com")), ((0, 0), Vec::new()));
        world.tell("msg_1", world.ann, "complained", &json!({}));
        assert_eq!((world.reported("complained"), world.suppressed("ann@example.com")), ((1, 1), vec!["complained".to_owned()]));
    }

    fn a_complaint_about_an_archived_delivery_still_suppresses_and_the_figures_stay(db: &Database) {
        let world = World::on(db);
        world.tell("msg_1", world.bob, "complained", &json!({}));
        world.server.execute("UPDATE campaigns SET ended_at = ended_at - 864000000".to_owned());
        let folder = db.folder().join("data");
        let archivist = Archivist::new(world.server.store.clone(), &folder, "a slot".to_owned(), "here".to_owned(), 5);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(archivist.round()).unwrap(), 1);
        world.tell("msg_2", world.ann, "complained", &json!({}));
        world.tell("msg_2", world.ann, "complained", &json!({}));
        world.tell("msg_3", world.ann, "delivered", &json!({}));
        assert_eq!(world.suppressed("ann@example.com"), ["complained"]);
        assert_eq!(world.count("events WHERE name = 'message.complained'"), 2, "one of each of them");
        assert_eq!((world.reported("complained"), world.reported("delivered")), ((1, 1), (0, 0)));
        // Nobody else is believed to be a recipient.
        world.tell("msg_4", world.ann + 1_000, "complained", &json!({}));
        assert_eq!(world.count("events WHERE name = 'message.complained'"), 2);
        world.api.audit(world.campaign);
    }
}
