//! What holds for every page: a walk over all of them, with a look at each.

use volley::http::public::words::Language;

use super::{assert_heading, assert_policy, days_ago, describe, language, speak, url};
use crate::http::public::{Site, now};
use crate::support::Database;
use crate::support::browser::{Browser, Setup};
use crate::support::webdriver::Key;

/// Goes by keyboard to every page that a person can come to, and has `look` look at each. Ann speaks `language`, the
/// browser `other`, in which it reads of pages that are about nobody.
fn every_page(
    browser: &mut Browser,
    site: &Site,
    (language, other): (&Language, &Language),
    look: &dyn Fn(&Browser, &Language),
) {
    let words = &language.words;
    let see = |browser: &Browser, language: &Language, heading: &str| {
        assert_heading(browser, heading);
        look(browser, language);
    };
    let go = |browser: &mut Browser, path: &str, status: u16| assert_policy(&browser.go(&url(site, path), status));
    let choose = |browser: &mut Browser, name: &str| assert_policy(&browser.choose(name, 200));

    go(browser, &site.no(), 200);
    see(browser, language, &words.unsubscribe_title);
    choose(browser, &words.unsubscribe_button);
    see(browser, language, &words.unsubscribed_title);

    go(browser, &site.preferences(), 200);
    see(browser, language, &words.preferences_title);
    browser.tab_to("checkbox", "Spring news");
    browser.press(Key::Space);
    choose(browser, &words.preferences_save);
    assert!(browser.text().contains(&words.preferences_saved), "{}", browser.text());
    see(browser, language, &words.preferences_title);
    choose(browser, &words.everything_button);
    see(browser, language, &words.unsubscribed_title);
    go(browser, &site.preferences(), 200);
    assert!(browser.text().contains(&words.preferences_refused), "{}", browser.text());
    see(browser, language, &words.preferences_title);
    go(browser, &site.preferences_from(days_ago(31)), 410);
    see(browser, language, &words.expired_title);
    choose(browser, &words.everything_button);
    see(browser, language, &words.unsubscribed_title);

    for (answer, title) in
        [(&words.confirm_button, &words.confirmed_title), (&words.confirm_refuse, &words.refused_title)]
    {
        go(browser, &site.confirm(site.autumn), 200);
        see(browser, language, &words.confirm_title);
        choose(browser, answer);
        see(browser, language, title);
    }
    go(browser, &site.confirm_from(site.autumn, "ann.miller@example.com", days_ago(8)), 410);
    see(browser, language, &words.expired_title);
    choose(browser, &words.confirm_refuse);
    see(browser, language, &words.refused_title);
    go(browser, &site.confirm_from(site.autumn, "ann@example.org", now()), 410);
    see(browser, language, &words.outdated_title);

    go(browser, "/u/preview", 404);
    see(browser, other, &other.words.missing_title);
}

#[test]
fn without_scripts_and_at_320_pixels_every_page_works_in_two_languages() {
    let setup = Setup { scripts: false, width: 320, ..Setup::default() };
    let english = language("en");
    for tag in ["en", "de"] {
        let Some(mut browser) = Browser::open("without_scripts_and_at_320_pixels", setup) else { return };
        let db = Database::sqlite();
        let site = Site::on(&db);
        speak(&site, &format!("\"{tag}\""));
        // What nobody breaks by hand.
        describe(&site, &"Donaudampfschifffahrt".repeat(4), &"https://example.com/".repeat(9));
        every_page(&mut browser, &site, (&language(tag), &english), &|browser, language| {
            assert_eq!(browser.overflow(), 0, "it scrolls sideways: {}", browser.text());
            assert_eq!(browser.script("return matchMedia('(scripting: none)').matches"), true);
            assert_eq!(browser.script("return document.documentElement.lang"), language.tag.as_str());
            let text = browser.text();
            assert!(!text.contains('{') && !text.contains('}'), "{text}");
        });
    }
}

#[test]
fn axe_finds_nothing_on_any_page_be_it_light_or_dark() {
    let Some(mut browser) = Browser::open("axe_finds_nothing_on_any_page", Setup::default()) else { return };
    let db = Database::sqlite();
    let site = Site::on(&db);
    describe(&site, "", "Once a year, in October.");
    let english = language("en");
    every_page(&mut browser, &site, (&english, &english), &|browser, _| {
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            assert_eq!(browser.axe(), Vec::<String>::new(), "{scheme}: {}", browser.text());
        }
    });
}

#[test]
fn the_key_tab_stops_in_the_order_of_the_page_and_each_stop_is_seen() {
    let Some(mut browser) = Browser::open("the_key_tab_stops_in_the_order", Setup::default()) else { return };
    let db = Database::sqlite();
    let site = Site::on(&db);
    let english = language("en");
    every_page(&mut browser, &site, (&english, &english), &|browser, _| {
        for stop in browser.stops() {
            browser.press(Key::Tab);
            let focused = browser.focused().unwrap_or_else(|| panic!("nothing has the focus instead of {stop:?}"));
            assert_eq!((&focused.role, &focused.name), (&stop.role, &stop.name));
            let [outline, width, colour, ground, smallest] =
                browser.script(SEEN).as_array().unwrap().clone().try_into().unwrap();
            assert!(
                outline != "none" && width.as_f64().unwrap() >= 2.0 && colour != ground,
                "{stop:?}: {outline} {width} {colour}"
            );
            assert!(smallest.as_f64().unwrap() >= 24.0, "{stop:?} is {smallest} pixels small");
        }
    });
}

/// The outline of what has the focus, the page's ground, and the shorter side of what has the focus.
const SEEN: &str =
    "const has = document.activeElement, style = getComputedStyle(has), box = has.getBoundingClientRect();
    return [style.outlineStyle, parseFloat(style.outlineWidth), style.outlineColor,
        getComputedStyle(document.documentElement).backgroundColor, Math.min(box.width, box.height)];";

#[test]
fn a_browser_that_asks_for_german_gets_it_where_the_contact_has_no_language() {
    let test = "a_browser_that_asks_for_german";
    let Some(mut browser) = Browser::open(test, Setup { language: "de-CH", ..Setup::default() }) else { return };
    let db = Database::sqlite();
    let site = Site::on(&db);
    let words = language("de").words;
    browser.go(&url(&site, &site.no()), 200);
    assert_heading(&browser, "Unsubscribe");
    speak(&site, "null");
    for (path, status, heading) in [
        (site.no(), 200, &words.unsubscribe_title),
        (site.preferences(), 200, &words.preferences_title),
        (site.confirm(site.autumn), 200, &words.confirm_title),
        ("/u/preview".to_owned(), 404, &words.missing_title),
    ] {
        browser.go(&url(&site, &path), status);
        assert_heading(&browser, heading);
        assert_eq!(browser.script("return document.documentElement.lang"), "de");
    }
}

#[test]
fn these_tests_notice_a_violated_policy_and_a_request_to_elsewhere() {
    let Some(mut browser) = Browser::open("these_tests_notice_a_violated_policy", Setup::default()) else { return };
    let db = Database::sqlite();
    let (site, elsewhere) = (Site::on(&db), Site::on(&Database::sqlite()));
    browser.go(&url(&site, &site.no()), 200);
    assert_eq!(browser.take_complaints(), Vec::<String>::new());
    browser.script("document.body.setAttribute('style', 'color: red')");
    let complaints = browser.take_complaints();
    assert!(complaints.iter().any(|complaint| complaint.contains("Content Security Policy")), "{complaints:?}");
    browser.script("document.querySelector('h1').outerHTML = '<p tabindex=\"5\"><img src=\"data:,\">low</p>'");
    assert!(!browser.axe().is_empty(), "axe finds what is wrong");
    browser.script("document.querySelector('main').style.minWidth = '3000px'");
    assert!(browser.overflow() > 0, "a page that scrolls sideways is noticed");
    browser.take_complaints();
    browser.go(&url(&elsewhere, &elsewhere.no()), 200);
    let complaints = browser.take_complaints();
    assert!(complaints.iter().any(|complaint| complaint.contains("a request to elsewhere")), "{complaints:?}");
}
