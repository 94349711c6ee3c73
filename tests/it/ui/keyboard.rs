//! Saying yes and no with a keyboard and what a screen reader has.

use super::{assert_heading, assert_policy, describe, language, url};
use crate::http::public::{Site, books, standing};
use crate::support::browser::{Browser, Setup};
use crate::support::waiting::wait_until;
use crate::support::webdriver::Key;
use crate::support::{Database, both_backends};

const LONG: std::time::Duration = std::time::Duration::from_secs(60);

both_backends! {
    fn a_refusal_by_keyboard_is_in_the_database_and_the_page_says_so(db: &Database) {
        let Some(mut browser) = Browser::open(module_path!(), Setup::default()) else { return };
        let site = Site::on(db);
        let before = books(db);
        assert_policy(&browser.go(&url(&site, &site.no()), 200));
        assert_heading(&browser, "Unsubscribe");
        let asked = browser.text();
        assert!(asked.contains("no more messages about “Spring news”") && asked.contains("a…@example.com"), "{asked}");
        assert_eq!(books(db), before, "to look changes nothing");
        assert_policy(&browser.choose("Unsubscribe", 200));
        assert_heading(&browser, "You are unsubscribed");
        let said = browser.text();
        assert!(said.contains("You get no more messages about “Spring news”."), "{said}");
        assert_eq!(standing(db, site.spring, site.ann), "unsubscribed");
        assert_eq!(db.number("SELECT count(*) AS n FROM consent_log WHERE source = 'page'"), 1);
    }

    fn the_preferences_are_chosen_and_saved_by_keyboard(db: &Database) {
        let Some(mut browser) = Browser::open(module_path!(), Setup::default()) else { return };
        let site = Site::on(db);
        describe(&site, "Autumn letter", "Once a year.");
        browser.go(&url(&site, &site.preferences()), 200);
        assert_heading(&browser, "What you receive");
        assert!(browser.find("group", "Topics").is_some(), "{:?}", browser.nodes());
        let checkbox = |browser: &Browser, name: &str| browser.find("checkbox", name).unwrap_or_else(|| panic!("no {name}"));
        let (spring, autumn) = (checkbox(&browser, "Spring news"), checkbox(&browser, "Autumn letter"));
        assert!(spring.checked && !autumn.checked, "{spring:?} {autumn:?}");
        assert_eq!(autumn.description, "Once a year.");
        assert_eq!(browser.find("checkbox", "Private matters"), None);
        for name in ["Spring news", "Autumn letter"] {
            browser.tab_to("checkbox", name);
            browser.press(Key::Space);
        }
        assert_eq!(standing(db, site.spring, site.ann), "subscribed", "nothing is stored before it is saved");
        browser.choose("Save", 200);
        assert!(browser.find("status", "").is_some(), "a screen reader hears that it is saved: {:?}", browser.nodes());
        assert!(browser.text().contains("Your choice is saved."), "{}", browser.text());
        assert!(!checkbox(&browser, "Spring news").checked && checkbox(&browser, "Autumn letter").checked);
        let stands = || (standing(db, site.spring, site.ann), standing(db, site.autumn, site.ann));
        assert_eq!(stands(), ("unsubscribed".to_owned(), "subscribed".to_owned()));
        browser.choose("Unsubscribe from everything", 200);
        assert_heading(&browser, "You are unsubscribed");
        assert!(browser.text().contains("You get no more messages from us."), "{}", browser.text());
        assert_eq!(stands(), ("unsubscribed".to_owned(), "unsubscribed".to_owned()));
    }

    fn a_confirmation_names_list_and_address_and_is_given_or_refused_by_keyboard(db: &Database) {
        let Some(mut browser) = Browser::open(module_path!(), Setup::default()) else { return };
        let site = Site::on(db);
        let question = "Do you want to receive Autumn news at ann.miller@example.com?";
        browser.go(&url(&site, &site.confirm(site.autumn)), 200);
        assert_heading(&browser, "Confirm your subscription");
        assert!(browser.text().contains(question), "{}", browser.text());
        assert_eq!(standing(db, site.autumn, site.ann), "none");
        browser.choose("Yes, I want to receive it", 200);
        assert_heading(&browser, "You are subscribed");
        assert!(browser.text().contains("You receive Autumn news at ann.miller@example.com."), "{}", browser.text());
        assert_eq!(standing(db, site.autumn, site.ann), "subscribed");
        browser.go(&url(&site, &site.confirm(site.autumn)), 200);
        browser.choose("No, do not write to me about it", 200);
        assert_heading(&browser, "We will not write to you about it");
        assert_eq!(standing(db, site.autumn, site.ann), "unsubscribed");
    }
}

#[test]
fn while_the_database_is_away_the_pages_say_so_and_take_a_refusal() {
    let test = "while_the_database_is_away_the_pages_say_so";
    let Some(db) = Database::own_postgres(test) else { return };
    let Some(mut browser) = Browser::open(test, Setup { language: "de", ..Setup::default() }) else { return };
    let site = Site::on(&db);
    let words = language("de").words;
    let (no, preferences) = (url(&site, &site.no()), url(&site, &site.preferences()));
    browser.go(&preferences, 200);
    db.server().stop_immediately();
    browser.go(&preferences, 503);
    assert_heading(&browser, &words.away_title);
    assert!(browser.text().contains(&words.away_text), "{}", browser.text());
    assert_eq!(browser.axe(), Vec::<String>::new());
    browser.go(&no, 200);
    browser.choose(&words.unsubscribe_button, 200);
    assert_heading(&browser, &words.unsubscribed_title);
    assert!(browser.text().contains(&words.unsubscribed_soon), "{}", browser.text());
    db.server().start_again();
    let refused = "SELECT count(*) AS n FROM list_members WHERE status = 'unsubscribed'";
    wait_until("the refusal is stored", LONG, || db.number(refused) == 1);
}
