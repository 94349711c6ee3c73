//! The pages for operators, as a search finds them.

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KnownPage {
    /// What it is called.
    pub(super) title: &'static str,
    /// Its path.
    pub(super) page: &'static str,
    /// Where the same is for programs, if it is anywhere.
    pub(super) path: Option<&'static str>,
}

/// What a page is called, other words for it, its path, and where the same is for programs; empty: nowhere.
const PAGES: &[(&str, &str, &str, &str)] = &[
    ("Now", "overview dashboard start", "/ui", "/v1/overview"),
    ("Campaigns", "", "/ui/campaigns", "/v1/campaigns"),
    ("New campaign", "compose write send", "/ui/campaigns/new", ""),
    ("Contacts", "people recipients", "/ui/contacts", "/v1/contacts"),
    ("Lists", "topics audiences", "/ui/lists", "/v1/lists"),
    ("Imports", "csv upload file", "/ui/imports", "/v1/imports"),
    ("Segments", "rules audiences", "/ui/segments", "/v1/segments"),
    ("Suppressions", "unsubscribed bounces complaints blocked", "/ui/suppressions", "/v1/suppressions"),
    ("Templates", "texts contents versions previews", "/ui/templates", "/v1/templates"),
    ("New template", "write text", "/ui/templates/new", ""),
    ("Pools", "providers relays delivery", "/ui/pools", "/v1/pools"),
    ("Uncertain", "doubts incidents", "/ui/uncertain", "/v1/uncertain"),
    ("Instances", "machines system", "/ui/instances", "/v1/instances"),
    ("API keys", "access secrets", "/ui/api-keys", "/v1/keys"),
    ("Audit log", "history who did what", "/ui/audit", "/v1/audit-log"),
    ("Settings", "configuration", "/ui/settings", "/v1/settings"),
    ("Keyboard", "keys shortcuts", "/ui/keys", ""),
];

/// The pages whose name or other words begin with each word of a text, those with the name first. Only those that may be seen.
pub(super) fn fitting(text: &str, may: impl Fn(&str) -> bool) -> Vec<KnownPage> {
    let sought: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let fits = |words: &str| {
        let words = words.to_lowercase();
        sought.iter().all(|sought| words.split(' ').any(|word| word.starts_with(sought.as_str())))
    };
    let may_see = PAGES.iter().filter(|(.., page, _)| may(page));
    let (named, others): (Vec<_>, Vec<_>) = may_see
        // A single letter begins too many words.
        .filter(|(name, words, ..)| fits(name) || text.chars().count() > 1 && fits(&format!("{name} {words}")))
        .partition(|(name, ..)| fits(name));
    let known = |(title, _, page, path): &(&'static str, &'static str, &'static str, &'static str)| KnownPage {
        title,
        page,
        path: may(path).then_some(*path),
    };
    named.into_iter().chain(others).map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes::{TABLE, Verb};

    /// Pages without parameters that nobody looks for: a stream, the search itself, a form that a link fills in, signing in; a form
    /// that takes a file; a look at a file that is going to be imported; and a download.
    const NOT_SOUGHT: &[&str] = &[
        "/ui/live",
        "/ui/search",
        "/ui/suppressions/lift",
        "/ui/enter",
        "/ui/templates/new/files",
        "/ui/contacts/export",
        "/ui/imports/preview",
    ];

    #[test]
    fn every_page_without_parameters_is_found() {
        let pages = TABLE.iter().filter(|entry| {
            let is_page = entry.path == "/ui" || entry.path.starts_with("/ui/");
            is_page && entry.method == Verb::Get && !entry.path.contains('{')
        });
        for entry in pages {
            let is_known = PAGES.iter().any(|(.., page, _)| *page == entry.path);
            assert_ne!(is_known, NOT_SOUGHT.contains(&entry.path), "{}", entry.path);
        }
    }

    fn titles(text: &str) -> Vec<&'static str> {
        fitting(text, |path| path != "/ui/audit").into_iter().map(|page| page.title).collect()
    }

    #[test]
    fn a_page_is_found_by_its_name_or_another_word_for_it_if_it_may_be_seen() {
        assert_eq!(titles("POOL"), ["Pools"]);
        assert_eq!(titles("csv"), ["Imports"]);
        assert_eq!(titles("api k"), ["API keys"]);
        assert_eq!(titles("keys"), ["API keys", "Keyboard"]);
        assert_eq!(titles("dashboard"), ["Now"]);
        assert_eq!(titles("d"), Vec::<&str>::new());
        assert_eq!(titles("audit log"), Vec::<&str>::new());
        assert_eq!(titles("pools of water"), Vec::<&str>::new());
    }
}
