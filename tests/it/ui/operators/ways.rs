//! A campaign is copied, and gets another rate and another pool, with a keyboard.

use serde_json::json;
use volley::domain::channel::ChannelKind;

use super::{Desk, LONG, path, wait_live};
use crate::support::Database;
use crate::support::browser::{Browser, Setup};
use crate::support::server::{Server, sandbox};
use crate::support::waiting::wait_until;
use crate::support::webdriver::Key;
use crate::ui::assert_heading;

fn write(browser: &Browser, words: &str) {
    words.chars().for_each(|letter| browser.press(Key::Letter(letter)));
}

#[test]
fn a_campaign_is_copied_by_keyboard_and_a_name_that_is_too_long_is_said() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "a_campaign_is_copied_by_keyboard", Setup::default()) else {
        return;
    };
    desk.enter(&mut browser);
    browser.go(&desk.page(), 200);
    wait_live(&browser);
    browser.follow_in_page("Copy…");
    wait_until("it is asked", LONG, || browser.find("dialog", "Copy “Spring greeting”?").is_some());
    wait_until("the name can be typed", LONG, || {
        browser.focused().is_some_and(|node| node.role == "textbox" && node.name == "Name of the copy")
    });
    assert_eq!(browser.axe(), Vec::<String>::new());
    write(&browser, "autumn");
    browser.press(Key::Enter);
    wait_until("it leads to where the copy is written", LONG, || path(&browser).ends_with("/edit"));
    assert_heading(&browser, "autumn");
    let id = path(&browser).split('/').nth(3).unwrap().parse::<i64>().unwrap();
    let copy = desk.server.api().get(&format!("/v1/campaigns/{id}"));
    assert_eq!((&copy["name"], &copy["status"]), (&json!("autumn"), &json!("draft")));
    // On its own page, with a name that the field would not take.
    let ask = format!("/ui/campaigns/{}/copy", desk.campaign);
    browser.go(&desk.url(&ask), 200);
    assert_heading(&browser, "Copy “Spring greeting”?");
    assert_eq!(browser.axe(), Vec::<String>::new());
    let before = desk.server.api().get("/v1/campaigns")["total_count"].clone();
    browser.script(
        "const field = document.getElementById('name'); field.removeAttribute('maxlength'); field.value = 'x'.repeat(256)",
    );
    browser.choose("Copy", 422);
    assert_eq!(browser.script("return document.getElementById('name').value.length"), 256);
    assert_eq!(browser.script("return document.getElementById('name').getAttribute('aria-invalid')"), "true");
    assert_eq!(browser.axe(), Vec::<String>::new());
    assert_eq!(desk.server.api().get("/v1/campaigns")["total_count"], before);
    browser.follow("Leave it as it is", 200);
    assert_heading(&browser, "Spring greeting");
}

#[test]
fn the_rate_and_the_pool_are_changed_by_keyboard() {
    let Some(browser) = Browser::open("the_rate_and_the_pool_are_changed_by_keyboard", Setup::default()) else {
        return;
    };
    let db = Database::sqlite();
    let pools = vec![sandbox("main", ChannelKind::Email, 0.0), sandbox("other", ChannelKind::Email, 0.0)];
    let server = Server::with_pools(&db, pools);
    // Ended before the instance.
    let mut browser = browser;
    let url = |path: &str| format!("http://{}{path}", server.addr);
    let api = server.api();
    let list = api.a_list_of(200);
    let campaign = api.create_campaign("email", "main", list, &json!({ "name": "Spring", "rate_per_second": 1 }));
    api.send(campaign);
    browser.go(&url(&server.one_time_path), 200);
    wait_until("the link signs in", LONG, || path(&browser) == "/ui");
    let (page, of) = (format!("/ui/campaigns/{campaign}"), format!("/v1/campaigns/{campaign}"));
    browser.go(&url(&page), 200);
    wait_live(&browser);
    browser.follow_in_page("Rate…");
    wait_until("it is asked", LONG, || {
        browser.focused().is_some_and(|node| node.role == "textbox" && node.name == "Messages per second")
    });
    assert!(browser.text().contains("pause it first"), "{}", browser.text());
    assert_eq!(browser.axe(), Vec::<String>::new());
    browser.press(Key::Ctrl('a'));
    write(&browser, "2");
    browser.press(Key::Enter);
    wait_until("the rate is another", LONG, || api.get(&of)["rate_per_second"] == 2.0);
    wait_until("the campaign is shown", LONG, || path(&browser) == page);
    // A rate that is none is said, and stays as it was typed.
    browser.go(&url(&format!("{page}/way")), 200);
    browser.tab_to("textbox", "Messages per second");
    browser.press(Key::Ctrl('a'));
    write(&browser, "fast");
    browser.choose("Change", 422);
    assert_eq!(browser.script("return document.getElementById('rate_per_second').value"), "fast");
    assert!(browser.text().contains("a number of hand-overs per second"), "{}", browser.text());
    assert_eq!(browser.axe(), Vec::<String>::new());
    api.pause(campaign);
    browser.go(&url(&format!("{page}/way")), 200);
    assert!(browser.find("radio", "main").is_some_and(|node| node.checked), "{:?}", browser.nodes());
    assert_eq!(browser.axe(), Vec::<String>::new());
    browser.tab_to("radio", "main");
    browser.press(Key::Down);
    wait_until("the other one is chosen", LONG, || browser.find("radio", "other").is_some_and(|node| node.checked));
    browser.choose("Change", 200);
    assert_heading(&browser, "Spring");
    assert_eq!(api.get(&of)["pool"], "other");
    assert_eq!(api.campaign(campaign).status, "paused");
}
