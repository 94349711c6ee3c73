//! Clicks and opens while things break: what was answered is counted, and counted once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::json;
use volley::domain::ids::{CampaignId, ContactId, LinkNumber};
use volley::domain::people::link::tracked::{Target, Tracker};
use volley::store::people::link_keys;

use crate::support::database::is_long;
use crate::support::provider::Provider;
use crate::support::reader::{BROWSER, ask, follow, try_ask};
use crate::support::stage::{LONG, Stage};
use crate::support::turns::shared_turn;
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

const PEOPLE: usize = 60;

/// Programs that read mail at the same time.
const READERS: usize = 4;

/// How many people read their mail while the process is killed.
fn many() -> usize {
    if is_long() { 20_000 } else { 400 }
}

const SETTINGS: &str = "[tracking]\nmachine_within_ms = 0\n";

/// A campaign that was sent, and what each of its recipients may follow and open.
struct Sent {
    stage: Stage,
    paths: Vec<(String, String)>,
}

impl Sent {
    fn on(db: &Database, people: usize) -> Self {
        let provider = Provider::smtp((0, 2));
        let stage = Stage::set(db, provider, people, |builder| builder.settings(SETTINGS));
        stage.api.send(stage.campaign);
        stage.api.wait_ended(stage.campaign, LONG);
        let key = link_keys::all(&mut db.connect()).unwrap().remove(0);
        let target = Target::new(&"https://shop.example/".parse().unwrap()).unwrap();
        let first = db.number("SELECT min(id) AS n FROM contacts");
        let paths = (first..).take(people).map(|contact| {
            let tracker = Tracker::new("".into(), key.clone(), CampaignId(stage.campaign), ContactId(contact));
            (tracker.click(LinkNumber(1), &target), tracker.open())
        });
        Self { paths: paths.collect(), stage }
    }

    /// Everybody opens the message and follows its link, so often.
    fn read(&self, times: usize) {
        let port = self.stage.volley.port();
        for (link, pixel) in self.paths.iter().cycle().take(self.paths.len() * times) {
            assert_eq!(ask(port, "GET", pixel, BROWSER, &[]).status, 200);
            assert_eq!(follow(port, link), "https://shop.example/");
        }
    }

    /// Everybody opens the message and follows its link, each until that is answered, while the process is killed so often. How many
    /// requests got no answer.
    fn read_beside_kills(&mut self, kills: usize) -> i64 {
        let (answered, unanswered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (port, paths, volley) = (self.stage.volley.port(), &self.paths, &mut self.stage.volley);
        std::thread::scope(|scope| {
            for share in paths.chunks(paths.len().div_ceil(READERS)) {
                let (answered, unanswered) = (&answered, &unanswered);
                scope.spawn(move || {
                    for path in share.iter().flat_map(|(link, pixel)| [link, pixel]) {
                        wait_until("it is answered", LONG, || {
                            let answer = try_ask(port, "GET", path, BROWSER, &[]);
                            let count = if answer.is_some() { answered } else { unanswered };
                            count.fetch_add(1, Ordering::Relaxed);
                            answer.is_some_and(|answer| [200, 302].contains(&answer.status))
                        });
                    }
                });
            }
            for kill in 1..=kills {
                let so_many = kill * 2 * paths.len() / (kills + 1);
                wait_until("some more are answered", LONG, || answered.load(Ordering::Relaxed) >= so_many);
                volley.kill_and_restart();
            }
        });
        i64::try_from(unanswered.into_inner()).unwrap()
    }

    /// Everybody is counted once, and each request once.
    fn assert_counted(&self, db: &Database, times: usize) {
        let all = self.everyone() * i64::try_from(times).unwrap();
        let wanted = || (events(db, "opened"), events(db, "clicked"));
        wait_until("all is counted", LONG, || wanted().0 >= all && wanted().1 >= all);
        assert_eq!(wanted(), (all, all));
        self.assert_figures(db);
    }

    /// Everybody has opened and clicked, and all figures say the same.
    fn assert_figures(&self, db: &Database) {
        let figure = |name| json!({ "recipients": self.everyone(), "total": events(db, name) });
        let reports = self.stage.api.get(&format!("/v1/campaigns/{}", self.stage.campaign))["reports"].take();
        assert_eq!((&reports["opened"], &reports["clicked"]), (&figure("opened"), &figure("clicked")), "{reports}");
        let links = self.stage.api.get(&format!("/v1/campaigns/{}/links", self.stage.campaign));
        assert_eq!(links["data"][0]["clicks"], figure("clicked"), "{links}");
    }

    fn everyone(&self) -> i64 {
        i64::try_from(self.paths.len()).unwrap()
    }
}

/// Events that clicks or opens have become.
fn events(db: &Database, name: &str) -> i64 {
    db.number(&format!("SELECT count(*) AS n FROM events WHERE name = 'message.{name}'"))
}

/// Clicks and opens that wait for the database.
fn spooled(db: &Database) -> usize {
    std::fs::read_dir(db.folder().join("data/tracking")).unwrap().count()
}

both_backends! {
    fn clicks_and_opens_that_were_answered_outlast_kill_9_and_count_once(db: &Database) {
        let _turn = shared_turn();
        let mut sent = Sent::on(db, many());
        let unanswered = sent.read_beside_kills(3);
        wait_until("all is counted", LONG, || spooled(db) == 0);
        // A request that got no answer may have been noted, and may not.
        let all = sent.everyone();
        for name in ["opened", "clicked"] {
            assert!((all..=all + unanswered).contains(&events(db, name)), "{name}: {}, {unanswered}", events(db, name));
        }
        sent.assert_figures(db);
        sent.stage.volley.stop();
    }

    fn a_file_that_was_counted_before_the_crash_counts_nothing_again(db: &Database) {
        let _turn = shared_turn();
        let mut sent = Sent::on(db, PEOPLE);
        let folder = db.folder().join("data/tracking");
        sent.read(1);
        sent.assert_counted(db, 1);
        // What was in the files, as a process leaves it that ends between its commit and the removal.
        let mut lines = BTreeMap::new();
        for (id, delivery) in counted(db) {
            lines.insert(id.clone(), format!("{{\"id\":\"{id}\",\"at_ms\":0,{delivery}}}\n"));
        }
        assert_eq!(lines.len(), 2 * PEOPLE);
        sent.stage.volley.kill_9();
        std::fs::write(folder.join("1-000000000900.spool"), lines.into_values().collect::<String>()).unwrap();
        sent.stage.volley.start();
        wait_until("the file is done", LONG, || spooled(db) == 0);
        sent.assert_counted(db, 1);
        sent.stage.volley.stop();
    }
}

/// The keys under which clicks and opens were counted, each with the fields of a line about some recipient.
fn counted(db: &Database) -> Vec<(String, String)> {
    use diesel::prelude::*;
    use volley::store::Conn;
    #[derive(QueryableByName)]
    struct Key {
        #[diesel(sql_type = diesel::sql_types::Text)]
        key: String,
    }
    let query = diesel::sql_query("SELECT key FROM event_keys WHERE source = 'volley'");
    let keys: Vec<Key> = match &mut db.connect() {
        Conn::Pg(conn) => query.load(conn).unwrap(),
        Conn::Sqlite(conn) => query.load(conn).unwrap(),
    };
    let campaign = db.number("SELECT max(id) AS n FROM campaigns");
    let contact = db.number("SELECT min(id) AS n FROM contacts");
    keys.into_iter().map(|row| (row.key, format!("\"campaign\":{campaign},\"contact\":{contact}"))).collect()
}

#[test]
fn while_the_database_is_away_links_lead_on_and_are_counted_afterwards() {
    let _turn = shared_turn();
    let Some(db) = Database::own_postgres("while_the_database_is_away_links_lead_on") else { return };
    let mut sent = Sent::on(&db, PEOPLE);
    db.server().stop_immediately();
    sent.read(1);
    let forged = sent.paths[0].1.replace("/t/o/", "/t/c/");
    assert_eq!(ask(sent.stage.volley.port(), "GET", &forged, BROWSER, &[]).status, 404);
    // The process may end, too.
    sent.stage.volley.kill_9();
    db.server().start_again();
    sent.stage.volley.start();
    db.server().stop_immediately();
    sent.read(1);
    db.server().start_again();
    sent.assert_counted(&db, 2);
    let metrics = sent.stage.api.request(Method::GET, "/metrics", "", None, &[]).unwrap().body;
    assert!(metrics.as_str().unwrap_or_default().contains("volley_tracking_spool_bytes"), "{metrics}");
    sent.stage.volley.stop();
}
