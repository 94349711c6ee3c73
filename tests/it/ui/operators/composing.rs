//! A campaign is composed in a browser: typed, saved meanwhile, seen as a person, counted, checked and sent.

use serde_json::json;
use volley::domain::channel::ChannelKind;

use super::{LONG, path};
use crate::support::Database;
use crate::support::browser::{Browser, Setup};
use crate::support::server::{ROOT_KEY, Server, sandbox};
use crate::support::waiting::wait_until;
use crate::support::webdriver::Key;
use crate::ui::assert_heading;

/// A browser that has signed in at an instance with a list of 20 people. It is ended before the instance.
fn open(db: &Database, test: &str, setup: Setup) -> Option<(Server, i64, Browser)> {
    let mut browser = Browser::open(test, setup)?;
    let server = Server::with_pools(db, vec![sandbox("main", ChannelKind::Email, 0.0)]);
    let list = server.api().a_list_of(20);
    browser.go(&format!("http://{}/ui/enter", server.addr), 200);
    browser.script(&format!("document.getElementById('key').value = '{ROOT_KEY}'"));
    browser.choose("Sign in", 200);
    Some((server, list, browser))
}

fn write(browser: &Browser, text: &str) {
    text.chars().for_each(|letter| browser.press(if letter == ' ' { Key::Space } else { Key::Letter(letter) }));
}

/// What the composer says of saving.
fn said(browser: &Browser) -> String {
    browser.script("return document.getElementById('saved')?.innerText ?? ''").as_str().unwrap_or_default().to_owned()
}

#[track_caller]
fn wait_saved(browser: &Browser, then: impl Fn() -> bool) {
    wait_until("it is saved", LONG, || said(browser).starts_with("Saved ") && then());
}

/// A draft through its first page, to where it is written.
fn begin(browser: &mut Browser, server: &Server, list: i64) -> i64 {
    browser.go(&format!("http://{}/ui/campaigns/new?list={list}", server.addr), 200);
    browser.tab_to("textbox", "Name");
    write(browser, "Spring");
    browser.choose("Write it", 200);
    path(browser).split('/').nth(3).unwrap().parse().unwrap()
}

#[test]
fn a_campaign_is_typed_saved_meanwhile_seen_as_a_person_checked_and_sent() {
    let db = Database::sqlite();
    let Some((server, list, mut browser)) = open(&db, "a_campaign_is_typed", Setup::default()) else { return };
    let api = server.api();
    let id = begin(&mut browser, &server, list);
    assert_heading(&browser, "Spring");
    wait_until("the audience is counted", LONG, || browser.text().contains("reached by email"));
    assert!(browser.text().contains("20 people"), "{}", browser.text());
    // What is half typed is not wrong, and not saved: a subject without a text.
    browser.expect(422);
    browser.tab_to("textbox", "Subject");
    write(&browser, "For {first_name}");
    browser.press(Key::Tab);
    write(&browser, "Dear {first_name|you}");
    let stored = || api.get(&format!("/v1/campaigns/{id}"));
    wait_saved(&browser, || stored()["body_text"] == "Dear {first_name|you}");
    browser.press(Key::Tab);
    write(&browser, "<p>Dear {{ first_name }}</p><script>parent.document.title='taken'</script><p>Bye</p>");
    wait_saved(&browser, || stored()["body_html"].is_string_and(|html| html.ends_with("Bye</p>")));
    // Beside it stands what one of the list would get.
    let frame = "return document.querySelector('iframe.mail')?.getAttribute('src') ?? ''";
    wait_until("the mail is shown", LONG, || {
        browser.script(frame).as_str().is_some_and(|src| src.contains("contact_id="))
    });
    let subject = "return document.querySelector('#preview .subject')?.textContent ?? ''";
    let first = browser.script(subject);
    assert!(first.as_str().unwrap().starts_with("For ") && !first.as_str().unwrap().contains('{'), "{first}");
    browser.tab_to("textbox", "or somebody else");
    write(&browser, "person7@example.com");
    browser.tab_to("button", "Preview");
    browser.press(Key::Enter);
    wait_until("it is shown as another", LONG, || browser.text().contains("person7@example.com"));
    assert_eq!(browser.script("return document.title"), "Edit Spring · Volley", "a mail runs no script");
    let complaints = browser.take_complaints();
    let is_refused = |line: &String| line.contains("sandboxed") || line.contains("Content Security Policy");
    assert!(complaints.iter().all(is_refused), "{complaints:#?}");
    browser.script("const html = document.getElementById('body_html'); html.value = '<p>Dear {{ first_name }}</p>'; html.dispatchEvent(new Event('input', { bubbles: true }))");
    wait_saved(&browser, || stored()["body_html"] == "<p>Dear {{ first_name }}</p>");
    // Nothing is lost by loading the page again.
    browser.go(&format!("http://{}/ui/campaigns/{id}/edit", server.addr), 200);
    assert_eq!(browser.script("return document.getElementById('subject').value"), "For {first_name}");
    // What is wrong is said where it is.
    browser.expect(422);
    browser.tab_to("textbox", "At most, per second");
    write(&browser, "fast");
    wait_until("the field says so", LONG, || browser.text().contains("is no number"));
    assert_eq!(browser.find("textbox", "At most, per second").unwrap().description, "is no number: write 12 or 0.5");
    browser.script("const rate = document.getElementById('rate_per_second'); rate.value = '500'; rate.dispatchEvent(new Event('input', { bubbles: true }))");
    wait_saved(&browser, || stored()["rate_per_second"] == 500.0);
    browser.choose("Check", 200);
    assert_eq!(path(&browser), format!("/ui/campaigns/{id}/preflight"));
    browser.choose("Check", 200);
    browser.tab_to("textbox", "Type the campaign’s name to send it");
    write(&browser, "Spring");
    browser.choose("Send 20 messages", 200);
    let ended = api.wait_ended(id, LONG);
    assert_eq!((ended.status.as_str(), ended.stats.sent), ("sent", 20));
}

/// Whether a value is a text that fits.
trait Fits {
    fn is_string_and(&self, fits: impl Fn(&str) -> bool) -> bool;
}

impl Fits for serde_json::Value {
    fn is_string_and(&self, fits: impl Fn(&str) -> bool) -> bool {
        self.as_str().is_some_and(fits)
    }
}

#[test]
fn what_somebody_else_changed_is_said_and_nothing_typed_is_lost() {
    let db = Database::sqlite();
    let Some((server, list, mut browser)) = open(&db, "what_somebody_else_changed", Setup::default()) else { return };
    let api = server.api();
    let id = begin(&mut browser, &server, list);
    let change = |body: serde_json::Value| {
        let json = [("Content-Type", "application/json")];
        let answer = server.send("PATCH", &format!("/v1/campaigns/{id}"), &json, body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    change(json!({ "subject": "Theirs", "body_text": "Theirs" }));
    browser.expect(409);
    browser.expect(422);
    browser.tab_to("textbox", "Subject");
    write(&browser, "Mine");
    wait_until("it is said", LONG, || said(&browser).starts_with("Not saved: the campaign has changed since"));
    assert_eq!(api.get(&format!("/v1/campaigns/{id}"))["subject"], "Theirs");
    assert_eq!(browser.script("return document.getElementById('subject').value"), "Mine");
    // Enter in a field, and another look, are no word on what somebody else has saved.
    browser.press(Key::Enter);
    browser.tab_to("button", "Count");
    browser.press(Key::Enter);
    browser.tab_to("textbox", "Text");
    write(&browser, "Mine");
    assert!(said(&browser).starts_with("Not saved: the campaign has changed since"), "{}", said(&browser));
    assert_eq!(api.get(&format!("/v1/campaigns/{id}"))["subject"], "Theirs");
    browser.tab_to("button", "Put mine in its place");
    browser.press(Key::Enter);
    wait_saved(&browser, || api.get(&format!("/v1/campaigns/{id}"))["subject"] == "Mine");
    // The session ends: what is typed is there again after signing in.
    let key = api.post("/v1/keys", &json!({ "name": "operators", "scope": "operate" }));
    browser.go(&format!("http://{}/ui/enter", server.addr), 200);
    browser.script(&format!("document.getElementById('key').value = {}", key["secret"]));
    browser.choose("Sign in", 200);
    browser.go(&format!("http://{}/ui/campaigns/{id}/edit", server.addr), 200);
    wait_until("the page is whole", LONG, || browser.text().contains("reached by email"));
    browser.expect(401);
    assert_eq!(server.send("DELETE", &format!("/v1/keys/{}", key["id"]), &[], b"").status, 200);
    browser.script("const field = document.getElementById('subject'); field.value = 'Typed late'; field.dispatchEvent(new Event('input', { bubbles: true }))");
    wait_until("the page turns to the sign-in page", LONG, || path(&browser) == "/ui/enter");
    browser.script(&format!("document.getElementById('key').value = '{ROOT_KEY}'"));
    browser.choose("Sign in", 200);
    wait_saved(&browser, || api.get(&format!("/v1/campaigns/{id}"))["subject"] == "Typed late");
}

#[test]
fn what_is_typed_right_before_a_page_is_left_is_saved_and_a_refused_save_is_tried_again() {
    let db = Database::sqlite();
    let Some((server, list, mut browser)) = open(&db, "what_is_typed_right_before", Setup::default()) else { return };
    let api = server.api();
    let id = begin(&mut browser, &server, list);
    wait_until("the audience is counted", LONG, || browser.text().contains("reached by email"));
    let stored = || api.get(&format!("/v1/campaigns/{id}"))["name"].clone();
    let typed = |name: &str| {
        format!(
            "const name = document.getElementById('name'); name.value = '{name}'; name.dispatchEvent(new Event('input', {{ bubbles: true }}));"
        )
    };
    // A tab of the campaign, chosen before the pause after which it is saved.
    browser.script(&format!("{} document.querySelector('nav.tabs a[href$=\"/preflight\"]').click()", typed("Tab")));
    wait_until("the other page is shown", LONG, || path(&browser) == format!("/ui/campaigns/{id}/preflight"));
    assert_eq!(stored(), "Tab");
    browser.go(&format!("http://{}/ui/campaigns/{id}/edit", server.addr), 200);
    wait_until("the audience is counted", LONG, || browser.text().contains("reached by email"));
    assert!(said(&browser).starts_with("Saved "), "{}", said(&browser));
    // A busy server: it is said, and tried again.
    let busy = "const real = window.fetch; let is_first = true; window.fetch = (...all) => { \
                const refuse = is_first && all[1]?.method === 'POST'; is_first = is_first && !refuse; \
                return refuse ? Promise.resolve(new Response('<main><p>Too many.</p></main>', { status: 429, headers: { 'Retry-After': '5' } })) : real(...all); };";
    browser.script(&format!("{busy} {}", typed("Busy")));
    wait_until("it is said", LONG, || said(&browser).starts_with("Not saved: Too many."));
    assert!(said(&browser).contains("it is tried again in 5 seconds"), "{}", said(&browser));
    wait_saved(&browser, || stored() == "Busy");
    // An answer that leads elsewhere says nothing: the same is asked for again, and done once.
    let elsewhere = "const before = window.fetch; window.asked = []; window.fetch = (...all) => { \
                     if (all[1]?.method !== 'POST') return before(...all); \
                     window.asked.push(all[1].body); if (window.asked.length > 1) return before(...all); \
                     const page = new Response('<main></main>'); Object.defineProperty(page, 'redirected', { value: true }); \
                     Object.defineProperty(page, 'url', { value: `${location.origin}/ui` }); return Promise.resolve(page); };";
    browser.script(&format!("{elsewhere} {}", typed("Elsewhere")));
    wait_until("it is said", LONG, || said(&browser).starts_with("Not saved: the server answered with another page."));
    wait_saved(&browser, || stored() == "Elsewhere");
    assert_eq!(browser.script("return window.asked[0] === window.asked[1]"), true);
    // Nobody is named, and somebody again.
    let list = "document.querySelector('#recipients [name=lists]').click()";
    browser.script(list);
    wait_until("it is said", LONG, || browser.text().contains("Nobody is named yet"));
    // A page that was left and is shown again keeps nothing that is saved.
    browser.script(&format!("{list}; dispatchEvent(new Event('pagehide'))"));
    let kept = || browser.script("return sessionStorage.getItem(`volley:composer ${location.pathname}`)");
    assert!(kept().is_string_and(|kept| kept.contains("lists") && !kept.contains("\"as_other\"")), "{}", kept());
    wait_until("the audience is counted", LONG, || browser.text().contains("reached by email"));
    wait_until("it is saved", LONG, || kept().is_null());
    // The page goes away, and only what outlives it is sent.
    let dying = "const whole = window.fetch; window.fetch = (...all) => (all[1]?.keepalive ? whole(...all) : new Promise(() => {}));";
    browser.script(&format!("{dying} {} dispatchEvent(new Event('pagehide'))", typed("Gone")));
    wait_until("it is saved", LONG, || stored() == "Gone");
}

#[test]
fn without_scripts_a_campaign_is_composed_by_its_buttons() {
    let db = Database::sqlite();
    let setup = Setup { scripts: false, width: 390, ..Setup::default() };
    let Some((server, list, mut browser)) = open(&db, "without_scripts_a_campaign_is_composed", setup) else { return };
    let api = server.api();
    let id = begin(&mut browser, &server, list);
    browser.script("document.getElementById('subject').value = 'Hello {first_name}'");
    browser.choose("Save draft", 422);
    assert!(
        browser.text().contains("Hello")
            || browser.script("return document.getElementById('subject').value") == "Hello {first_name}"
    );
    assert_eq!(
        browser.script("return document.getElementById('body_text-wrong') !== null"),
        true,
        "{}",
        browser.text()
    );
    browser.script("document.getElementById('body_text').value = 'Dear {first_name}'");
    browser.choose("Count", 200);
    assert!(browser.text().contains("20 people"), "{}", browser.text());
    browser.script("document.getElementById('as_other').value = 'person5@example.com'");
    browser.choose("Preview", 200);
    assert!(browser.text().contains("person5@example.com"), "{}", browser.text());
    assert_eq!(api.get(&format!("/v1/campaigns/{id}"))["subject"], "Hello {first_name}");
    assert_eq!(browser.overflow(), 0);
    browser.choose("Check", 200);
    assert_eq!(browser.script("return location.pathname"), format!("/ui/campaigns/{id}/preflight"));
}
