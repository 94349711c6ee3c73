//! What an email has beside its words, from the form to the mail.

use base64::Engine as _;

use super::{Desk, LONG, path};
use crate::support::Database;
use crate::support::browser::{Browser, Setup};
use crate::support::people;
use crate::support::provider::{POOL, Provider};
use crate::support::volley::{ROOT_KEY, Volley};
use crate::support::waiting::wait_until;

/// Types into a field, as a person does it: with an event.
fn fill(browser: &Browser, id: &str, value: &str) {
    browser.script(&format!(
        "const field = document.getElementById('{id}'); field.value = `{value}`;
         field.dispatchEvent(new Event('input', {{ bubbles: true }}));"
    ));
}

/// Chooses a file of the reader's disk.
fn choose_file(browser: &Browser, name: &str, bytes: &str) {
    browser.script(&format!(
        "const chosen = new DataTransfer();
         chosen.items.add(new File(['{bytes}'], '{name}', {{ type: 'application/pdf' }}));
         const field = document.getElementById('upload');
         field.files = chosen.files;
         field.dispatchEvent(new Event('change', {{ bubbles: true }}));"
    ));
}

#[test]
fn a_reply_to_a_header_and_a_file_that_are_composed_come_with_the_mail() {
    let db = Database::sqlite();
    let Some(mut browser) = Browser::open("a_reply_to_a_header_and_a_file", Setup::default()) else { return };
    let provider = Provider::smtp((0, 2));
    let volley = Volley::on(&db).pool(provider.pool()).start();
    let api = volley.api();
    let list = api.a_list_of(3);
    let content =
        serde_json::json!({ "name": "Spring", "category": "transactional", "subject": "Hi", "body_text": "Dear you" });
    let campaign = api.create_campaign("email", POOL, list, &content);
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", volley.port());
    browser.go(&url("/ui/enter"), 200);
    browser.script(&format!("document.getElementById('key').value = '{ROOT_KEY}'"));
    browser.choose("Sign in", 200);
    browser.go(&url(&format!("/ui/campaigns/{campaign}/edit")), 200);
    browser.script("document.getElementById('beside-words').open = true; window.isKept = true");
    fill(&browser, "reply_to", "Help <help@example.com>");
    fill(&browser, "headers", "X-Campaign: {first_name|spring}");
    let stored = || api.get(&format!("/v1/campaigns/{campaign}"));
    wait_until("both are saved", LONG, || stored()["reply_to"].is_string() && stored()["headers"].is_object());
    // A file that is chosen is brought at once, and stands in the form, which is not loaded anew.
    choose_file(&browser, "prices.pdf", "what everything costs");
    wait_until("the file stands in the form", LONG, || browser.text().contains("application/pdf · 21 bytes"));
    assert_eq!(
        browser.script("return [window.isKept, document.getElementById('upload').value]"),
        serde_json::json!([true, ""])
    );
    wait_until("the preview has it", LONG, || browser.text().contains("prices.pdf · 21 bytes"));
    // A second one, which is shown in the HTML, and is removed again.
    choose_file(&browser, "other.pdf", "another one");
    wait_until("it stands there too", LONG, || browser.text().contains("application/pdf · 11 bytes"));
    browser.expect(422);
    fill(&browser, "attachments-1", "a b");
    wait_until("its name is refused where it stands", LONG, || {
        browser
            .script("return document.getElementById('attachments-1-wrong')?.textContent ?? ''")
            .as_str()
            .unwrap()
            .starts_with("must have")
    });
    browser.script("document.activeElement.blur()");
    fill(&browser, "attachments-1", "other");
    wait_until("its name is saved", LONG, || stored()["attachments"][1]["content_id"] == "other");
    assert_eq!(browser.axe(), Vec::<String>::new());
    browser.script("document.getElementById('gone-1').click()");
    wait_until("it is gone", LONG, || !browser.text().contains("application/pdf · 11 bytes"));
    assert_eq!(stored()["attachments"].as_array().unwrap().len(), 1);
    browser.choose("Check", 200);
    assert_eq!(path(&browser), format!("/ui/campaigns/{campaign}/preflight"));
    browser.choose("Check", 200);
    assert!(browser.text().contains("1 file, 21 bytes"), "{}", browser.text());
    fill(&browser, "name", "Spring");
    browser.choose("Send 3 messages", 200);
    api.wait_ended(campaign, LONG);
    for n in 1..=3 {
        let mail = provider.ledger().message_to(&people::address(n));
        assert!(mail.contains("\r\nReply-To: Help <help@example.com>\r\n"), "{mail}");
        assert!(mail.contains("\r\nX-Campaign: First"), "{mail}");
        let (_, part) = mail.split_once("filename=\"prices.pdf\"\r\n\r\n").unwrap_or_else(|| panic!("{mail}"));
        let body = part.split("\r\n--").next().unwrap().replace("\r\n", "");
        assert_eq!(base64::engine::general_purpose::STANDARD.decode(body).unwrap(), b"what everything costs");
        assert!(!mail.contains("other.pdf"), "{mail}");
    }
    drop(browser);
    volley.stop();
}

#[test]
fn without_scripts_a_file_is_brought_to_a_campaign_and_to_a_template() {
    let db = Database::sqlite();
    let setup = Setup { scripts: false, width: 320, ..Setup::default() };
    let Some((desk, mut browser)) = Desk::open(&db, "without_scripts_a_file_is_brought", setup) else { return };
    let (_, code) = desk.server.one_time_path.split_once('#').unwrap();
    browser.go(&desk.url("/ui/enter"), 200);
    browser.script(&format!("document.getElementById('code').value = '{code}'"));
    browser.choose("Use the code", 200);
    browser.go(&desk.url(&format!("/ui/campaigns/{}/edit", desk.draft)), 200);
    browser.script("document.getElementById('beside-words').open = true");
    fill(&browser, "reply_to", "help@example.com");
    choose_file(&browser, "prices.pdf", "what everything costs");
    browser.choose("Upload", 200);
    assert_eq!(path(&browser), format!("/ui/campaigns/{}/edit", desk.draft));
    assert!(browser.text().contains("application/pdf · 21 bytes"), "{}", browser.text());
    assert_eq!(browser.overflow(), 0);
    let stored = desk.server.api().get(&format!("/v1/campaigns/{}", desk.draft));
    assert_eq!((&stored["reply_to"], stored["attachments"].as_array().unwrap().len()), (&"help@example.com".into(), 1));
    // What is chosen and not uploaded is not left out in silence.
    choose_file(&browser, "forgotten.pdf", "lost");
    browser.choose("Save draft", 422);
    assert!(browser.text().contains("“forgotten.pdf” is chosen and not uploaded yet"), "{}", browser.text());
    browser.go(&desk.url("/ui/templates/1/edit"), 200);
    fill(&browser, "headers", "X-A: 1");
    browser.script("document.getElementById('text').value = 'typed'");
    choose_file(&browser, "prices.pdf", "what everything costs");
    browser.choose("Upload", 200);
    assert!(browser.text().contains("“prices.pdf” is uploaded, and stands below."), "{}", browser.text());
    assert_eq!(browser.script("return document.getElementById('text').value"), "typed");
    assert_eq!(browser.overflow(), 0);
    browser.choose("Save as a new version", 200);
    let stored = desk.server.api().get("/v1/templates/1");
    assert_eq!((&stored["headers"]["X-A"], stored["attachments"].as_array().unwrap().len()), (&"1".into(), 1));
}
