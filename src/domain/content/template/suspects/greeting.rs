//! The name of a field without any sign, where a person is addressed: `Dear first_name`, `Hallo Vorname,`, `FirstName, your order`.

use super::bare::is_spelled_as_field;
use super::meaning::meaning;
use super::{Found, Reader};

/// What stands before a name, in the common languages of Europe.
const GREETINGS: &[&str] = &[
    "dear",
    "hi",
    "hello",
    "hey",
    "welcome",
    "morning",
    "afternoon",
    "evening",
    "mr",
    "mrs",
    "ms",
    "hallo",
    "liebe",
    "lieber",
    "geehrte",
    "geehrter",
    "moin",
    "servus",
    "tag",
    "morgen",
    "abend",
    "herr",
    "herrn",
    "frau",
    "bonjour",
    "bonsoir",
    "salut",
    "cher",
    "chère",
    "monsieur",
    "madame",
    "hola",
    "querido",
    "querida",
    "estimado",
    "estimada",
    "ciao",
    "caro",
    "gentile",
    "olá",
    "prezado",
    "beste",
    "hoi",
    "hej",
    "hei",
    "kära",
    "kære",
    "drogi",
    "droga",
];

/// The longest of them, in bytes, with room to spare.
const LONGEST_GREETING: usize = 12;

/// Endings that say that a man or a woman may be meant: `geehrte(r)`, `Liebe/r`.
const ENDINGS: &[&str] = &["(r)", "(s)", "(a)", "/r", "/-r", ":r", "*r", "_r", "/a", "(e)", "·e"];

/// What ends an address: `Dear Name,`.
const ENDS: &[char] = &[',', '!', '.', ':', ';', '\n', '\r', '<', ')', '|'];

/// Words that are no name without another one beside them.
const ORDINARY: &[&str] = &["first", "last"];

/// The name of a field in an address that begins at this byte.
pub(super) fn find(reader: &Reader<'_, '_>, at: usize) -> Option<Found> {
    let before = reader.before(at);
    if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let ahead = reader.ahead(at);
    let (word, rest) = word(ahead);
    let is_greeting = word.len() <= LONGEST_GREETING && GREETINGS.contains(&word.to_lowercase().as_str());
    if !is_greeting {
        return is_first_of_line(reader, at, word, rest).then(|| found(reader, at, word));
    }
    let rest = ENDINGS.iter().find_map(|ending| rest.strip_prefix(ending)).unwrap_or(rest);
    let rest = rest.strip_prefix([',', '.']).unwrap_or(rest);
    let name = rest.trim_start_matches([' ', '\u{a0}']);
    if name.len() == rest.len() {
        return None;
    }
    let is_loud = is_capitals(word);
    let (one, after_one) = self::word(name);
    let (second, after_two) = self::word(after_one.strip_prefix([' ', '\u{a0}']).unwrap_or_default());
    let two = name.get(..name.len() - after_two.len()).filter(|_| !second.is_empty());
    let spelled =
        [two.map(|two| (two, after_two)), Some((one, after_one))].into_iter().flatten().find(|(text, after)| {
            let is_certain = is_spelled_as_field(text) || (is_capitals(text) && !is_loud);
            !after.starts_with('}') && is_person(reader, text) && (is_certain || ends(reader, after))
        });
    let (text, _) = spelled?;
    let start = at + ahead.len() - name.len();
    Some(found(reader, start, text))
}

fn found(reader: &Reader<'_, '_>, at: usize, name: &str) -> Found {
    reader.found(at..at + name.len(), "the name of a field where a person is addressed", name)
}

/// The letters, digits and underscores that a text begins with, and what follows them.
fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len()))
}

/// Whether a text is what fields with the name of a person are called.
fn is_person(reader: &Reader<'_, '_>, text: &str) -> bool {
    !ORDINARY.contains(&text.to_lowercase().as_str())
        && meaning(text, reader.names).is_some_and(|name| matches!(name, "first_name" | "last_name" | "name"))
}

/// Whether an address ends here: at a sign, or with another name.
fn ends(reader: &Reader<'_, '_>, after: &str) -> bool {
    let after = after.trim_start_matches([' ', '\u{a0}']);
    after.is_empty() || after.starts_with(ENDS) || is_person(reader, word(after).0)
}

/// `FirstName, your order`: no word of a language, and not the first of a list of columns.
fn is_first_of_line(reader: &Reader<'_, '_>, at: usize, word: &str, rest: &str) -> bool {
    let line = reader.before(at).trim_end_matches([' ', '\t']);
    let is_first = line.is_empty() || line.ends_with(['\n', '>']);
    let Some(after) = rest.strip_prefix([',', '!']).filter(|_| is_first && is_spelled_as_field(word)) else {
        return false;
    };
    let next = self::word(after.trim_start()).0;
    after.starts_with(char::is_whitespace) && is_person(reader, word) && meaning(next, reader.names).is_none()
}

fn is_capitals(text: &str) -> bool {
    text.len() > 2 && !text.contains(char::is_lowercase)
}
