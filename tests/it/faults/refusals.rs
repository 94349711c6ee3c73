//! Refusals of which nobody knows yet whose trouble they are, when the process that holds them ends.

use std::time::{Duration, Instant};

use crate::support::both_backends;
use crate::support::provider::Provider;
use crate::support::stage::{LONG, Stage};
use crate::support::turns::shared_turn;
use crate::support::waiting::wait_until;

const PEOPLE: usize = 60;

/// A second look that comes late enough for the process to end before it.
const LATE: &str = "[timing]\nsecond_look_ms = 5000\nput_off_ms = 200\nstep_back_ms = 100\n";

/// For so long nothing changes while a refusal is held. A delivery that is put off comes back sooner.
const HELD: Duration = Duration::from_secs(2);

both_backends! {
    fn a_process_that_ends_while_it_holds_a_refusal_leaves_nobody_in_doubt(db: &Database) {
        let _turn = shared_turn();
        let mut stage = Stage::set(db, Provider::smtp((5, 20)), PEOPLE, |builder| builder.settings(LATE));
        if let Provider::Smtp(relay) = &stage.provider {
            relay.play("rcpt to=person3@: 451 4.3.0 try later");
        }
        stage.api.send(stage.campaign);
        stage.wait_reached(PEOPLE - 1);
        let (mut begun, mut since) = (0, Instant::now());
        wait_until("the refusal is held for a second look", LONG, || {
            let now = stage.provider.ledger().begun();
            let sending = stage.api.campaign(stage.campaign).stats.sending;
            if now != begun || sending != 1 {
                (begun, since) = (now, Instant::now());
            }
            since.elapsed() >= HELD
        });
        stage.volley.kill_9();
        stage.provider.recover();
        stage.volley.start();
        stage.assert_everyone_once();
        stage.volley.stop();
    }
}
