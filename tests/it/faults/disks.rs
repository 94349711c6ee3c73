//! The disk fills up.

use crate::support::Database;
use crate::support::database::say;
use crate::support::provider::Provider;
use crate::support::stage::{LONG, Stage};
use crate::support::tmpfs::Tmpfs;
use crate::support::turns::my_turn;
use crate::support::waiting::wait_until;

/// Fills the disk up in mid-campaign, and makes room again.
fn fills_up(disk: &Tmpfs, db: &Database, provider: Provider) {
    let stage = Stage::set(db, provider, 10_000, |builder| builder.data_dir(&disk.path().join("data")));
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

/// A small disk; none where this user may not mount one, and then the test is left out aloud.
fn disk(test: &str, megabytes: u32) -> Option<Tmpfs> {
    let disk = Tmpfs::mount(megabytes);
    if disk.is_none() {
        say(&format!("left out: {test} (this user may not mount a tmpfs)"));
    }
    disk
}

#[test]
fn a_full_disk_halts_a_campaign_until_there_is_space_again() {
    let _turn = my_turn();
    let Some(disk) = disk("a_full_disk_halts_a_campaign_until_there_is_space_again", 48) else { return };
    fills_up(&disk, &Database::sqlite_in(disk.path()), Provider::webhook((5, 20)));
}

#[test]
fn a_full_disk_under_the_journal_alone_halts_a_campaign_too() {
    let _turn = my_turn();
    let test = "a_full_disk_under_the_journal_alone_halts_a_campaign_too";
    let Some(disk) = disk(test, 24) else { return };
    let Some(db) = Database::postgres(test) else { return };
    fills_up(&disk, &db, Provider::smtp((5, 20)));
}
