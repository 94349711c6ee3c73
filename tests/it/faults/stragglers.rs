//! What takes its time keeps nobody else waiting: calls that hang, campaigns with a rate of their own.

use std::time::{Duration, Instant};

use serde_json::json;
use volley::domain::channel::ChannelKind;

use crate::support::api::Api;
use crate::support::provider::Provider;
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::server::{Server, sandbox};
use crate::support::stage::{LONG, Stage};
use crate::support::turns::my_turn;
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends, people};

/// Of a slow campaign, in hand-overs a second.
const RATE: f64 = 0.1;

fn relay(stage: &Stage) -> &ScriptedSmtp {
    let Provider::Smtp(sink) = &stage.provider else { unreachable!() };
    sink
}

fn pages_of(size: usize, db: &Database, people: usize) -> Stage {
    let settings = format!("[sending]\npage_size = {size}");
    Stage::set(db, Provider::smtp((0, 0)), people, |builder| builder.settings(&settings))
}

fn one(api: &Api, list: i64, name: &str, rate: Option<f64>) -> i64 {
    let campaign = api.create_campaign("email", "main", list, &json!({ "name": name, "rate_per_second": rate }));
    api.send(campaign);
    campaign
}

both_backends! {
    fn one_slow_call_in_each_of_four_pages_does_not_stop_the_campaign(db: &Database) {
        let _turn = my_turn();
        let stage = pages_of(20, db, 200);
        let slow: Vec<String> = [5, 25, 45, 65].map(people::address).into();
        relay(&stage).hold(&slow);
        stage.api.send(stage.campaign);
        stage.wait_reached(196);
        assert_eq!(stage.api.campaign(stage.campaign).status, "sending");
        relay(&stage).release();
        stage.assert_everyone_once();
        stage.volley.stop();
    }

    fn small_pages_do_not_keep_places_empty(db: &Database) {
        let _turn = my_turn();
        let stage = pages_of(5, db, 100);
        relay(&stage).hold(&stage.everyone);
        stage.api.send(stage.campaign);
        wait_until("fifty are under way", LONG, || relay(&stage).ledger().begun() == 50);
        relay(&stage).release();
        stage.assert_everyone_once();
        stage.volley.stop();
    }

    fn sixty_four_slow_campaigns_do_not_lock_out_one_more(db: &Database) {
        let _turn = my_turn();
        let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
        let api = server.api();
        let list = api.a_list_of(4);
        let began = Instant::now();
        let slow: Vec<i64> = (0..64).map(|n| one(&api, list, &format!("slow {n}"), Some(RATE))).collect();
        let sent = || slow.iter().map(|id| api.campaign(*id).stats.sent).sum::<u64>();
        wait_until("each slow campaign has sent its first", LONG, || sent() >= 64);
        // Each takes ten seconds for its next, and half a minute for its end.
        for name in ["fast", "fast, too"] {
            api.wait_ended(one(&api, list, name, None), Duration::from_secs(10));
        }
        wait_until("every slow campaign goes on", LONG, || slow.iter().all(|id| api.campaign(*id).stats.sent >= 2));
        let (sent, allowed) = (sent(), 64.0 * (1.0 + began.elapsed().as_secs_f64() * RATE));
        assert!(f64::from(u32::try_from(sent).unwrap()) <= allowed, "{sent}: a page given back brings no tokens");
        for id in slow {
            api.stop(id);
        }
    }
}
