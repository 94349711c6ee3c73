//! A stop in good order, in mid-campaign.

use std::time::Duration;

use crate::support::provider::Provider;
use crate::support::stage::Stage;
use crate::support::turns::my_turn;
use crate::support::{Database, both_backends};

fn drains(db: &Database, provider: Provider) {
    let _turn = my_turn();
    let mut stage = Stage::launched(db, provider, 6_000);
    for progress in [500, 2_000, 4_000] {
        stage.wait_reached(progress);
        let (status, took) = stage.volley.sigterm();
        assert!(status.success(), "ended with {status}");
        assert!(took < Duration::from_secs(10), "a drain of short calls took {took:?}");
        stage.volley.start();
        let resumed = stage.api.campaign(stage.campaign);
        assert_eq!(resumed.stats.uncertain, 0, "a drain records everything: {}", resumed.body);
    }
    stage.assert_everyone_once();
    stage.volley.stop();
}

both_backends! {
    fn a_drained_process_loses_and_doubles_no_mail(db: &Database) {
        drains(db, Provider::smtp((5, 20)));
    }

    fn a_drained_process_loses_and_doubles_no_request(db: &Database) {
        drains(db, Provider::webhook((5, 20)));
    }
}
