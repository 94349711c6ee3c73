//! Answers that come late, in another order, or not at all, and a browser that has no room: nothing typed is lost, and nothing is done twice.

use serde_json::json;

use super::{Desk, LONG, path};
use crate::support::Database;
use crate::support::browser::{Browser, Setup};
use crate::support::server::ROOT_KEY;
use crate::support::waiting::{stays, wait_until};
use crate::support::webdriver::Key;

/// Types into a field, as a person does it: with an event.
fn fill(browser: &Browser, id: &str, value: &str) {
    browser.script(&format!(
        "const field = document.getElementById('{id}'); field.value = `{value}`;
         field.dispatchEvent(new Event('input', {{ bubbles: true }}));"
    ));
}

/// What the composer says of saving.
fn said(browser: &Browser) -> String {
    browser.script("return document.getElementById('saved')?.innerText ?? ''").as_str().unwrap_or_default().to_owned()
}

/// Signs in with a key of its own, and gives the path of that key.
fn enter_with_own_key(desk: &Desk, browser: &mut Browser) -> String {
    let key = desk.server.api().post("/v1/keys", &json!({ "name": "operators", "scope": "operate" }));
    browser.go(&desk.url("/ui/enter"), 200);
    browser.script(&format!("document.getElementById('key').value = {}", key["secret"]));
    browser.choose("Sign in", 200);
    format!("/v1/keys/{}", key["id"])
}

/// Uses up all the room that a tab has for what it keeps.
const FILL_UP: &str = "let size = 1 << 20, n = 0;
    while (size >= 1) { try { sessionStorage.setItem(`other ${n}`, 'x'.repeat(size)); n += 1; } catch { size >>= 1; } }";

#[test]
fn a_look_that_comes_late_does_not_take_the_place_of_a_newer_one() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "a_look_that_comes_late", Setup::default()) else { return };
    let list = desk.server.api().create_list("Late");
    let ids: Vec<i64> = (1..=3).collect();
    desk.server.api().post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": ids }));
    let content = json!({ "name": "Late", "subject": "For {first_name}", "body_text": "Dear {first_name}" });
    let draft = desk.server.api().create_campaign("email", "main", list, &content);
    desk.enter(&mut browser);
    browser.go(&desk.url(&format!("/ui/campaigns/{draft}/edit")), 200);
    let shown = "return document.querySelector('#preview .hint a')?.getAttribute('href') ?? ''";
    wait_until("somebody is shown", LONG, || browser.script(shown).as_str().is_some_and(|to| !to.is_empty()));
    // The answer to the first choice is held back until the second one is shown.
    let chosen = browser.script(
        "const before = window.fetch, as = document.getElementById('as');
         const others = [...as.options].map((option) => option.value).filter((value) => value && value !== as.value);
         window.fetch = async (...all) => {
             const answer = await before(...all);
             if (!String(all[0]).includes(`as=${others[0]}`)) return answer;
             const text = await answer.text();
             await new Promise((go) => { window.letGo = go; });
             window.isThrough = true;
             return new Response(text, { status: 200 });
         };
         as.value = others[0];
         as.dispatchEvent(new Event('change', { bubbles: true }));
         return others;",
    );
    wait_until("the first answer is there", LONG, || browser.script("return 'letGo' in window") == true);
    let second = chosen[1].as_str().unwrap();
    browser.script(&format!(
        "const as = document.getElementById('as'); as.value = '{second}'; as.dispatchEvent(new Event('change', {{ bubbles: true }}))"
    ));
    let is_second = || browser.script(shown) == format!("/ui/contacts/{second}");
    wait_until("the second one is shown", LONG, is_second);
    browser.script("window.letGo()");
    wait_until("the first answer has come", LONG, || browser.script("return window.isThrough") == true);
    stays("the second one is shown", std::time::Duration::from_millis(500), is_second);
}

#[test]
fn a_save_that_is_done_and_answered_with_an_error_is_neither_lost_nor_a_conflict() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "a_save_that_is_done_and_answered", Setup::default()) else {
        return;
    };
    desk.enter(&mut browser);
    browser.go(&desk.url(&format!("/ui/campaigns/{}/edit", desk.draft)), 200);
    browser.script(
        "const before = window.fetch; window.asked = [];
         window.fetch = async (...all) => {
             const answer = await before(...all);
             if (all[1]?.method !== 'POST') return answer;
             window.asked.push(new URLSearchParams(all[1].body));
             return window.asked.length > 1 ? answer : new Response('<main><p>It broke.</p></main>', { status: 500 });
         };",
    );
    fill(&browser, "name", "Done");
    wait_until("it is said", LONG, || said(&browser).starts_with("Not saved: It broke."));
    let stored = || desk.server.api().get(&format!("/v1/campaigns/{}", desk.draft))["name"].clone();
    assert_eq!(stored(), "Done");
    fill(&browser, "name", "Typed since");
    wait_until("what was typed since is saved", LONG, || {
        assert!(!said(&browser).contains("has changed since"), "{}", said(&browser));
        stored() == "Typed since" && said(&browser).starts_with("Saved ")
    });
    let asked = browser.script(
        "return [window.asked[0].get('name') === window.asked[1].get('name'), \
         window.asked[0].get('idempotency_key') === window.asked[1].get('idempotency_key')]",
    );
    assert_eq!(asked, json!([true, false]), "the same is asked for again, under another key");
}

#[test]
fn a_draft_stays_on_its_page_when_the_session_ends_and_the_browser_has_no_room_for_it() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "a_draft_stays_on_its_page", Setup::default()) else { return };
    let key = enter_with_own_key(&desk, &mut browser);
    let edit = format!("/ui/campaigns/{}/edit", desk.draft);
    browser.go(&desk.url(&edit), 200);
    browser.script(FILL_UP);
    browser.script("window.answer = window.fetch; window.fetch = () => Promise.reject(new TypeError('away'))");
    fill(&browser, "name", &format!("Typed {}", "x".repeat(64)));
    wait_until("it is said", LONG, || said(&browser).contains("the server does not answer"));
    assert_eq!(desk.server.send("DELETE", &key, &[], b"").status, 200);
    wait_until("it is said that there is no room", LONG, || {
        said(&browser).contains("has no room to keep what you typed")
    });
    let typed = "return document.getElementById('name').value";
    assert_eq!(path(&browser), edit);
    assert!(browser.script(typed).as_str().unwrap().starts_with("Typed xxx"));
    assert_eq!(browser.axe(), Vec::<String>::new());
    // Another tab signs in, and it is saved from here.
    browser.script(&format!(
        "window.fetch = window.answer; sessionStorage.clear();
         fetch('/ui/enter', {{ method: 'POST', body: new URLSearchParams({{ key: '{ROOT_KEY}' }}) }}).then(() => {{ window.isIn = true; }});"
    ));
    wait_until("the other tab has signed in", LONG, || browser.script("return window.isIn") == true);
    browser.press(Key::Ctrl('s'));
    let stored = || desk.server.api().get(&format!("/v1/campaigns/{}", desk.draft))["name"].clone();
    wait_until("it is saved", LONG, || stored().as_str().unwrap().starts_with("Typed xxx"));
}

#[test]
fn a_form_stays_when_the_session_ends_and_the_browser_has_no_room_for_what_was_typed() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "a_form_stays_when_the_session_ends", Setup::default()) else {
        return;
    };
    let key = enter_with_own_key(&desk, &mut browser);
    browser.go(&desk.url("/ui/templates/1/edit"), 200);
    browser.script(FILL_UP);
    fill(&browser, "text", "typed words");
    assert_eq!(desk.server.send("DELETE", &key, &[], b"").status, 200);
    wait_until("it is said that there is no room", LONG, || {
        browser.text().contains("has no room to keep what you typed")
    });
    assert_eq!(path(&browser), "/ui/templates/1/edit");
    assert_eq!(browser.script("return document.getElementById('text').value"), "typed words");
    assert_eq!(browser.axe(), Vec::<String>::new());
}
