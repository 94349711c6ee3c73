//! A recipient who is always met with a fault, the return of a relay, and the burst of a rate.

use std::time::{Duration, Instant};

use serde_json::json;

use super::End::Failed;
use super::{Trial, http, run, smtp};
use crate::support::both_backends;
use crate::support::people;
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::turns::my_turn;
use crate::support::volley::{Pool, Volley};

both_backends! {
    fn the_one_whom_a_provider_always_meets_with_a_fault_fails_alone(db: &Database) {
        let short = |trial: Trial| trial.set("retry_delays", "[0.2]").set("retry_for", "1");
        run(db, &[
            short(smtp("poison-421", "rcpt to=person3@: 421 4.7.0 deferred for this mailbox {cut}", 60, Failed(1, "deferred"))),
            short(smtp("poison-421-at-the-end", "final to=person3@: 421 4.7.0 deferred for this mailbox {cut}", 60, Failed(1, "deferred"))),
            short(http("poison-403", "request to=person3@: 403 not for this number", 60, Failed(1, "not for this number"))),
            short(http("poison-429-recipient", "request to=person3@: 429 {Retry-After: 1} slow down", 60, Failed(1, "slow down"))),
        ]);
    }

    fn a_relay_that_is_back_after_ten_seconds_is_found_within_three(db: &Database) {
        let _turn = my_turn();
        // As they are in earnest, not shortened.
        let earnest = "[timing]\nsecond_look_ms = 5000\nput_off_ms = 30000\nstep_back_ms = 1000\n";
        let outages = ["connection at<10s: {reset}", "mail at<10s: 451 4.3.0 try later", "rcpt at<10s: 451 try later"];
        let relays: Vec<_> = outages.iter().map(|script| ScriptedSmtp::playing(script)).collect();
        let pools = relays.iter().enumerate().map(|(n, relay)| Pool::smtp(&format!("relay-{n}"), relay));
        let volley = pools.fold(Volley::on(db).settings(earnest), |builder, pool| builder.pool(pool)).start();
        let api = volley.api();
        let list = api.create_list("everyone");
        api.import_csv(list, &people::csv(300));
        let create = |n| api.create_campaign("email", &format!("relay-{n}"), list, &json!({}));
        let campaigns: Vec<i64> = (0..relays.len()).map(create).collect();
        let began = Instant::now();
        for campaign in &campaigns {
            api.send(*campaign);
        }
        for ((relay, script), campaign) in relays.iter().zip(outages).zip(campaigns) {
            let limit = Duration::from_secs(60);
            api.wait(campaign, "the first mail is accepted", limit, |_| relay.ledger().reached() > 0);
            let first = relay.ledger().entries().accepted.values().flatten().min().copied().unwrap();
            let after = first.duration_since(began);
            // The ten seconds begin with the first call, a moment after the launch.
            assert!(after <= Duration::from_millis(14_500), "{script}: the first mail after {after:?}");
            assert_eq!(api.campaign(campaign).stats.failed, 0, "{script}");
        }
        volley.stop();
    }

    fn a_relay_that_is_back_is_found_although_old_calls_still_hang(db: &Database) {
        let _turn = my_turn();
        let relay = ScriptedSmtp::playing("final n<=3: {hold};;mail at>1s at<5s: 421 4.3.2 shutting down {cut}");
        let pool = Pool::smtp("relay", &relay).set("rate_per_second", "60");
        let volley = Volley::on(db).pool(pool).start();
        let api = volley.api();
        let list = api.create_list("everyone");
        api.import_csv(list, &people::csv(400));
        let campaign = api.create_campaign("email", "relay", list, &json!({}));
        let began = Instant::now();
        api.send(campaign);
        let limit = Duration::from_secs(30);
        api.wait(campaign, "the relay is away", limit, |_| began.elapsed() > Duration::from_secs(5));
        let before = relay.ledger().reached();
        api.wait(campaign, "mails are accepted again", limit, |_| relay.ledger().reached() > before + 10);
        // Nobody has answered the three, and their calls may take minutes.
        assert!(api.campaign(campaign).stats.sending >= 3, "the old calls are over: this proves nothing");
        assert!(before < 380, "{before} were accepted before the relay went away");
        relay.play("");
        let ended = api.wait(campaign, "it is sent", Duration::from_secs(60), |campaign| campaign.is_ended());
        assert_eq!((ended.stats.sent, relay.ledger().reached()), (400, 400), "{ended:?}");
        volley.stop();
    }

    fn a_rate_without_a_burst_begins_with_one_seconds_worth(db: &Database) {
        let _turn = my_turn();
        let relay = ScriptedSmtp::playing("");
        let volley = Volley::on(db).pool(Pool::smtp("relay", &relay).set("rate_per_second", "10")).start();
        let api = volley.api();
        let list = api.create_list("everyone");
        api.import_csv(list, &people::csv(40));
        let campaign = api.create_campaign("email", "relay", list, &json!({}));
        api.send(campaign);
        api.wait(campaign, "it is sent", Duration::from_secs(60), |campaign| campaign.is_ended());
        let begun = relay.ledger().entries().begun.clone();
        let first = begun.iter().min().copied().unwrap();
        let within = |span| begun.iter().filter(|at| at.duration_since(first) < span).count();
        let soon = within(Duration::from_millis(900));
        assert!(soon <= 20, "{soon} in the first 0.9 s at 10 a second");
        assert_eq!(within(Duration::from_secs(60)), 40);
        volley.stop();
    }
}
