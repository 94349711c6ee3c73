//! What drafts leave to be filled in: notes such as `insert first name`, and words such as `Company Name`.

mod unsigned;
mod words;

pub(super) use self::unsigned::find;
use self::words::{
    BEFORE_NUMBERS, BEFORE_VERBS, IN_BRACKETS, IN_CAPITALS, IN_ENGLISH, IN_SENTENCES, JOINTS, KINDS, KINDS_ELSEWHERE,
    LAST_WORDS, NAMED, OF_DRAFTS, OF_OWNERS, VALUES, VERBS, VERBS_ELSEWHERE, VERBS_OF_NOTES, WITH_OF, YOURS,
};

/// Whether a text in brackets is one that somebody is to put something in the place of: `Company Name`, `Your Company`, `Datum einfügen`,
/// `Nom du client`. With small letters, `product name` is the label of something.
pub(super) fn is_blank(text: &str) -> bool {
    let lower = text.to_lowercase().replace(['\'', '\u{2019}'], " ");
    let words: Vec<&str> = lower.split([' ', '_', '-']).filter(|word| !word.is_empty()).collect();
    let is_titled = text.rsplit([' ', '_', '-']).next().is_some_and(|word| word.starts_with(char::is_uppercase));
    if is_titled && OF_DRAFTS.contains(&words.join(" ").as_str()) {
        return true;
    }
    if words.len() == 1 && is_titled {
        return KINDS_ELSEWHERE.contains(&lower.as_str()) && !IN_ENGLISH.contains(&lower.as_str());
    }
    let [first, .., last] = words.as_slice() else { return false };
    if words.len() > 6 || !words.iter().all(|word| word.chars().all(char::is_alphabetic)) {
        return false;
    }
    // `Name der Redaktion bekannt` stands in newspapers.
    if matches!(*last, "bekannt" | "geändert") {
        return false;
    }
    let has_kind = || words.iter().any(|word| KINDS_ELSEWHERE.contains(word));
    let is_asked = || {
        VERBS_OF_NOTES.contains(last)
            || BEFORE_VERBS.contains(&(*first, *last))
            || (VERBS_ELSEWHERE.contains(last) || VERBS_ELSEWHERE.contains(first)) && has_kind()
    };
    let is_kind = KINDS.contains(last) || KINDS_ELSEWHERE.contains(last) || OF_OWNERS.contains(last);
    // `Il tuo nome` has an article before it.
    let is_owner = YOURS.contains(first)
        || (words.len() == 3
            && matches!(*first, "il" | "la" | "a" | "o")
            && words.get(1).is_some_and(|word| YOURS.contains(word)));
    let is_owned = is_kind && words.len() <= 3 && is_owner;
    let is_of = || {
        let second = words.get(1).copied().unwrap_or_default();
        let in_english = || match second {
            "of" => WITH_OF.contains(first),
            "to" => matches!(*first, "link" | "url"),
            _ => false,
        };
        (KINDS_ELSEWHERE.contains(first) && *first != "date" && JOINTS.contains(&second))
            || (words.len() > 2 && text.starts_with(char::is_uppercase) && in_english())
    };
    is_asked()
        || (is_owned && (is_titled || *first != "your" || text.contains(['_', '-'])))
        || is_of()
        || (words.len() == 2 && KINDS_ELSEWHERE.contains(first) && KINDS_ELSEWHERE.contains(last))
        || (is_titled && *last == "name" && NAMED.contains(first))
}

/// Whether a single word in signs is what drafts leave open, in small letters, too.
pub(super) fn is_open_in_drafts(text: &str) -> bool {
    VALUES.contains(&text.to_lowercase().as_str())
}

/// The same where the brackets stand within a sentence: also `month`.
pub(super) fn is_open_in_sentences(text: &str) -> bool {
    let is_of = || text.split_once(" of ").is_some_and(|(what, _)| WITH_OF.contains(&what));
    VALUES.contains(&text) || IN_SENTENCES.contains(&text) || is_open_elsewhere(text) || is_of()
}

/// `à compléter`: nothing but a note.
pub(super) fn is_left_to_complete(text: &str) -> bool {
    let lower = text.to_lowercase();
    lower.split_once(' ').is_some_and(|words| BEFORE_VERBS.contains(&words))
}

/// `Include a brief description`, `Add your story`, `CTA Button: Shop now`: what somebody is to write, or to put there.
pub(super) fn is_order(text: &str) -> bool {
    const ORDERS: &[&str] = &[
        "add a ",
        "add an ",
        "add your ",
        "describe ",
        "include a ",
        "include an ",
        "include your ",
        "insert ",
        "mention ",
    ];
    const PARTS: &[&str] = &["button", "cta", "cta button", "optional"];
    let lower = text.to_lowercase();
    let is_part = lower.split_once(':').is_some_and(|(part, _)| PARTS.contains(&part));
    is_part || text.starts_with(char::is_uppercase) && ORDERS.iter().any(|order| lower.starts_with(order))
}

/// `your company`: of the one who is to fill it in.
pub(super) fn is_yours(text: &str) -> bool {
    text.strip_prefix("your ").is_some_and(|what| KINDS.contains(&what) || OF_OWNERS.contains(&what))
}

/// What notes and forms name: `address`, `Telefon`.
pub(super) fn is_named_in_forms(text: &str) -> bool {
    let lower = text.to_lowercase();
    KINDS.contains(&lower.as_str())
        || KINDS_ELSEWHERE.contains(&lower.as_str())
        || matches!(lower.as_str(), "password" | "passwort" | "strasse" | "straße" | "telefon" | "wachtwoord")
}

/// The same in other languages: `[fecha]`.
fn is_open_elsewhere(text: &str) -> bool {
    KINDS_ELSEWHERE.contains(&text) && !IN_ENGLISH.contains(&text)
}

/// Whether a text in square brackets is one that somebody is to put something in the place of: also `Date`.
pub(super) fn is_draft(text: &str) -> bool {
    let words = text.to_lowercase().replace(['_', '-'], " ");
    is_blank(text)
        || (text.starts_with(char::is_uppercase) && IN_BRACKETS.contains(&words.as_str()))
        || IN_CAPITALS.contains(&text)
        || ["alt text", "image description"].contains(&words.as_str())
        || is_titled_kind(text)
        || is_compound(&words)
}

/// `Speaker Name`, `Voucher Code`: every word has a capital. `[Save Date]` is a button.
fn is_titled_kind(text: &str) -> bool {
    const BUTTONS: &[&str] = &[
        "add", "buy", "click", "copy", "edit", "enter", "file", "get", "no", "open", "read", "save", "see", "set",
        "show", "view",
    ];
    let words: Vec<&str> = text.split([' ', '_', '-']).collect();
    let [first, .., last] = words.as_slice() else { return false };
    words.len() <= 3
        && words.iter().all(|word| word.starts_with(char::is_uppercase) && word.chars().all(char::is_alphabetic))
        && LAST_WORDS.contains(&last.to_lowercase().as_str())
        && !BUTTONS.contains(&first.to_lowercase().as_str())
}

/// `company name`, `event date`: in small letters.
pub(super) fn is_open_words(text: &str) -> bool {
    let words: Vec<&str> = text.split(' ').collect();
    matches!(words.len(), 2 | 3)
        && words.iter().all(|word| !word.is_empty() && word.chars().all(char::is_lowercase))
        && words.last().is_some_and(|last| LAST_WORDS.contains(last))
}

/// `kundenname`, `bestellnummer`: the compounds of German and Dutch.
fn is_compound(lower: &str) -> bool {
    const ENDS: &[&str] = &["name", "nummer", "code", "link", "datum", "naam"];
    const ORDINARY: &[&str] = &[
        "username",
        "hostname",
        "nickname",
        "filename",
        "codename",
        "hyperlink",
        "backlink",
        "permalink",
        "barcode",
        "geheimcode",
    ];
    lower.len() >= 9
        && lower.chars().all(char::is_alphabetic)
        && ENDS.iter().any(|end| lower.ends_with(end))
        && !ORDINARY.contains(&lower)
}

/// What drafts call the number that is not known yet.
const OF_NUMBERS: &[&str] = &["N", "X", "XX", "XXX", "##", "#", "xx", "00"];

/// Whether a number follows this word, in small letters: `only`.
pub(super) fn is_before_numbers(word: &str) -> bool {
    BEFORE_NUMBERS.contains(&word)
}

/// Whether a text stands for a number: of a share, or of a price.
pub(super) fn is_number_to_come(text: &str) -> bool {
    OF_NUMBERS.contains(&text)
}

/// Whether a text is a note that something is to be filled in: `insert first name`, `enter your company name here`. Without `here` the other
/// verbs stand on buttons.
pub(super) fn is_note(text: &str) -> bool {
    let lower = text.to_lowercase();
    let is_capital = !text.contains(char::is_lowercase);
    if ["fill in ", "replace this ", "replace with "].iter().any(|start| lower.starts_with(start)) {
        return true;
    }
    if let Some(what) = lower.strip_suffix(" here").filter(|_| is_capital) {
        return KINDS.contains(&what.rsplit(' ').next().unwrap_or_default());
    }
    let is_meant =
        is_capital || lower.starts_with("insert") || lower.starts_with("please insert") || lower.ends_with("here");
    is_meant && what_to_fill_in(text).is_some_and(|what| KINDS.contains(&what.rsplit(' ').next().unwrap_or_default()))
}

/// What a note asks for: `first name` of `insert first name here`.
pub(super) fn what_to_fill_in(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split([' ', '_', '-']).filter(|word| !word.is_empty()).collect();
    let words = words.strip_prefix(&["please"]).unwrap_or(&words);
    let (verb, rest) = words.split_first()?;
    let rest = rest.strip_suffix(&["here"]).unwrap_or(rest);
    VERBS.contains(verb).then(|| rest.join(" "))
}

#[cfg(test)]
mod tests;
