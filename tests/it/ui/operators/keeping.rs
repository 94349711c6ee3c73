//! What is typed is kept, and what is pressed twice is done once.

use serde_json::json;

use super::{Desk, LONG, path};
use crate::support::Database;
use crate::support::browser::{Browser, Setup};
use crate::support::waiting::wait_until;
use crate::support::webdriver::Key;
use crate::ui::assert_heading;

/// Types into a field, as a person does it: with an event.
fn fill(browser: &Browser, id: &str, value: &str) {
    browser.script(&format!(
        "const field = document.getElementById('{id}'); field.value = `{value}`;
         field.dispatchEvent(new Event('input', {{ bubbles: true }}));"
    ));
}

/// What stands in a field.
fn typed(browser: &Browser, id: &str) -> String {
    let value = browser.script(&format!("return document.getElementById('{id}').value"));
    value.as_str().unwrap().to_owned()
}

/// Whether the browser would ask before it leaves the page.
fn warns(browser: &Browser) -> bool {
    let event = "const event = new Event('beforeunload', { cancelable: true }); dispatchEvent(event); return event.defaultPrevented";
    browser.script(event) == true
}

#[test]
fn a_form_that_is_pressed_twice_makes_one_thing() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "a_form_that_is_pressed_twice", Setup::default()) else { return };
    desk.enter(&mut browser);
    let made = || {
        let all = desk.server.api().get("/v1/templates")["data"].clone();
        all.as_array().unwrap().iter().filter(|one| one["name"] == "Twice").count()
    };
    browser.go(&desk.url("/ui/templates/new"), 200);
    fill(&browser, "name", "Twice");
    fill(&browser, "subject", "s");
    fill(&browser, "text", "b");
    // Two presses within one turn of the page: the second one comes before the first has led anywhere.
    browser.script(
        "const button = [...document.querySelectorAll('button.first')].find((one) => one.textContent === 'Make the template');
         button.click(); button.click();",
    );
    wait_until("it leads to the template", LONG, || {
        path(&browser).starts_with("/ui/templates/") && path(&browser) != "/ui/templates/new"
    });
    assert_heading(&browser, "Twice");
    assert_eq!(made(), 1);
}

#[test]
fn a_page_with_unsaved_words_asks_before_it_is_left_and_a_saved_one_does_not() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "a_page_with_unsaved_words", Setup::default()) else { return };
    desk.enter(&mut browser);
    browser.go(&desk.url(&format!("/ui/campaigns/{}/edit", desk.draft)), 200);
    assert!(!warns(&browser), "nothing is typed yet");
    browser.script("window.answer = window.fetch; window.fetch = () => Promise.reject(new TypeError('away'))");
    fill(&browser, "name", "Typed and not saved");
    assert!(warns(&browser), "it is not saved yet");
    wait_until("the page says so", LONG, || browser.text().contains("the server does not answer"));
    assert!(warns(&browser), "it still is not saved");
    browser.script("window.fetch = window.answer");
    browser.press(Key::Ctrl('s'));
    let stored = || desk.server.api().get(&format!("/v1/campaigns/{}", desk.draft))["name"].clone();
    wait_until("it is saved", LONG, || stored() == "Typed and not saved" && browser.text().contains("Saved "));
    wait_until("nothing is left to lose", LONG, || !warns(&browser));
}

#[test]
fn a_refused_form_comes_back_as_a_whole_page_with_what_was_typed() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "a_refused_form_comes_back", Setup::default()) else { return };
    // It shall not end before it is to be stopped.
    desk.server.api().post(&format!("/v1/campaigns/{}/pause", desk.campaign), &json!({}));
    desk.enter(&mut browser);
    browser.go(&desk.url("/ui/templates/1/edit"), 200);
    fill(&browser, "subject", " ");
    fill(&browser, "text", "typed words");
    fill(&browser, "reply_to", "help@example.com");
    browser.choose("Save as a new version", 422);
    assert_heading(&browser, "Edit Spring greeting");
    assert!(browser.text().contains("an email needs a subject"), "{}", browser.text());
    assert_eq!(
        (typed(&browser, "text"), typed(&browser, "reply_to")),
        ("typed words".into(), "help@example.com".into())
    );
    assert!(browser.find("link", "Campaigns").is_some() && browser.find("button", "Save as a new version").is_some());
    assert_eq!(browser.axe(), Vec::<String>::new());
    // Somebody else writes meanwhile.
    let json = [("Content-Type", "application/json")];
    let theirs =
        desk.server.send("PATCH", "/v1/templates/1", &json, json!({ "body_text": "theirs" }).to_string().as_bytes());
    assert_eq!(theirs.status, 200, "{theirs:?}");
    fill(&browser, "subject", "Mine");
    browser.choose("Save as a new version", 409);
    assert_heading(&browser, "Edit Spring greeting");
    assert!(browser.text().contains("was written while you wrote on version 2"), "{}", browser.text());
    assert_eq!((typed(&browser, "text"), typed(&browser, "subject")), ("typed words".into(), "Mine".into()));
    assert_eq!(browser.axe(), Vec::<String>::new());
    browser.choose("Save as a new version", 200);
    assert_eq!(desk.server.api().get("/v1/templates/1")["body_text"], "typed words");
    // A question whose answer is wrong.
    browser.go(&desk.url(&format!("/ui/campaigns/{}/stop", desk.campaign)), 200);
    fill(&browser, "name", "Another campaign");
    browser.choose("Stop", 422);
    assert_eq!(typed(&browser, "name"), "Another campaign");
    assert!(browser.text().contains("type the campaign's name as it is"), "{}", browser.text());
}

#[test]
fn after_an_error_the_search_still_obeys_enter_and_escape() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "after_an_error_the_search_still_obeys", Setup::default()) else {
        return;
    };
    desk.enter(&mut browser);
    browser.go(&desk.url("/ui/instances"), 200);
    let is_open = |browser: &Browser| browser.script("return document.getElementById('seek').open") == true;
    browser.script("window.fetch = () => Promise.reject(new TypeError('away'))");
    browser.press(Key::Ctrl('k'));
    wait_until("the search is open", LONG, || is_open(&browser));
    browser.press(Key::Letter('s'));
    wait_until("the error is said", LONG, || browser.text().contains("The search got no answer."));
    browser.press(Key::Escape);
    wait_until("Escape closes it", LONG, || !is_open(&browser));
    assert_eq!(path(&browser), "/ui/instances");
    browser.press(Key::Ctrl('k'));
    wait_until("it opens again", LONG, || is_open(&browser));
    browser.press(Key::Letter('p'));
    wait_until("the error is said again", LONG, || browser.text().contains("Enter opens the search as a page."));
    browser.expect(200);
    browser.press(Key::Enter);
    wait_until("Enter opens the search as a page", LONG, || path(&browser) == "/ui/search");
    wait_until("which finds something", LONG, || browser.text().contains("Pools") || browser.text().contains("People"));
}
