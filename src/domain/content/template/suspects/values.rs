//! The name of a field as a whole value in the query of an address, in any signs: `?e=EMAIL`, `?e=~email~`, `?n=(first_name)`.

use super::bare::{is_spelled_as_field, is_value_in_capitals};
use super::meaning::{meaning, names_a_kind_of_value};
use super::{Found, Reader};

/// What stands around words that somebody looks for.
const QUOTES: &str = "\"'`";

/// The most signs before a name.
const MOST_SIGNS: usize = 4;

/// The class of an element whose text Eloqua puts a field in the place of.
const OF_ELOQUA: &[&str] = &["=\"eloquaemail\"", "=eloquaemail"];

/// The value that follows an equals sign at this byte.
pub(super) fn find(reader: &Reader<'_, '_>, at: usize) -> Option<Found> {
    if let Some(class) = OF_ELOQUA.iter().find(|class| reader.ahead(at).starts_with(**class)) {
        return Some(reader.found(at + 1..at + class.len(), "a field merge of Eloqua", ""));
    }
    if let Some(found) = of_link(reader, at) {
        return Some(found);
    }
    let rest = reader.ahead(at).strip_prefix('=')?;
    if !reader.word_before(at).contains('?') || !reader.in_url(at) {
        return None;
    }
    let is_sign = |c: char| !c.is_alphanumeric() && !c.is_whitespace() && !QUOTES.contains(c) && c != '_' && c != '%';
    let signs: String = rest.chars().take_while(|c| is_sign(*c)).take(MOST_SIGNS).collect();
    let after = rest.get(signs.len()..)?;
    let word = after.get(..after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len()))?;
    let after = after.get(word.len()..)?;
    let closing: String = signs.chars().rev().map(mirrored).collect();
    let is_person = meaning(word, reader.names)
        .is_some_and(|name| matches!(name, "first_name" | "last_name" | "name" | "email" | "phone"));
    let is_whole = |after: &str| {
        after.is_empty() || after.starts_with(|c: char| c.is_whitespace() || "&#<>\"')".contains(c)) || is_end(after)
    };
    let is_capital = !word.contains(char::is_lowercase);
    let is_meant = if signs.is_empty() {
        let key = reader.before(at).rsplit(['?', '&', ';']).next().unwrap_or_default();
        let is_for_it = KEYS_OF_RECIPIENTS.contains(&key) || meaning(key, reader.names).is_some();
        is_whole(after)
            && is_capital
            && ((is_person && is_for_it)
                || (is_value_in_capitals(word) && names_a_kind_of_value(word))
                || (word.len() > 3 && word == key.to_uppercase()))
    } else {
        after.strip_prefix(closing.as_str()).is_some_and(is_whole)
            && (is_person || is_value_in_capitals(word) || (is_spelled_as_field(word) && word.contains('_')))
    };
    let start = at + "=".len();
    let end = start + signs.len() + word.len() + closing.len();
    is_meant.then(|| reader.found(start..end, "the name of a field in an address", word))
}

/// What addresses call the recipient.
const KEYS_OF_RECIPIENTS: &[&str] =
    &["c", "contact", "e", "em", "m", "n", "r", "recipient", "s", "subscriber", "to", "u", "user"];

/// `href="LINK"`, `src="IMAGE_URL"`, `https://LINK`, `https://YOURDOMAIN.com`: no address.
fn of_link(reader: &Reader<'_, '_>, at: usize) -> Option<Found> {
    const YOURS: &[&str] = &[
        "yourcompany",
        "your-company",
        "yourdomain",
        "your-domain",
        "yoursite",
        "your-site",
        "yourwebsite",
        "your-website",
        "your-link-here",
        "yourlink",
    ];
    const HOSTS: &[&str] = &["ADDRESS", "DOMAIN", "HOST", "LINK", "SITE", "URL", "WEBSITE"];
    const TAKEN_FOR: &str = "no address of the web";
    let ahead = reader.ahead(at);
    // `info@yourcompany.com`.
    if let Some(host) = ahead.strip_prefix('@') {
        let host = host.split('.').next().unwrap_or_default();
        let is_meant = YOURS.contains(&host.to_lowercase().as_str());
        return is_meant.then(|| reader.found(at + 1..at + 1 + host.len(), TAKEN_FOR, host));
    }
    let scheme = if ahead.starts_with("://www.") { "://www." } else { "://" };
    if let Some(host) = ahead.strip_prefix(scheme) {
        let host =
            host.get(..host.find(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').unwrap_or(host.len()))?;
        let after = ahead.get(scheme.len() + host.len()..)?;
        let is_capital = host.chars().all(|c| c.is_ascii_uppercase() || c == '_') && !after.starts_with('.');
        // `http://INTRANET/` is a host.
        let is_word = is_capital && (host.contains('_') || host.starts_with("YOUR") || HOSTS.contains(&host));
        let is_meant = is_word || YOURS.contains(&host.to_lowercase().as_str());
        let start = at + scheme.len();
        return is_meant.then(|| reader.found(start..start + host.len(), TAKEN_FOR, host));
    }
    let before = reader.before(at);
    let before = before.get(before.ceil_char_boundary(before.len().saturating_sub(5))..)?.to_lowercase();
    if !(before.ends_with(" href") || before.ends_with(" src")) {
        return None;
    }
    let rest = ahead.strip_prefix('=')?;
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (value, _) = rest.get(1..)?.split_once(quote)?;
    let is_word = value.len() > 1 && value.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
    let is_open = matches!(value, "link" | "url") || (value.starts_with('[') && value.ends_with(']'));
    let is_meant = is_open || is_word && (value.contains('_') || !value.contains(char::is_lowercase));
    let start = at + "=\"".len();
    is_meant.then(|| reader.found(start..start + value.len(), TAKEN_FOR, value))
}

/// A full stop or a comma that ends a sentence.
fn is_end(after: &str) -> bool {
    after.starts_with(['.', ',', '!', ';']) && !after.chars().nth(1).is_some_and(char::is_alphanumeric)
}

/// The sign that closes what this one opens.
fn mirrored(c: char) -> char {
    match c {
        '(' => ')',
        '[' => ']',
        '{' => '}',
        '<' => '>',
        '«' => '»',
        '‹' => '›',
        other => other,
    }
}
