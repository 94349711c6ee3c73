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

both_backends! {
    fn a_process_that_ends_at_any_moment_of_archiving_loses_nobody_and_the_next_one_finishes(db: &Database) {
        let _turn = shared_turn();
        let provider = Provider::webhook((0, 1));
        let mut volley = Volley::on(db).settings("[campaigns]\nkeep_days = 1").pool(provider.pool()).start();
        let api = volley.api();
        let list = api.a_list_of(PEOPLE);
        let campaign = api.create_campaign(provider.channel(), POOL, list, &json!({}));
        api.send(campaign);
        let before = api.wait_ended(campaign, LONG).body;
        db.execute("UPDATE campaigns SET ended_at = ended_at - 172800000");
        let left = |db: &Database| db.number("SELECT count(*) AS n FROM deliveries");
        let everybody = i64::try_from(PEOPLE).unwrap();
        for (at, rows) in [("filed", everybody), ("sealed", everybody), ("removed", everybody - 500), ("removed:2", everybody - 1_200)] {
            volley.kill_9();
            volley.spawn_with(&[("VOLLEY_FAIL_POINT", at)]);
            wait_until(&format!("the process ends at {at}"), LONG, || volley.exited().is_some());
            assert_eq!(left(db), rows, "{at}");
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
}
