//! The process is killed in the middle of an import.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::support::api::id;
use crate::support::both_backends;
use crate::support::people;
use crate::support::turns::shared_turn;
use crate::support::volley::Volley;
use crate::support::waiting::wait_for;

const PEOPLE: usize = 60_000;

const LONG: Duration = Duration::from_secs(180);

fn rows_read(import: &Value) -> usize {
    usize::try_from(import["rows_read"].as_u64().unwrap()).unwrap()
}

both_backends! {
    fn an_import_that_is_killed_goes_on_where_it_stopped(db: &Database) {
        let _turn = shared_turn();
        let mut volley = Volley::on(db).start();
        let api = volley.api();
        let list = api.create_list("everyone");
        let path = format!("/v1/contacts/import?list={list}");
        let csv = people::csv(PEOPLE).into_bytes();
        let accepted = api.request(Method::POST, &path, "text/csv", Some(csv), &[]).unwrap();
        assert_eq!(accepted.status, 202, "{}", accepted.body);
        let path = format!("/v1/imports/{}", id(&accepted.body));
        let mut kills_on_the_way = 0;
        for part in 1..=4 {
            let import = wait_for("the import is on its way", LONG, || {
                let import = api.get(&path);
                (rows_read(&import) >= PEOPLE * part / 6).then_some(import)
            });
            kills_on_the_way += usize::from(import["status"] != "completed");
            volley.kill_and_restart();
            assert!(rows_read(&api.get(&path)) >= rows_read(&import), "what was stored stays stored");
        }
        assert!(kills_on_the_way > 0, "the import was faster than the test");
        let import = wait_for("the import ends", LONG, || {
            let import = api.get(&path);
            (import["status"] != "running" && import["status"] != "pending").then_some(import)
        });
        assert_eq!(import["status"], "completed", "{import}");
        let counts = ["rows_read", "rows_created", "rows_updated", "rows_rejected"].map(|count| import[count].as_u64());
        let everyone = u64::try_from(PEOPLE).unwrap();
        assert_eq!(counts, [Some(everyone), Some(everyone), Some(0), Some(0)], "{import}");
        assert_eq!(api.get("/v1/contacts?page_size=1")["pagination"]["total_count"], everyone);
        assert_eq!(api.get(&format!("/v1/lists/{list}/members?page_size=1"))["pagination"]["total_count"], everyone);
        volley.stop();
    }
}
