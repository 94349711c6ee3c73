//! What a name of another product, or one that is spelled wrong, may mean here.

use strsim::normalized_damerau_levenshtein;

use super::super::names::Names;
use crate::domain::people::contact::normalised_name;

/// How like a valid name another one must be to be named, from 0 to 1.
const ALIKE: f64 = 0.7;

/// What other products call the things that every contact may have, in the spelling of attributes.
const MERGE_NAMES: &[(&str, &[&str])] = &[
    (
        "first_name",
        &[
            "fname",
            "first",
            "firstname",
            "given_name",
            "givenname",
            "forename",
            "vorname",
            "prenom",
            "nombre",
            "voornaam",
            "fornavn",
            "imie",
        ],
    ),
    (
        "last_name",
        &[
            "lname",
            "last",
            "lastname",
            "surname",
            "family_name",
            "familyname",
            "nachname",
            "apellido",
            "cognome",
            "achternaam",
            "efternamn",
            "nazwisko",
        ],
    ),
    (
        "name",
        &[
            "full_name",
            "fullname",
            "your_name",
            "customer_name",
            "recipient_name",
            "contact_name",
            "client_name",
            "member_name",
            "subscriber_name",
        ],
    ),
    ("email", &["e_mail", "mail", "email_address", "emailaddress", "recipient"]),
    ("phone", &["mobile", "sms", "phone_number", "phonenumber", "telephone"]),
    (
        "unsubscribe_url",
        &[
            "unsub",
            "unsubscribe",
            "unsubscribe_link",
            "unsubscribelink",
            "unsubscribeurl",
            "unsubscribe_text",
            "unsubscribeurl_link",
            "optout_url",
            "opt_out",
        ],
    ),
    (
        "preferences_url",
        &["preferences", "preferencesurl", "update_profile", "manage_preferences", "manage_url", "profile_url"],
    ),
    ("postal_address", &["list_address", "list_address_html", "list_addressline", "company_address", "sender_address"]),
];

/// What a text in the delimiters of another product certainly means: the name of a field, of Volley's own values or of an attribute.
pub(super) fn meaning<'k>(inner: &str, names: &Names<'k>) -> Option<&'k str> {
    if inner.is_empty() || inner.len() > 64 || !inner.starts_with(char::is_alphabetic) {
        return None;
    }
    let name = normalised_name(inner);
    let merged = MERGE_NAMES.iter().find(|(_, others)| others.contains(&name.as_str())).map(|(own, _)| *own);
    names.by_name(&name).or_else(|| merged.and_then(|own| names.by_name(own)))
}

/// How a note begins that something is to be filled in.
const VERBS: &[&str] = &["insert", "enter", "add", "type", "fill", "put"];

/// What such a note names, in the end.
const KINDS: &[&str] = &[
    "code", "image", "name", "names", "date", "company", "address", "email", "title", "city", "phone", "link", "url",
    "number",
];

/// Words of other languages that ask for something to be filled in, at the end of a note or at its beginning.
const VERBS_ELSEWHERE: &[&str] = &[
    "einfügen",
    "eintragen",
    "einsetzen",
    "insérer",
    "insérez",
    "inserer",
    "insertar",
    "introducir",
    "inserire",
    "inserir",
    "invullen",
    "invoegen",
    "wstaw",
    "infoga",
    "indsæt",
];

/// Whether a text in brackets is one that somebody is to put something in the place of: `Company Name`, `Your Company`, `Datum einfügen`.
pub(super) fn is_blank(text: &str) -> bool {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split([' ', '_', '-']).filter(|word| !word.is_empty()).collect();
    let is_plain = || words.iter().all(|word| word.chars().all(char::is_alphabetic));
    let [first, .., last] = words.as_slice() else { return false };
    if words.len() > 6 || !is_plain() {
        return false;
    }
    let is_asked = VERBS_ELSEWHERE.contains(last) || VERBS_ELSEWHERE.contains(first);
    let is_owned = *first == "your" && KINDS.contains(last);
    is_asked || is_owned || (words.len() <= 3 && *last == "name")
}

/// Whether a text is a note that something is to be filled in: `insert first name`, `enter your company name here`. Without `here` the other
/// verbs stand on buttons.
pub(super) fn is_note(text: &str) -> bool {
    let lower = text.to_lowercase();
    let is_meant = lower.starts_with("insert") || lower.starts_with("please insert") || lower.ends_with("here");
    is_meant && what_to_fill_in(text).is_some_and(|what| KINDS.contains(&what.rsplit(' ').next().unwrap_or_default()))
}

/// What a note asks for: `first name` of `insert first name here`.
fn what_to_fill_in(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split([' ', '_', '-']).filter(|word| !word.is_empty()).collect();
    let words = words.strip_prefix(&["please"]).unwrap_or(&words);
    let (verb, rest) = words.split_first()?;
    let rest = rest.strip_suffix(&["here"]).unwrap_or(rest);
    VERBS.contains(verb).then(|| rest.join(" "))
}

/// What to write for a text that somebody took for a placeholder, where it can be guessed.
pub(super) fn guess(inner: &str, names: &Names<'_>) -> Option<String> {
    let words = without_tags(inner).replace("%7B", "").replace("%7b", "").replace("%20", " ");
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = words.split(['|', ',', '?']).next().unwrap_or_default();
    let plain = plain.split("%%").next().unwrap_or_default();
    let joints = ['.', ':', '=', '/', '$', '#', '!', '@'];
    let last = plain.rsplit(joints).next().unwrap_or_default();
    let first = plain.split(joints).next().unwrap_or_default();
    let word = plain.trim_start().split(' ').next().unwrap_or_default();
    let asked = what_to_fill_in(plain).unwrap_or_default();
    let owned = plain.rsplit_once("'s ").or_else(|| plain.rsplit_once("\u{2019}s ")).map_or("", |(_, owned)| owned);
    let candidates = [last, plain, first, word, &asked, owned];
    let name = candidates.into_iter().find_map(|text| meaning(text.trim_matches(is_around), names));
    let name = name.map(str::to_owned).or_else(|| nearest(last, names))?;
    Some(format!("{{{name}}}"))
}

/// The valid name that is most like this text.
pub(in super::super) fn nearest(text: &str, names: &Names<'_>) -> Option<String> {
    let name = normalised_name(text);
    if name.len() < 3 || name.len() > 64 {
        return None;
    }
    let alike = names.all().into_iter().map(|valid| (normalized_damerau_levenshtein(&name, &valid), valid));
    let best = alike.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(likeness, _)| *likeness >= ALIKE).map(|(_, valid)| valid)
}

/// What may stand around a name.
fn is_around(c: char) -> bool {
    !c.is_alphanumeric()
}

/// A text without the tags that an editor of HTML has put into it.
pub(super) fn without_tags(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        plain.push_str(before);
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain.replace("&nbsp;", " ")
}
