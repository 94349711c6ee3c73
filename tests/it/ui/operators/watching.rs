//! Open pages show what is.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Desk, LONG, dot, numbers, path, wait_live};
use crate::support::Database;
use crate::support::browser::{Browser, Setup};
use crate::support::volley::{ROOT_KEY, Volley};
use crate::support::waiting::wait_until;
use crate::support::webdriver::Key;

#[test]
fn the_bar_moves_and_adds_up_at_every_look() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "the_bar_moves_and_adds_up", Setup::default()) else { return };
    desk.enter(&mut browser);
    browser.go(&desk.page(), 200);
    wait_live(&browser);
    let mut seen = BTreeSet::new();
    let mut looks = 0;
    wait_until("the bar has moved three times", LONG, || {
        let numbers = numbers(&browser);
        let (recipients, states) = numbers.split_last().unwrap();
        assert_eq!((states.iter().sum::<i64>(), states.len()), (*recipients, 6), "{numbers:?}");
        seen.insert(states[0]);
        looks += 1;
        seen.len() > 3 && looks >= 100
    });
}

#[test]
fn a_page_connects_in_twenty_loads_of_twenty() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "a_page_connects_in_twenty_loads", Setup::default()) else {
        return;
    };
    desk.enter(&mut browser);
    for _ in 0..20 {
        browser.go(&desk.page(), 200);
        wait_live(&browser);
    }
}

#[test]
fn held_numbers_stand_still_until_they_may_go_on() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "held_numbers_stand_still", Setup::default()) else { return };
    desk.enter(&mut browser);
    browser.go(&desk.page(), 200);
    wait_live(&browser);
    browser.press(Key::Letter('r'));
    wait_until("the numbers are held", LONG, || dot(&browser) == "paused");
    let held = numbers(&browser);
    let sent = || desk.server.api().campaign(desk.campaign).stats.sent;
    let before = sent();
    wait_until("more is sent", LONG, || sent() > before + 20);
    assert_eq!(numbers(&browser), held);
    browser.press(Key::Letter('r'));
    wait_live(&browser);
    wait_until("the numbers go on", LONG, || numbers(&browser) != held);
}

#[test]
fn a_revoked_keys_open_page_turns_to_the_sign_in_page_and_loses_nothing_typed() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "a_revoked_keys_open_page", Setup::default()) else { return };
    let api = desk.server.api();
    let key = api.post("/v1/keys", &json!({ "name": "operators", "scope": "operate" }));
    browser.go(&desk.url("/ui/enter"), 200);
    browser.script(&format!("document.getElementById('key').value = {}", key["secret"]));
    browser.choose("Sign in", 200);
    browser.go(&desk.page(), 200);
    wait_live(&browser);
    browser.follow_in_page("Stop…");
    wait_until("it is asked", LONG, || browser.focused().is_some_and(|node| node.role == "textbox"));
    for letter in "Spring".chars() {
        browser.press(Key::Letter(letter));
    }
    let path_of_key = format!("/v1/keys/{}", key["id"]);
    assert_eq!(desk.server.send("DELETE", &path_of_key, &[], b"").status, 200);
    wait_until("the page turns to the sign-in page", LONG, || path(&browser) == "/ui/enter");
    let next = browser.script("return new URLSearchParams(location.search).get('next')");
    assert_eq!(next, format!("/ui/campaigns/{}", desk.campaign));
    let key = api.post("/v1/keys", &json!({ "name": "operators", "scope": "operate" }));
    browser.script(&format!("document.getElementById('key').value = {}", key["secret"]));
    browser.choose("Sign in", 200);
    wait_live(&browser);
    browser.follow_in_page("Stop…");
    let typed = "return document.querySelector('dialog[open] [name=name]')?.value ?? ''";
    wait_until("what was typed is there again", LONG, || browser.script(typed) == "Spring");
}

#[test]
fn nothing_is_asked_of_the_database_while_nobody_watches() {
    let Some(browser) = Browser::open("nothing_is_asked_of_the_database", Setup::default()) else { return };
    let db = Database::sqlite();
    // A process of its own: what a process counts, it counts for all its instances.
    let volley = Volley::on(&db).start();
    // Ended before the instance.
    let mut browser = browser;
    let api = volley.api();
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", volley.port());
    let looks = || -> u64 {
        let metrics = api.get("/metrics");
        let line = metrics.as_str().unwrap().lines().find_map(|line| line.strip_prefix("volley_ui_looks_total "));
        line.map_or(0, |count| count.parse().unwrap())
    };
    let heartbeat = || api.get("/v1/instances")["data"][0]["last_seen_at"].clone();
    let wait_for_heartbeats = || {
        for _ in 0..3 {
            let last = heartbeat();
            wait_until("the next heartbeat", LONG, || heartbeat() != last);
        }
    };
    browser.go(&url("/ui/enter"), 200);
    browser.script(&format!("document.getElementById('key').value = '{ROOT_KEY}'"));
    assert_eq!(looks(), 0, "nobody has opened a page");
    browser.choose("Sign in", 200);
    wait_live(&browser);
    let watched = looks();
    wait_until("the page is looked after", LONG, || looks() > watched + 3);
    browser.go(&url("/ui/enter"), 200);
    wait_until("nothing is asked any more", LONG, || {
        let before = looks();
        wait_for_heartbeats();
        looks() == before
    });
}

#[test]
fn while_the_database_is_away_the_page_says_since_when_and_comes_back_by_itself() {
    let test = "while_the_database_is_away_the_page_says_so";
    let Some(db) = Database::own_postgres(test) else { return };
    let Some((desk, mut browser)) = Desk::open(&db, test, Setup::default()) else { return };
    desk.enter(&mut browser);
    browser.go(&desk.page(), 200);
    wait_live(&browser);
    let before = numbers(&browser);
    browser.expect(503);
    db.server().stop_immediately();
    wait_until("the page says since when", LONG, || dot(&browser).starts_with("stale since "));
    let after = numbers(&browser);
    assert!(after[0] >= before[0] && after.last() == before.last(), "the last numbers stay: {before:?}, {after:?}");
    db.server().start_again();
    wait_live(&browser);
    wait_until("the bar moves again", LONG, || numbers(&browser)[0] > after[0]);
}

#[test]
fn pools_instances_and_a_pace_keep_themselves_as_they_are() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "pools_instances_and_a_pace", Setup::default()) else { return };
    let api = desk.server.api();
    desk.enter(&mut browser);
    for (page, act) in [("/ui/pools", "Resume main"), ("/ui/pools/main", "Resume p")] {
        browser.go(&desk.url(page), 200);
        wait_live(&browser);
        browser.script("window.isKept = true");
        api.post("/v1/pools/main/suspend", &json!({ "reason": "machines are moved" }));
        wait_until("the suspension is shown", LONG, || {
            browser.text().contains("machines are moved") && browser.find("link", act).is_some()
        });
        assert_eq!(browser.axe(), Vec::<String>::new(), "{page}");
        api.post("/v1/pools/main/resume", &json!({}));
        wait_until("its end is shown", LONG, || browser.find("link", act).is_none());
        assert_eq!(browser.script("return window.isKept"), true, "{page} was not loaded again");
    }
    assert!(browser.text().contains("1 instance acknowledged it within"), "{}", browser.text());
    browser.go(&desk.url("/ui/instances"), 200);
    wait_live(&browser);
    let heard = "return [...document.querySelectorAll('#machines time')].map((at) => at.dateTime).join(' ')";
    let before = browser.script(heard);
    wait_until("the next heartbeat is shown", LONG, || browser.script(heard) != before);
    browser.go(&format!("{}/pace", desk.page()), 200);
    wait_live(&browser);
    let left = "return document.querySelectorAll('#pace .heroes dd')[1].textContent";
    let before = browser.script(left);
    wait_until("fewer are to come", LONG, || browser.script(left) != before);
    assert_eq!(browser.axe(), Vec::<String>::new());
}

#[test]
fn while_the_database_is_away_pools_instances_and_a_pace_say_since_when() {
    let test = "while_the_database_is_away_pools_say_so";
    let Some(db) = Database::own_postgres(test) else { return };
    let Some((desk, mut browser)) = Desk::open(&db, test, Setup::default()) else { return };
    desk.enter(&mut browser);
    for url in [desk.url("/ui/pools"), desk.url("/ui/instances"), format!("{}/pace", desk.page())] {
        browser.go(&url, 200);
        wait_live(&browser);
        browser.expect(503);
        db.server().stop_immediately();
        wait_until("the page says since when", LONG, || dot(&browser).starts_with("stale since "));
        db.server().start_again();
        wait_live(&browser);
    }
}

#[test]
fn the_map_of_pages_is_walked_by_arrow_keys_and_enter_opens_the_people_of_a_page() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "the_map_of_pages_is_walked", Setup::default()) else { return };
    desk.enter(&mut browser);
    browser.go(&format!("{}/pages", desk.page()), 200);
    let said = |browser: &Browser| browser.script("return document.getElementById('cell').textContent");
    assert!(said(&browser).as_str().unwrap().starts_with("The arrow keys"), "{}", said(&browser));
    browser.tab_to("group", "Pages");
    browser.press(Key::Down);
    assert!(said(&browser).as_str().unwrap().starts_with("page 1: "), "{}", said(&browser));
    assert_eq!(browser.axe(), Vec::<String>::new(), "{}", browser.text());
    browser.expect(200);
    browser.press(Key::Enter);
    wait_until("its people are shown", LONG, || path(&browser).ends_with("/people"));
    wait_until("the first of them is there", LONG, || browser.text().contains("person1@example.com"));
}
