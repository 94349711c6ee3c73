//! How the busiest pages look to people who set their own colours, or see everything at twice the size.

use std::collections::{BTreeMap, BTreeSet};

use super::{Desk, path};
use crate::support::Database;
use crate::support::browser::Setup;

/// The pages on which operators spend their time.
fn busiest(desk: &Desk) -> Vec<String> {
    let of_campaign =
        ["", "/people", "/decisions", "/preflight", "/pause"].map(|part| format!("{}{part}", desk.page()));
    let others = ["/ui", "/ui/campaigns", "/ui/uncertain"].map(|path| desk.url(path));
    others.into_iter().chain(of_campaign).collect()
}

#[test]
fn the_busiest_pages_are_whole_in_colours_of_ones_own() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "the_busiest_pages_in_colours_of_ones_own", Setup::default())
    else {
        return;
    };
    desk.enter(&mut browser);
    browser.force_colours();
    for url in busiest(&desk) {
        browser.go(&url, 200);
        assert_eq!(browser.script("return matchMedia('(forced-colors: active)').matches"), true);
        assert_eq!(browser.axe(), Vec::<String>::new(), "{url}: {}", browser.text());
    }
    browser.go(&desk.page(), 200);
    let shown = browser.script(SHOWN);
    let looks: BTreeMap<String, String> = serde_json::from_value(shown).unwrap();
    assert!(looks.contains_key("sent") && looks.contains_key("pending"), "{looks:?}");
    let different: BTreeSet<&String> = looks.values().collect();
    assert_eq!(different.len(), looks.len(), "two states look alike: {looks:?}");
}

/// What each state of the bar looks like: its fill, its edge, and what lies over it.
const SHOWN: &str = "const looks = {};
    for (const part of document.querySelectorAll('svg.bar .part')) {
        const style = getComputedStyle(part.querySelector('.fill')), over = part.querySelector('.over, .notch');
        looks[part.classList[1]] = [style.fill, style.stroke, over ? over.getAttribute('fill') || 'notch' : ''].join(' ');
    }
    return looks;";

#[test]
fn the_busiest_pages_are_whole_at_twice_the_size() {
    let db = Database::sqlite();
    let Some((desk, mut browser)) = Desk::open(&db, "the_busiest_pages_at_twice_the_size", Setup::default()) else {
        return;
    };
    desk.enter(&mut browser);
    browser.zoom(1_280, 2);
    for url in busiest(&desk) {
        browser.go(&url, 200);
        assert_eq!(browser.script("return [innerWidth, devicePixelRatio]"), serde_json::json!([640, 2]));
        assert_eq!(browser.axe(), Vec::<String>::new(), "{url}: {}", browser.text());
        assert_eq!(browser.overflow(), 0, "{url} scrolls sideways: {}", browser.text());
    }
    assert!(path(&browser).ends_with("/pause"));
}
