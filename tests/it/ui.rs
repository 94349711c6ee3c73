//! Pages in a real browser, as the people see them who get the messages, and as operators see theirs.

mod colours;
mod demo;
mod keyboard;
mod operators;
mod replicas;
mod walks;

use volley::domain::instant::UtcInstant;
use volley::http::public::words::{Language, Languages};

use crate::http::public::{Site, now};
use crate::support::browser::{Browser, Document};

const DAY_MS: i64 = 86_400_000;

fn days_ago(days: i64) -> UtcInstant {
    UtcInstant(now().0 - days * DAY_MS)
}

/// The words of a language.
fn language(tag: &str) -> Language {
    let language = Languages::load(None).unwrap().choose(Some(tag), None);
    assert_eq!(language.tag, tag);
    (*language).clone()
}

/// An address of the site.
fn url(site: &Site, path: &str) -> String {
    format!("http://{}{path}", site.server.addr)
}

/// Has Ann speak another language.
fn speak(site: &Site, locale: &str) {
    let path = format!("/v1/contacts/{}", site.ann);
    let body = format!("{{\"locale\":{locale}}}");
    let changed = site.server.send("PATCH", &path, &[("Content-Type", "application/json")], body.as_bytes());
    assert_eq!(changed.status, 200, "{changed:?}");
}

/// Gives the list that Ann is not on a title and a description that everybody may read.
fn describe(site: &Site, title: &str, description: &str) {
    let statement = "UPDATE lists SET public_title = '{title}', public_description = '{description}' WHERE id = {list}";
    let statement = statement.replace("{title}", title).replace("{description}", description);
    site.server.execute(statement.replace("{list}", &site.autumn.to_string()));
}

/// The page has the policy that the browser has kept to.
#[track_caller]
fn assert_policy(document: &Document) {
    let policy = document.headers.get("content-security-policy").map(String::as_str).unwrap_or_default();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{document:?}");
}

#[track_caller]
fn assert_heading(browser: &Browser, words: &str) {
    assert!(browser.find("heading", words).is_some(), "no heading {words:?}: {:?}", browser.nodes());
}
