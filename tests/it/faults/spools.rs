//! People say no while the database is away.

use std::time::{Duration, Instant};

use reqwest::Method;
use volley::domain::ids::{CampaignId, ContactId};
use volley::domain::people::link::Link;
use volley::store::people::link_keys;

use crate::support::Database;
use crate::support::api::Api;
use crate::support::people;
use crate::support::provider::Provider;
use crate::support::stage::{LONG, Stage};
use crate::support::turns::shared_turn;
use crate::support::waiting::{stays, wait_until};

/// A campaign under way at 100 a second, and the links of some of its recipients that come late.
struct Refusing {
    stage: Stage,
    links: Vec<String>,
    contacts: Vec<String>,
}

const PEOPLE: usize = 1_000;

impl Refusing {
    fn on(db: &Database) -> Self {
        let provider = Provider::webhook((0, 2));
        let stage = Stage::set(db, provider, PEOPLE, |builder| {
            builder
                .settings("[sending]\npage_size = 100")
                .amend("concurrency = 50", "concurrency = 50\nrate_per_second = 100")
        });
        stage.api.send(stage.campaign);
        let key = link_keys::all(&mut db.connect()).unwrap().remove(0);
        let late = |n: &usize| *n > PEOPLE - 50;
        let contacts: Vec<String> = (1..=PEOPLE).filter(late).map(people::address).collect();
        let id = |email: &str| db.number(&format!("SELECT id AS n FROM contacts WHERE email = '{email}'"));
        let token = |email: &String| {
            let link = Link::Unsubscribe { campaign: CampaignId(stage.campaign), contact: ContactId(id(email)) };
            format!("u/{}", key.sign(&link))
        };
        let links = contacts.iter().map(token).collect();
        Self { stage, links, contacts }
    }

    fn ask(&self, method: Method, path: &str) -> (u16, String) {
        let nobody = Api::new(&format!("http://127.0.0.1:{}", self.stage.volley.port()), "");
        let answer = nobody.request(method, &format!("/{path}"), "", None, &[]).expect("an answer");
        (answer.status, answer.body.as_str().unwrap_or_default().to_owned())
    }

    fn refused(&self, db: &Database) -> i64 {
        db.number("SELECT count(*) AS n FROM list_members WHERE status = 'unsubscribed'")
    }

    /// Nobody was reached whose refusal was answered while the database was away.
    fn assert_honoured(&self, db: &Database) {
        self.stage.api.wait_ended(self.stage.campaign, LONG);
        let ledger = self.stage.provider.ledger();
        let missing = ledger.missing(&self.contacts);
        let reached: Vec<&String> = self.contacts.iter().filter(|contact| !missing.contains(*contact)).collect();
        assert_eq!(reached, Vec::<&String>::new(), "refused and reached all the same");
        assert_eq!(self.refused(db), 50);
        ledger.assert_nobody_twice();
    }
}

#[test]
fn a_refusal_while_the_database_is_away_is_kept_and_nothing_is_sent_before_the_database_has_it() {
    let _turn = shared_turn();
    let Some(db) = Database::own_postgres("a_refusal_while_the_database_is_away") else { return };
    let refusing = Refusing::on(&db);
    refusing.stage.wait_reached(100);
    db.server().stop_immediately();
    for link in &refusing.links {
        assert_eq!(refusing.ask(Method::POST, link).0, 200);
    }
    let (status, page) = refusing.ask(Method::GET, &refusing.links[0]);
    assert!(status == 200 && page.contains("<button"), "the page knows less, and its button works: {page}");
    let preferences = refusing.links[0].replacen("u/", "preferences/", 1);
    assert_eq!(refusing.ask(Method::GET, &preferences).0, 404, "a token of another purpose");
    let begun = refusing.stage.provider.ledger().begun();
    db.server().start_again();
    let back = Instant::now();
    // The gate: until the database has them, nothing begins here.
    wait_until("the spool is applied", LONG, || {
        assert_eq!(refusing.stage.provider.ledger().begun(), begun, "something began before the spool was applied");
        refusing.refused(&db) >= 50
    });
    assert!(back.elapsed() < Duration::from_secs(5), "it took {:?} after the database's return", back.elapsed());
    refusing.assert_honoured(&db);
    refusing.stage.volley.stop();
}

#[test]
fn a_spooled_refusal_outlasts_the_process() {
    let _turn = shared_turn();
    let Some(db) = Database::own_postgres("a_spooled_refusal_outlasts_the_process") else { return };
    let mut refusing = Refusing::on(&db);
    refusing.stage.wait_reached(50);
    db.server().stop_immediately();
    for link in &refusing.links {
        assert_eq!(refusing.ask(Method::POST, link).0, 200);
    }
    refusing.stage.volley.kill_9();
    db.server().start_again();
    refusing.stage.volley.start();
    wait_until("the next run has stored what was left", LONG, || refusing.refused(&db) == 50);
    refusing.assert_honoured(&db);
    refusing.stage.volley.stop();
}

#[test]
fn preferences_wait_for_the_database_and_say_so() {
    let _turn = shared_turn();
    let Some(db) = Database::own_postgres("preferences_wait_for_the_database") else { return };
    let refusing = Refusing::on(&db);
    let key = link_keys::all(&mut db.connect()).unwrap().remove(0);
    let now = volley::domain::instant::UtcInstant(jiff::Timestamp::now().as_millisecond());
    let preferences = Link::preferences(CampaignId(refusing.stage.campaign), ContactId(1), now);
    let preferences = format!("preferences/{}", key.sign(&preferences));
    assert_eq!(refusing.ask(Method::GET, &preferences).0, 200);
    db.server().stop_immediately();
    for method in [Method::GET, Method::POST] {
        let (status, page) = refusing.ask(method.clone(), &preferences);
        let expected = if method == Method::GET { 503 } else { 404 };
        assert_eq!(status, expected, "{method}: {page}");
        assert!(page.contains("<html"), "{page}");
    }
    stays("forged tokens are a 404 without the database, too", Duration::from_millis(200), || {
        refusing.ask(Method::POST, "u/AAAAAAAA").0 == 404
    });
    db.server().start_again();
    wait_until("the page is there again", LONG, || refusing.ask(Method::GET, &preferences).0 == 200);
    refusing.stage.api.stop(refusing.stage.campaign);
    refusing.stage.volley.stop();
}
