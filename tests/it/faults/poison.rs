//! A recipient that kills whoever handles it.

use serde_json::json;

use crate::support::api::Api;
use crate::support::both_backends;
use crate::support::people;
use crate::support::stage::LONG;
use crate::support::turns::shared_turn;
use crate::support::volley::{Pool, Volley};
use crate::support::waiting::wait_until;

/// More lives than the rule needs: three deaths, two more alone, and some whose page had settled something.
const LIVES: usize = 15;

both_backends! {
    fn a_poisonous_recipient_fails_and_everyone_else_is_sent(db: &Database) {
        let _turn = shared_turn();
        let poison = people::address(13);
        let pool = Pool::sandbox("main", "email")
            .set("latency_ms", "[1, 5]")
            .set("failure_rate", "0.0")
            .set("timeout_seconds", "1")
            .set("crash_on", &format!("{poison:?}"));
        let mut volley = Volley::on(db).settings("[timing]\ncall_margin_ms = 200").pool(pool).start();
        let api = volley.api();
        let list = api.a_list_of(300);
        let campaign = api.create_campaign("email", "main", list, &json!({ "on_uncertain": "resend" }));
        api.send(campaign);
        let mut deaths = 0;
        let mut ended = false;
        while !ended {
            wait_until("the process dies or the campaign ends", LONG, || {
                let looked = api.try_get(&format!("/v1/campaigns/{campaign}"));
                ended = looked.is_ok_and(|answer| ["sent", "failed"].map(Some).contains(&answer.body["status"].as_str()));
                ended || volley.exited().is_some()
            });
            if !ended {
                deaths += 1;
                assert!(deaths < LIVES, "the poison is not found");
                volley.spawn();
            }
        }
        println!("{deaths} deaths");
        let campaign_now = api.wait_ended(campaign, LONG);
        assert_eq!((campaign_now.stats.failed, campaign_now.stats.sent), (1, 299), "{}", campaign_now.body);
        let failed = api.deliveries(campaign, "failed");
        assert_eq!(Api::address_of(&failed[0]), poison);
        assert!(failed[0].to_string().contains("poison"), "{}", failed[0]);
        volley.stop();
    }
}
