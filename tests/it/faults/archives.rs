//! The process ends on the way of deliveries into an archive.

use serde_json::json;

use crate::support::both_backends;
use crate::support::database::Database;
use crate::support::provider::{POOL, Provider};
use crate::support::stage::LONG;
use crate::support::turns::shared_turn;
use crate::support::volley::Volley;
use crate::support::waiting::wait_until;

/// Rows are removed in three transactions.
const PEOPLE: usize = 1_200;

/// A process whose only campaign, to 1,200 people, has ended, as if that had been two days ago. It archives after one.
fn with_an_old_campaign(db: &Database, provider: &Provider) -> (Volley, i64) {
    let volley = Volley::on(db).settings("[campaigns]\nkeep_days = 1").pool(provider.pool()).start();
    let api = volley.api();
    let campaign = api.create_campaign(provider.channel(), POOL, api.a_list_of(PEOPLE), &json!({}));
    api.send(campaign);
    api.wait_ended(campaign, LONG);
    db.execute("UPDATE campaigns SET ended_at = ended_at - 172800000");
    (volley, campaign)
}

/// Starts the process again, until it ends at this place.
fn dies_at(volley: &mut Volley, at: &str) {
    volley.kill_9();
    volley.spawn_with(&[("VOLLEY_FAIL_POINT", at)]);
    wait_until(&format!("the process ends at {at}"), LONG, || volley.exited().is_some());
}

fn rows(db: &Database) -> i64 {
    db.number("SELECT count(*) AS n FROM deliveries")
}

both_backends! {
    fn a_process_that_ends_at_any_moment_of_archiving_loses_nobody_and_the_next_one_finishes(db: &Database) {
        let _turn = shared_turn();
        let provider = Provider::webhook((0, 1));
        let (mut volley, campaign) = with_an_old_campaign(db, &provider);
        let before = volley.api().campaign(campaign).body;
        for (at, left) in [("filed", 1_200), ("sealed", 1_200), ("removed", 700), ("removed:2", 0)] {
            dies_at(&mut volley, at);
            assert_eq!(rows(db), left, "{at}");
        }
        volley.start();
        let is_over = || db.number("SELECT count(*) AS n FROM archives WHERE state = 'archived'") == 1;
        wait_until("the rest is removed", LONG, is_over);
        let mut after = volley.api().campaign(campaign).body;
        let archive = after.as_object_mut().unwrap().remove("archive").unwrap();
        assert_eq!((&archive["deliveries"], &after["stats"]), (&json!(PEOPLE), &before["stats"]));
        volley.api().audit(campaign);
        let names = std::fs::read_dir(db.folder().join("data").join("archive")).unwrap();
        let parts = names.filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().ends_with(".part"));
        assert_eq!(parts.count(), 0, "what was not complete is gone");
        assert_eq!(provider.ledger().begun(), PEOPLE, "nobody gets it twice");
        volley.stop();
    }
    fn a_process_that_ends_right_after_the_seal_goes_on_with_the_same_file(db: &Database) {
        let _turn = shared_turn();
        let provider = Provider::webhook((0, 1));
        let (mut volley, campaign) = with_an_old_campaign(db, &provider);
        dies_at(&mut volley, "sealed");
        let files = || {
            let entries = std::fs::read_dir(db.folder().join("data").join("archive")).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
        };
        let sealed = files();
        assert_eq!((sealed.len(), rows(db)), (1, 1_200));
        volley.start();
        wait_until("the rows are removed", LONG, || rows(db) == 0);
        assert_eq!(files(), sealed, "no second file is written");
        assert_eq!(volley.api().campaign(campaign).body["archive"]["file"], sealed[0].as_str());
        volley.api().audit(campaign);
        volley.stop();
    }

    fn rows_stay_when_an_older_version_has_opened_a_campaign_whose_rows_are_being_removed(db: &Database) {
        let _turn = shared_turn();
        let provider = Provider::webhook((0, 1));
        let (mut volley, campaign) = with_an_old_campaign(db, &provider);
        dies_at(&mut volley, "removed");
        assert_eq!(rows(db), 700);
        let told = |volley: &Volley| volley.log().matches("campaign.archive_reopened").count();
        // As a version does that knows no archives.
        db.execute("UPDATE campaigns SET status = 'paused', ended_at = NULL");
        volley.start();
        wait_until("it is told that the campaign was opened", LONG, || told(&volley) == 1);
        assert_eq!(rows(db), 700);
        // It ends again, and nobody else gets the message.
        volley.api().resume(campaign);
        volley.api().wait_ended(campaign, LONG);
        // It has ended, as before, but not before the file was complete.
        volley.kill_and_restart();
        wait_until("it is told again", LONG, || told(&volley) == 2);
        assert_eq!((rows(db), provider.ledger().begun()), (700, PEOPLE), "what has changed since is in the rows alone");
        volley.stop();
    }
}
