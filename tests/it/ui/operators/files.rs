//! What is brought from a person's own disk.

use super::{Desk, LONG, path};
use crate::support::Database;
use crate::support::browser::{Browser, Setup};
use crate::support::waiting::wait_until;
use crate::support::webdriver::Key;
use crate::ui::assert_heading;

/// Chooses a file of so many rows, of which the second one is bad.
fn choose_file(browser: &Browser, rows: usize) {
    browser.script(&format!(
        "const rows = Array.from({{ length: {rows} }}, (_, n) => n === 1 ? 'nobody,Ben' : `own${{n}}@example.com,Ann`);
         const file = new File([['email,first_name', ...rows, ''].join('\\n')], 'people.csv', {{ type: 'text/csv' }});
         const chosen = new DataTransfer();
         chosen.items.add(file);
         const field = document.getElementById('file');
         field.files = chosen.files;
         field.dispatchEvent(new Event('change', {{ bubbles: true }}));"
    ));
}

#[test]
fn an_own_file_is_uploaded_watched_to_its_end_and_its_bad_row_is_explained() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "an_own_file_is_uploaded", Setup::default()) else { return };
    desk.enter(&mut browser);
    browser.go(&desk.url("/ui/imports"), 200);
    browser.script("document.getElementById('new_list').value = 'Winter guests'");
    choose_file(&browser, 20_000);
    browser.choose("Import", 200);
    assert!(path(&browser).starts_with("/ui/imports/"), "{}", path(&browser));
    browser.script("window.isKept = true");
    let done = "Done: 19,999 of 20,000 rows taken, and 1 row was rejected.";
    wait_until("the import ends", LONG, || browser.text().contains(done));
    assert_eq!(browser.script("return window.isKept"), true, "the page became so without being loaded again");
    assert!(browser.text().contains("email_invalid"), "{}", browser.text());
    let row = "return [...document.querySelectorAll('#rejected tbody tr > *')].map((cell) => cell.textContent)";
    let row = browser.script(row);
    assert_eq!((&row[0], &row[1]), (&serde_json::json!("3"), &serde_json::json!("email")), "{row}");
    assert_eq!(browser.axe(), Vec::<String>::new(), "{}", browser.text());
    browser.follow("Open the list", 200);
    assert_heading(&browser, "Winter guests");
    assert!(browser.text().contains("19,999"), "{}", browser.text());
}

/// Chooses a file as Excel writes it where Windows speaks German: semicolons, and no UTF-8.
fn choose_excel_file(browser: &Browser) {
    browser.script(
        "const text = 'E-Mail;Vorname;Kunde;Ort\\r\\nann@example.com;J\u{fc}rgen;7;K\u{f6}ln\\r\\na@;Bad;8;\\r\\n';
         const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
         const chosen = new DataTransfer();
         chosen.items.add(new File([bytes], 'kunden.csv', { type: 'text/csv' }));
         const field = document.getElementById('file');
         field.files = chosen.files;
         field.dispatchEvent(new Event('change', { bubbles: true }));",
    );
}

#[test]
fn a_file_is_looked_at_in_place_a_column_is_corrected_and_it_is_imported() {
    let db = Database::sqlite();
    let setup = Setup { width: 320, ..Setup::default() };
    let Some((desk, mut browser)) = Desk::open(&db, "a_file_is_looked_at_in_place", setup) else { return };
    desk.enter(&mut browser);
    browser.go(&desk.url("/ui/imports"), 200);
    browser.script("window.isKept = true; document.getElementById('new_list').value = 'Kunden'");
    choose_excel_file(&browser);
    browser.tab_to("button", "Look first");
    browser.press(Key::Enter);
    wait_until("the file was looked at", LONG, || browser.text().contains("read as windows-1252"));
    assert_eq!(browser.script("return document.activeElement.id"), "look-title", "the keyboard is at what was found");
    assert!(browser.text().contains("attribute kunde") && browser.text().contains("K\u{f6}ln"), "{}", browser.text());
    assert_eq!(browser.axe(), Vec::<String>::new(), "{}", browser.text());
    assert_eq!(browser.overflow(), 0, "{}", browser.text());
    browser.tab_to("combobox", "What Kunde becomes");
    browser.script("document.activeElement.value = 'Kunde:external_id'");
    browser.tab_to("button", "Look again");
    browser.press(Key::Enter);
    wait_until("the file was looked at again", LONG, || browser.text().contains("as you have said"));
    assert_eq!(
        browser.script("return [window.isKept, document.getElementById('file').files.length]"),
        serde_json::json!([true, 1])
    );
    let lists = desk.server.api().get("/v1/lists")["data"].to_string();
    assert!(!lists.contains("Kunden"), "nothing is stored yet: {lists}");
    browser.choose("Import", 200);
    wait_until("the import ends", LONG, || browser.text().contains("Done: 2 rows were taken."));
    let ann = &desk.server.api().get("/v1/contacts?search=ann%40example.com")["data"][0];
    assert_eq!((&ann["external_id"], &ann["first_name"]), (&"7".into(), &"J\u{fc}rgen".into()), "{ann}");
    assert_eq!(ann["attributes"]["ort"], "K\u{f6}ln");
}

#[test]
fn without_scripts_a_file_is_looked_at_and_chosen_again() {
    let setup = Setup { scripts: false, width: 1_280, ..Setup::default() };
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "without_scripts_a_file_is_looked_at", setup) else { return };
    let (_, code) = desk.server.one_time_path.split_once('#').unwrap();
    browser.go(&desk.url("/ui/enter"), 200);
    browser.script(&format!("document.getElementById('code').value = '{code}'"));
    browser.choose("Use the code", 200);
    browser.go(&desk.url("/ui/imports"), 200);
    choose_excel_file(&browser);
    browser.choose("Look first", 200);
    assert!(
        browser.text().contains("choose it again") && browser.text().contains("read as windows-1252"),
        "{}",
        browser.text()
    );
    assert_eq!(browser.overflow(), 0);
    browser.script("document.querySelector('select[aria-label=\"What Kunde becomes\"]').value = 'Kunde:external_id'");
    choose_excel_file(&browser);
    browser.choose("Import", 200);
    wait_until("the import ends", LONG, || {
        browser.go(&desk.url(&path(&browser)), 200);
        browser.text().contains("Done: 2 rows were taken.")
    });
    let ann = &desk.server.api().get("/v1/contacts?search=ann%40example.com")["data"][0];
    assert_eq!(ann["external_id"], "7", "{ann}");
}

#[test]
fn without_scripts_a_file_is_imported_and_a_bad_one_is_refused_at_its_field() {
    let setup = Setup { scripts: false, width: 390, ..Setup::default() };
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "without_scripts_a_file_is_imported", setup) else { return };
    let (_, code) = desk.server.one_time_path.split_once('#').unwrap();
    browser.go(&desk.url("/ui/enter"), 200);
    browser.script(&format!("document.getElementById('code').value = '{code}'"));
    browser.choose("Use the code", 200);
    browser.go(&desk.url("/ui/imports"), 200);
    browser.script(
        "const chosen = new DataTransfer();
         chosen.items.add(new File(['name\\nAnn\\n'], 'names.csv'));
         document.getElementById('file').files = chosen.files;",
    );
    browser.choose("Import", 422);
    assert!(browser.text().contains("the file needs a column email, phone or external_id"), "{}", browser.text());
    assert_eq!(browser.overflow(), 0);
    choose_file(&browser, 3);
    browser.choose("Import", 200);
    wait_until("the import ends", LONG, || {
        browser.go(&desk.url(&path(&browser)), 200);
        browser.text().contains("Done: 2 of 3 rows taken")
    });
}

#[test]
fn a_template_is_previewed_while_it_is_written_and_its_html_runs_and_loads_nothing() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "a_template_is_previewed", Setup::default()) else { return };
    desk.enter(&mut browser);
    browser.go(&desk.url("/ui/templates/1/edit"), 200);
    let shown = "return document.querySelector('iframe.preview').contentDocument?.body?.innerText ?? ''";
    let shows = |browser: &Browser, part: &str| browser.script(shown).as_str().unwrap_or_default().contains(part);
    wait_until("the stored version is shown", LONG, || shows(&browser, "Ann, spring is here"));
    let html = "<p onclick=1>Hi</p><script>parent.document.title = 'taken'</script><img src=http://127.0.0.2:1/x.png>";
    browser.script(&format!(
        "document.getElementById('text').value = 'Only for {{first_name}}'; document.getElementById('html').value = {html:?};
         document.getElementById('contact_id').value = '1'"
    ));
    // Enter shows it, and saves nothing.
    browser.tab_to("textbox", "Id of a contact; empty for an example");
    browser.press(Key::Enter);
    wait_until("what is typed is shown", LONG, || shows(&browser, "With the values of this contact"));
    let mail = "const mail = document.querySelector('iframe.preview').contentDocument.querySelector('iframe.mail');
                return [mail.srcdoc.includes('<script>'), mail.contentDocument === null]";
    assert_eq!(browser.script(mail), serde_json::json!([true, true]), "the HTML is nobody's origin");
    assert!(browser.script("return document.title").as_str().unwrap().starts_with("Edit "), "no script of it ran");
    // That nothing was asked for elsewhere, the browser looks at when it is closed.
    assert_eq!(desk.server.api().get("/v1/templates/1")["version"], 2, "a preview stores nothing");
    browser.script("document.getElementById('html').value = ''");
    browser.choose("Save as a new version", 200);
    assert_heading(&browser, "Spring greeting");
    assert_eq!(desk.server.api().get("/v1/templates/1")["body_text"], "Only for {first_name}");
}
