//! The disk fills up.

use crate::support::Database;
use crate::support::database::say;
use crate::support::provider::Provider;
use crate::support::stage::{LONG, Stage};
use crate::support::tmpfs::Tmpfs;
use crate::support::turns::my_turn;
use crate::support::waiting::wait_until;

#[test]
fn a_full_disk_halts_a_campaign_until_there_is_space_again() {
    let _turn = my_turn();
    let Some(disk) = Tmpfs::mount(48) else {
        say("left out: a_full_disk_halts_a_campaign_until_there_is_space_again (this user may not mount a tmpfs)");
        return;
    };
    let db = Database::sqlite_in(disk.path());
    let stage =
        Stage::set(&db, Provider::webhook((5, 20)), 10_000, |builder| builder.data_dir(&disk.path().join("data")));
    stage.api.send(stage.campaign);
    stage.wait_reached(1_500);
    disk.fill();
    stage.api.wait(stage.campaign, "the full disk is reported", LONG, |campaign| {
        campaign.attention.as_deref() == Some("disk_full")
    });
    let unready = stage.api.try_get("/readyz").unwrap();
    assert_eq!(unready.status, 503, "{}", unready.body);
    assert!(unready.body.to_string().contains("disk_full"), "{}", unready.body);
    disk.free();
    wait_until("the process is ready again", LONG, || stage.api.try_get("/readyz").unwrap().status == 200);
    stage.assert_everyone_once();
    stage.volley.stop();
    drop(stage.provider);
}
