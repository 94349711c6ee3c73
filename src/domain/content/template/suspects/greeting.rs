//! The name of a field without any sign, where a person is addressed: `Dear first_name`, `Hallo Vorname,`, `FirstName, your order`.

use super::bare::is_spelled_as_field;
use super::drafts;
use super::meaning::meaning;
use super::place::names_a_person;
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
    "thanks",
    "you",
    "congratulations",
    "birthday",
    "mr",
    "mrs",
    "ms",
    "miss",
    "mx",
    "dr",
    "prof",
    "hallo",
    "liebe",
    "lieber",
    "geehrte",
    "geehrter",
    "moin",
    "servus",
    "grüezi",
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
    "señor",
    "señora",
    "sr",
    "sra",
    "ciao",
    "caro",
    "cara",
    "gentile",
    "buongiorno",
    "buonasera",
    "olá",
    "prezado",
    "prezada",
    "beste",
    "geachte",
    "goedemorgen",
    "goedemiddag",
    "heer",
    "mevrouw",
    "hoi",
    "hej",
    "hei",
    "kära",
    "kære",
    "drogi",
    "droga",
    "cześć",
    "witaj",
    "panie",
    "pani",
    "there",
    "back",
    "dag",
    "egregia",
    "egregio",
    "goedendag",
    "howdy",
    "lieve",
    "mme",
    "sig",
    "anniversaire",
    "bedankt",
    "benvenuta",
    "benvenuto",
    "bienvenida",
    "bienvenido",
    "bienvenue",
    "compleanno",
    "cumpleaños",
    "gefeliciteerd",
    "goddag",
    "gracias",
    "grattis",
    "grazie",
    "hr",
    "merci",
    "obrigada",
    "obrigado",
    "parabéns",
    "tack",
    "tak",
    "tillykke",
    "välkommen",
    "velkommen",
    // `Bem-vindo`.
    "vindo",
    "welkom",
    "willkommen",
    "witamy",
];

/// Those that are words of other sentences, and the word that makes a greeting of them.
const PAIRS: &[(&str, &str)] = &[
    ("god", "morgon"),
    ("guten", "tag"),
    ("guten", "morgen"),
    ("guten", "abend"),
    ("grüß", "gott"),
    ("alles", "gute"),
    ("grüss", "gott"),
    ("buenos", "días"),
    ("buenas", "tardes"),
    ("buenas", "noches"),
    ("bom", "dia"),
    ("boa", "tarde"),
    ("boa", "noite"),
    ("dzień", "dobry"),
    ("bonjour", "m"),
    ("cher", "m"),
];

/// Greetings that begin other sentences, too: after them only what is no word is a name.
const WEAK: &[&str] = &["welcome", "you", "liebe", "lieber", "beste", "there", "back", "cara", "caro", "lieve"];

/// Those that are written with a full stop.
const SHORT: &[&str] = &["mr", "mrs", "ms", "mx", "dr", "prof", "sr", "sra", "m", "mme", "sig", "hr"];

/// The longest of them, in bytes, with room to spare.
const LONGEST_GREETING: usize = 16;

/// Endings that say that a man or a woman may be meant: `geehrte(r)`, `Liebe/r`.
const ENDINGS: &[&str] = &["(r)", "(s)", "(a)", "/r", "/-r", ":r", "*r", "/a", "(e)", "·e"];

/// What ends an address: `Dear Name,`.
const ENDS: &[char] = &[
    ',', '!', '?', '.', ':', ';', '\n', '\r', '<', ')', '|', '"', '”', '“', '\'', '’', '»', '›', '*', '_', '`', '–',
    '—', '&',
];

/// What stands around a name that somebody wanted to be seen.
const AROUND: &[char] = &['*', '_', '"', '“', '„', '\'', '`', '(', '‘', '«', '@', '~', ':', '#', '§'];

/// Words that are no name without another one beside them.
const ORDINARY: &[&str] = &["first", "last"];

/// Names of a field that are ordinary words of some language.
const WORDS: &[&str] = &["name", "nombre", "nome", "nom", "naam", "namn", "navn"];

/// The longest text in brackets after a greeting, in characters.
const LONGEST_NOTE: usize = 40;

/// The name of a field in an address that begins at this byte.
pub(super) fn find(reader: &Reader<'_, '_>, at: usize) -> Option<Found> {
    let before = reader.before(at);
    if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let ahead = reader.ahead(at);
    let (greeting, rest) = letters(ahead);
    let lower = if greeting.len() <= LONGEST_GREETING { greeting.to_lowercase() } else { String::new() };
    let is_pair = || {
        let before = reader.line_before(at).trim_end().to_lowercase();
        PAIRS.iter().any(|(first, second)| *second == lower && before.ends_with(first))
    };
    if !(GREETINGS.contains(&lower.as_str()) || is_pair()) {
        let (word, rest) = name(ahead);
        let is_meant = is_first_of_line(reader, at, word, rest) || is_called_by_name(reader, at, word, rest);
        return is_meant.then(|| found(reader, at, word));
    }
    let rest = ENDINGS.iter().find_map(|ending| rest.strip_prefix(ending)).unwrap_or(rest);
    let signs: &[char] = if SHORT.contains(&lower.as_str()) { &['.', ','] } else { &[','] };
    let rest = rest.strip_prefix(signs).unwrap_or(rest);
    let after = rest.trim_start_matches(is_blank);
    if after.len() == rest.len() || rest.get(..rest.len() - after.len())?.matches('\n').count() > 1 {
        return None;
    }
    if let Some(len) = left_open(after) {
        let start = at + ahead.len() - after.len();
        return Some(reader.found(start..start + len, "a greeting of nobody", ""));
    }
    // Signs around a name say more than the greeting.
    if after.starts_with(super::is_sign)
        && !after.starts_with(|c: char| c.is_alphabetic() || c == '{')
        && let found @ Some(_) = reader.at(at + ahead.len() - after.len())
    {
        return found;
    }
    if let Some(note) = after.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(note, _)| note)
        && note.chars().count() <= LONGEST_NOTE
        && (note.chars().any(char::is_alphabetic) || note.len() > 2 && note.chars().all(|c| "._\u{2026}".contains(c)))
        && !note.contains('\n')
    {
        let start = at + ahead.len() - after.len();
        let range = start..start + note.len() + "[]".len();
        return Some(reader.found(range, "a note that something is to be filled in", note));
    }
    let after = after.trim_start_matches(AROUND);
    let is_titled = after.starts_with(char::is_uppercase);
    let is_weak = WEAK.contains(&lower.as_str()) && !(lower == "welcome" && is_titled);
    let (text, rest) = name(after);
    let one = letters(text).0;
    let is_loud = is_capitals(greeting);
    let is_certain = |text: &str| {
        is_spelled_as_field(text)
            || !WORDS.contains(&text.to_lowercase().as_str()) && text.starts_with(char::is_uppercase)
            || (is_capitals(text) && !is_loud)
    };
    let fits = |text: &str, after: &str| {
        is_person(reader, text) && !after.starts_with('}') && (is_certain(text) || (!is_weak && ends(reader, after)))
    };
    let start = at + ahead.len() - after.len();
    // `Dear Guest Name,`.
    let is_draft = text.ends_with(" Name") && drafts::is_blank(text) && ends(reader, rest);
    if is_draft || fits(text, rest) {
        return Some(found(reader, start, text));
    }
    let (_, rest) = letters(after);
    fits(one, rest).then(|| found(reader, start, one))
}

/// `XXX,`, `___,`, `undefined,`: nobody was put in. Its length.
fn left_open(after: &str) -> Option<usize> {
    const NOBODY: &[&str] = &["undefined", "null", "NaN", "XY", "XYZ", "xxx"];
    let run = |sign: char, least: usize| {
        let len = after.len() - after.trim_start_matches(sign).len();
        (len >= least * sign.len_utf8()).then_some(len)
    };
    let word = || {
        let word = letters(after).0;
        NOBODY.contains(&word).then_some(word.len())
    };
    // `…` is what stands for a placeholder where HTML is read as it is seen.
    let len = run('X', 2).or_else(|| run('_', 2)).or_else(|| run('.', 3)).or_else(|| run('?', 2));
    let len = len.or_else(word)?;
    after.get(len..)?.trim_start_matches(' ').starts_with(',').then_some(len)
}

fn found(reader: &Reader<'_, '_>, at: usize, name: &str) -> Found {
    reader.found(at..at + name.len(), "the name of a field where a person is addressed", name)
}

fn is_blank(c: char) -> bool {
    c.is_whitespace()
}

/// The letters, digits and underscores that a text begins with, and what follows them.
fn letters(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len()))
}

/// The one or two words that a text begins with, and what follows them: `First Name`, `First-Name`.
pub(super) fn name(text: &str) -> (&str, &str) {
    let (_, rest) = letters(text);
    let Some(second) = rest.strip_prefix([' ', '\u{a0}', '-', '.', '\u{2009}']) else { return letters(text) };
    let (word, rest) = letters(second);
    if word.is_empty() { letters(text) } else { text.split_at(text.len() - rest.len()) }
}

/// Whether a text is what fields with the name of a person are called.
fn is_person(reader: &Reader<'_, '_>, text: &str) -> bool {
    !ORDINARY.contains(&text.to_lowercase().as_str()) && names_a_person(text, reader.names)
}

/// Whether an address ends here: at a sign, or with another name.
fn ends(reader: &Reader<'_, '_>, after: &str) -> bool {
    let after = after.trim_start_matches([' ', '\u{a0}']);
    // A picture such as a waving hand.
    let is_picture = after.starts_with(|c: char| !c.is_alphanumeric() && !c.is_ascii() && !c.is_whitespace());
    is_picture
        || after.is_empty()
        || after.starts_with(ENDS)
        || after.starts_with("- ")
        || is_person(reader, letters(after).0)
}

/// `FirstName, your order`: no word of a language, and not the first of a list of columns.
fn is_first_of_line(reader: &Reader<'_, '_>, at: usize, text: &str, rest: &str) -> bool {
    let line = reader.before(at).trim_end_matches([' ', '\t']);
    if !(line.is_empty() || line.ends_with(['\n', '>'])) {
        return false;
    }
    // `NAME, your cart is waiting`.
    let is_loud = is_capitals(text) && rest.contains(char::is_lowercase);
    // `First name, please` stands in forms.
    let is_titled = || text.contains(' ') && text.split(' ').all(|word| word.starts_with(char::is_uppercase));
    // `Vorname, wir …`: a word that is nothing but the name of a field.
    let is_field = || {
        let lower = text.to_lowercase();
        let is_word = ORDINARY.contains(&lower.as_str()) || WORDS.contains(&lower.as_str()) || lower == "surname";
        !is_word && !text.contains(' ') && text.starts_with(char::is_uppercase)
    };
    let Some(after) =
        rest.strip_prefix([',', '!']).filter(|_| is_spelled_as_field(text) || is_titled() || is_field() || is_loud)
    else {
        return false;
    };
    let next = name(after.trim_start());
    let is_list = [next.0, letters(next.0).0]
        .iter()
        .any(|next| meaning(next, reader.names).is_some() || drafts::is_named_in_forms(next));
    after.starts_with(char::is_whitespace) && is_person(reader, text) && !is_list
}

/// `Good news, First Name!`: behind a comma and before an exclamation mark, and no list of fields.
fn is_called_by_name(reader: &Reader<'_, '_>, at: usize, text: &str, rest: &str) -> bool {
    let Some(before) = reader.line_before(at).strip_suffix(", ").filter(|_| rest.starts_with(['!', '?'])) else {
        return false;
    };
    let last = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    let is_titled = text.split(' ').all(|word| word.starts_with(char::is_uppercase));
    is_titled
        && !WORDS.contains(&text.to_lowercase().as_str())
        && is_person(reader, text)
        && !last.is_empty()
        && meaning(last, reader.names).is_none()
}

fn is_capitals(text: &str) -> bool {
    text.len() > 2 && !text.contains(char::is_lowercase)
}
