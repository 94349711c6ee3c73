//! The search by keyboard.

use super::{Desk, LONG, path};
use crate::support::Database;
use crate::support::browser::{Browser, Setup};
use crate::support::waiting::wait_until;
use crate::support::webdriver::Key;

fn typed(browser: &Browser, text: &str) {
    for letter in text.chars() {
        browser.press(Key::Letter(letter));
    }
}

/// The titles of what the dialog shows.
fn hits(browser: &Browser) -> Vec<String> {
    let found =
        browser.script("return [...document.querySelectorAll('#seek[open] .title')].map((hit) => hit.textContent)");
    found.as_array().unwrap().iter().map(|hit| hit.as_str().unwrap().to_owned()).collect()
}

fn is_open(browser: &Browser) -> bool {
    browser.script("return document.getElementById('seek').open") == true
}

#[test]
fn ctrl_k_opens_the_search_and_its_hits_are_reached_by_arrow_keys() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "ctrl_k_opens_the_search", Setup::default()) else { return };
    desk.enter(&mut browser);
    browser.go(&desk.url("/ui/instances"), 200);
    browser.tab_to("link", "Campaigns");
    browser.press(Key::Ctrl('k'));
    wait_until("the search is open", LONG, || is_open(&browser));
    assert!(browser.focused().is_some_and(|node| node.role == "searchbox"), "{:?}", browser.focused());
    browser.press(Key::Escape);
    wait_until("Escape closes it", LONG, || !is_open(&browser));
    assert_eq!(path(&browser), "/ui/instances", "Escape closes the search only");
    assert!(browser.focused().is_some_and(|node| node.name == "Campaigns"), "the focus is where it was");
    browser.press(Key::Letter('/'));
    wait_until("where there is no filter, / opens it too", LONG, || is_open(&browser));
    typed(&browser, "s");
    wait_until("it finds while one types", LONG, || {
        let hits = hits(&browser);
        hits.contains(&"Spring greeting".to_owned()) && hits.contains(&"Settings".to_owned())
    });
    assert_eq!(browser.axe(), Vec::<String>::new(), "{}", browser.text());
    browser.press(Key::Down);
    let first = hits(&browser)[0].clone();
    wait_until("the first is reached", LONG, || browser.focused().is_some_and(|node| node.name.contains(&first)));
    browser.press(Key::Up);
    assert!(browser.focused().is_some_and(|node| node.role == "searchbox"));
    browser.press(Key::Down);
    typed(&browser, "pring");
    wait_until("who goes on typing is in the field again", LONG, || {
        hits(&browser).first().is_some_and(|hit| hit == "Spring greeting")
    });
    browser.press(Key::Down);
    wait_until("the campaign is reached", LONG, || {
        browser.focused().is_some_and(|node| node.name.contains("Spring greeting"))
    });
    browser.press(Key::Enter);
    wait_until("Enter arrives", LONG, || path(&browser) == format!("/ui/campaigns/{}", desk.campaign));
    browser.press(Key::Ctrl('k'));
    wait_until("the search is open", LONG, || is_open(&browser));
    typed(&browser, "person7@example.com");
    browser.press(Key::Enter);
    wait_until("an address leads to its contact at once", LONG, || path(&browser).starts_with("/ui/contacts/"));
    browser.go(&desk.url("/ui/contacts"), 200);
    browser.press(Key::Ctrl('k'));
    wait_until("it opens on a page with a search of its own", LONG, || is_open(&browser));
    typed(&browser, "copy");
    browser.press(Key::Space);
    typed(&browser, "spring");
    wait_until("what can be done is found", LONG, || hits(&browser) == ["Copy Spring greeting"]);
    assert_eq!(browser.axe(), Vec::<String>::new(), "{}", browser.text());
    browser.press(Key::Enter);
    wait_until("it is asked", LONG, || path(&browser) == format!("/ui/campaigns/{}/copy", desk.campaign));
}
