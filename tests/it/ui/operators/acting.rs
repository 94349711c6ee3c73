//! What is done on the pages, with a keyboard and without scripts, and how the pages look to those who cannot see them.

use super::{Desk, LONG, dot, path, wait_live};
use crate::support::Database;
use crate::support::browser::{Browser, Setup};
use crate::support::server::{ROOT_KEY, Server};
use crate::support::waiting::wait_until;
use crate::support::webdriver::Key;
use crate::ui::assert_heading;

#[test]
fn the_printed_link_opens_the_pages_and_a_second_use_of_it_does_not() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "the_printed_link_opens_the_pages", Setup::default()) else {
        return;
    };
    desk.enter(&mut browser);
    assert_heading(&browser, "Now");
    assert!(browser.text().contains("Spring greeting"), "{}", browser.text());
    assert_eq!(browser.script("return location.hash"), "", "the code does not stay in the address");
    browser.expect(403);
    browser.go(&desk.url("/ui/keys"), 200);
    browser.go(&desk.url(&desk.server.one_time_path), 200);
    wait_until("the code is refused", LONG, || browser.text().contains("code_unusable"));
    // Who is there already changes the fragment only.
    browser.expect(403);
    browser.script("history.replaceState(null, '', '/ui/enter'); location.hash = '0'.repeat(64)");
    wait_until("the code is taken out of the address", LONG, || browser.script("return location.hash") == "");
}

#[test]
fn over_a_wire_that_is_said_to_be_safe_somebody_signs_in_and_acts() {
    let Some(browser) = Browser::open("over_a_wire_that_is_said_to_be_safe", Setup::default()) else { return };
    let db = Database::sqlite();
    let server = Server::with(&db, |settings| settings.http.allow_plain_sign_in = true);
    // Ended before the instance.
    let mut browser = browser;
    // A name that is not this machine's own: a browser says less there about where a form comes from.
    browser.go(&format!("http://volley.test:{}/ui/enter", server.addr.port()), 200);
    browser.script(&format!("document.getElementById('key').value = '{ROOT_KEY}'"));
    browser.choose("Sign in", 200);
    assert_heading(&browser, "Now");
    browser.choose("dark", 200);
    assert_eq!(browser.script("return document.documentElement.dataset.theme"), "dark");
}

#[test]
fn a_pause_by_keyboard_is_asked_for_done_and_acknowledged_on_the_page() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "a_pause_by_keyboard", Setup::default()) else { return };
    desk.enter(&mut browser);
    browser.go(&desk.page(), 200);
    wait_live(&browser);
    browser.press(Key::Letter('p'));
    wait_until("it is asked", LONG, || browser.find("dialog", "Pause “Spring greeting”?").is_some());
    assert!(browser.text().contains("are still to come"), "{}", browser.text());
    assert_eq!(desk.status(), "sending", "a question does nothing");
    assert_eq!(browser.focused().map(|node| node.name), Some("Pause".to_owned()));
    browser.press(Key::Escape);
    wait_until("the question is gone", LONG, || {
        browser.script("return document.querySelector('dialog[open]')").is_null()
    });
    assert_eq!(path(&browser), format!("/ui/campaigns/{}", desk.campaign), "Escape closes the question only");
    browser.press(Key::Letter('p'));
    wait_until("it is asked again", LONG, || browser.focused().is_some_and(|node| node.name == "Pause"));
    browser.press(Key::Enter);
    wait_until("the receipt is there", LONG, || browser.text().contains("1 instance acknowledged it within"));
    assert_eq!(desk.status(), "paused");
    let sent = |desk: &Desk| desk.server.api().campaign(desk.campaign).stats;
    wait_until("nothing is under way", LONG, || sent(&desk).sending == 0);
    let before = sent(&desk);
    wait_live(&browser);
    browser.press(Key::Letter('p'));
    wait_until("it is asked", LONG, || browser.focused().is_some_and(|node| node.name == "Resume"));
    assert_eq!(sent(&desk), before, "nothing was sent meanwhile");
    browser.press(Key::Enter);
    wait_until("it goes on", LONG, || desk.status() == "sending");
    browser.go(&desk.page(), 200);
    browser.press(Key::Escape);
    wait_until("Escape leads one page up", LONG, || path(&browser) == "/ui/campaigns");
    browser.press(Key::Letter('g'));
    browser.press(Key::Letter('n'));
    wait_until("g n leads to Now", LONG, || path(&browser) == "/ui");
    browser.press(Key::Letter('?'));
    wait_until("? shows the keys", LONG, || browser.find("dialog", "Keys").is_some());
}

#[test]
fn a_double_click_does_it_once() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "a_double_click_does_it_once", Setup::default()) else { return };
    desk.enter(&mut browser);
    let pause = format!("/ui/campaigns/{}/pause", desk.campaign);
    browser.go(&desk.url(&pause), 200);
    let key = browser.script("return document.querySelector('[name=idempotency_key]').value");
    browser.script(
        "const button = document.querySelector('#question button'); button.click(); button.click();
         button.form.requestSubmit();",
    );
    wait_until("the receipt is there", LONG, || browser.text().contains("1 instance acknowledged it within"));
    let api = desk.server.api();
    api.post(&format!("/v1/campaigns/{}/resume", desk.campaign), &serde_json::json!({}));
    // The form as it was, in a second tab or kept by the browser: to send it again does nothing.
    browser.go(&desk.url(&pause), 200);
    browser.script(&format!("document.querySelector('[name=idempotency_key]').value = {key}"));
    browser.script("document.querySelector('#question form').requestSubmit()");
    wait_until("its answer is there", LONG, || path(&browser) == format!("/ui/campaigns/{}", desk.campaign));
    assert_eq!(desk.status(), "sending", "nothing was paused again");
    let lines = api.get(&format!("/v1/audit-log?object=campaign&object_id={}&action=paused", desk.campaign));
    assert_eq!(lines["data"].as_array().unwrap().len(), 1, "{lines}");
}

#[test]
fn single_letters_can_be_switched_off() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "single_letters_can_be_switched_off", Setup::default()) else {
        return;
    };
    desk.enter(&mut browser);
    browser.go(&desk.url("/ui/keys"), 200);
    browser.choose("Switch them off", 200);
    browser.go(&desk.page(), 200);
    wait_live(&browser);
    browser.press(Key::Letter('p'));
    browser.press(Key::Letter('?'));
    assert!(browser.script("return document.querySelector('dialog[open]')").is_null());
    browser.tab_to("link", "Pause p");
    browser.press(Key::Enter);
    wait_until("it is asked", LONG, || browser.find("dialog", "Pause “Spring greeting”?").is_some());
}

#[test]
fn without_scripts_everything_is_read_and_a_campaign_is_paused_resumed_and_stopped() {
    let setup = Setup { scripts: false, width: 390, ..Setup::default() };
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "without_scripts_everything_is_read", setup) else { return };
    let (_, code) = desk.server.one_time_path.split_once('#').unwrap();
    browser.go(&desk.url("/ui/enter"), 200);
    browser.script(&format!("document.getElementById('code').value = '{code}'"));
    browser.choose("Use the code", 200);
    assert_heading(&browser, "Now");
    for (act, button, then) in [("Pause p", "Pause", "paused"), ("Resume p", "Resume", "sending")] {
        browser.go(&desk.page(), 200);
        assert_eq!(dot(&browser), "", "nothing is called live that is not");
        browser.follow("Load newer numbers", 200);
        browser.follow(act, 200);
        assert_heading(&browser, &format!("{button} “Spring greeting”?"));
        browser.choose(button, 200);
        assert_heading(&browser, "Spring greeting");
        assert!(browser.text().contains("1 instance acknowledged it within"), "{}", browser.text());
        assert_eq!(desk.status(), then);
    }
    browser.follow("Stop…", 200);
    browser.script("document.getElementById('name').value = 'Spring'");
    browser.choose("Stop", 422);
    assert!(browser.text().contains("name_differs"), "{}", browser.text());
    browser.script("document.getElementById('name').value = 'Spring greeting'");
    browser.choose("Stop", 200);
    assert_eq!(desk.status(), "stopped");
    browser.go(&desk.url("/ui/campaigns"), 200);
    assert!(browser.text().contains("stopped"), "{}", browser.text());
    browser.choose("Sign out", 200);
    assert_heading(&browser, "Sign in");
}

/// The pages of "Delivery" and "System".
const SYSTEM: [&str; 11] = [
    "/ui/pools",
    "/ui/pools/main",
    "/ui/pools/main/suspend",
    "/ui/pools/main/check",
    "/ui/uncertain",
    "/ui/instances",
    "/ui/settings",
    "/ui/api-keys",
    "/ui/api-keys/1/revoke",
    "/ui/audit",
    "/ui/audit?object=campaign&key_id=",
];

/// The page of an incident: two messages of which nobody knows whether they have left.
fn incident(desk: &Desk) -> String {
    let api = desk.server.api();
    let list = api.a_list_of(2);
    let campaign = api.create_campaign("email", "main", list, &serde_json::json!({ "name": "In doubt" }));
    api.send(campaign);
    api.wait_ended(campaign, LONG);
    let states = "sent = 0, failed = 0, uncertain = size";
    desk.server.execute(format!("UPDATE pages SET {states} WHERE campaign_id = {campaign}"));
    let reason = "state = 'uncertain', reason = 'the provider hung up after the content had left', settled_at = 120000";
    desk.server.execute(format!("UPDATE deliveries SET {reason} WHERE campaign_id = {campaign}"));
    let found = api.get(&format!("/v1/uncertain?campaign_id={campaign}"));
    format!("/ui/uncertain/{}", found["data"][0]["id"].as_str().unwrap())
}

/// Why somebody who has the message got it, and why the last one of the list waits.
fn why(desk: &Desk) -> [(String, u16); 2] {
    let api = desk.server.api();
    let sent = api.get(&format!("/v1/campaigns/{}/deliveries?status=sent&page_size=1", desk.campaign));
    let contact = &sent["data"][0]["contact"]["id"];
    [format!("{}/people/{contact}", desk.page()), format!("{}/people/400", desk.page())].map(|url| (url, 200))
}

/// The pages of "People" and "Templates".
const PEOPLE: [&str; 20] = [
    "/ui/contacts",
    "/ui/contacts?search=nobody+here",
    "/ui/contacts/1",
    "/ui/lists",
    "/ui/lists/1",
    "/ui/imports",
    "/ui/imports/2",
    "/ui/segments",
    "/ui/segments/1",
    "/ui/segments/1/explain?contact_id=1",
    "/ui/segments/1/disable",
    "/ui/suppressions",
    "/ui/suppressions?address=person390@example.com",
    "/ui/suppressions/lift?address=person390@example.com&channel=email&reason=complained",
    "/ui/templates",
    "/ui/templates/new",
    "/ui/templates/1",
    "/ui/templates/1/edit",
    "/ui/templates/1/versions",
    "/ui/templates/1/compare?from=1&to=2",
];

/// The pages, with the status that each comes with.
fn pages(desk: &Desk) -> Vec<(String, u16)> {
    let incident = incident(desk);
    let of_incident = ["", "/resolve?as=sent"].map(|act| (desk.url(&format!("{incident}{act}")), 200));
    let of_campaign = |act: &str| (format!("{}{act}", desk.page()), 200);
    let fixed = [
        "/ui",
        "/ui/search",
        "/ui/search?q=person7%40example.com",
        "/ui/campaigns",
        "/ui/campaigns/new",
        "/ui/campaigns?status=draft",
        "/ui/campaigns?list_id=1",
        "/ui/keys",
        "/ui/enter",
    ];
    let fixed = fixed.into_iter().map(|path| (desk.url(path), 200));
    let failing = [(desk.url("/ui/nowhere"), 404)];
    let system = SYSTEM.iter().chain(&PEOPLE).map(|path| (desk.url(path), 200));
    fixed
        .chain(
            [
                "",
                "/people",
                "/people?status=failed",
                "/people?status=uncertain",
                "/decisions",
                "/pace",
                "/books",
                "/pages",
                "/preflight",
                "/edit",
                "/pause",
                "/stop",
            ]
            .map(of_campaign),
        )
        .chain(
            ["/preflight", "/edit?count=yes"].map(|act| (desk.url(&format!("/ui/campaigns/{}{act}", desk.draft)), 200)),
        )
        .chain(system)
        .chain(of_incident)
        .chain(why(desk))
        .chain(failing)
        .collect()
}

#[test]
fn axe_finds_nothing_on_any_page_be_it_light_or_dark_wide_or_narrow() {
    for width in [1_440, 320] {
        let setup = Setup { width, ..Setup::default() };
        let db = Database::sqlite();
        let Some((desk, mut browser)) = Desk::open(&db, "axe_finds_nothing_on_any_page", setup) else { return };
        desk.enter(&mut browser);
        let pause = format!("/v1/campaigns/{}/pause", desk.campaign);
        desk.server.api().post(&pause, &serde_json::json!({}));
        for (url, status) in pages(&desk) {
            browser.go(&url, status);
            for scheme in ["light", "dark"] {
                browser.prefer(scheme);
                assert_eq!(browser.axe(), Vec::<String>::new(), "{url}, {scheme}: {}", browser.text());
            }
            assert_eq!(browser.overflow(), 0, "{url} scrolls sideways at {width}: {}", browser.text());
        }
        let found = desk.server.api().get("/v1/uncertain")["data"][0].clone();
        browser.go(&desk.url(&format!("/ui/uncertain/{}", found["id"].as_str().unwrap())), 200);
        let log = format!("{}:{} accepted", found["message_key"].as_str().unwrap(), found["examples"][0]["contact_id"]);
        browser.script(&format!("document.getElementById('log').value = '{log}'"));
        browser.choose("Compare", 200);
        assert!(browser.text().contains("1 was accepted"), "{}", browser.text());
        assert_eq!(browser.axe(), Vec::<String>::new(), "what a log says: {}", browser.text());
        assert_eq!(browser.overflow(), 0, "what a log says scrolls sideways at {width}: {}", browser.text());
    }
}

#[test]
fn the_key_tab_reaches_everything_and_the_focus_is_seen() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "the_key_tab_reaches_everything", Setup::default()) else { return };
    desk.enter(&mut browser);
    for (url, status) in pages(&desk) {
        browser.go(&url, status);
        browser.press(Key::Tab);
        let first = browser.focused().map(|node| node.name);
        assert_eq!(first.as_deref(), Some("Skip to the content"), "{url}");
        for _ in 0..8 {
            let seen = browser.script(SEEN);
            let is_seen = seen[0] != "none" && seen[1].as_f64().is_some_and(|width| width >= 2.0);
            assert!(
                is_seen && seen[2].as_f64().is_some_and(|side| side >= 20.0),
                "{url}: {seen} of {:?}",
                browser.focused()
            );
            browser.press(Key::Tab);
        }
    }
}

/// The outline of what has the focus, and its shorter side.
const SEEN: &str = "const has = document.activeElement, style = getComputedStyle(has), box = has.getBoundingClientRect();
    return has === document.body ? ['solid', 2, 24, 'body']
        : [style.outlineStyle, parseFloat(style.outlineWidth), Math.min(box.width, box.height), has.outerHTML.slice(0, 90)];";
